"""Which operations overtake others: the core's answer, from what is in memory.

Contract: as `urgency`. A stop bears on an operation where it was asked for itself, or its run is being stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from desist.api.execution import WorkflowExecution
from desist.api.vocabulary import Mode
from desist.controller.caches import Caches
from desist.controller.executions import Executions
from desist.controller.memory import Memory
from desist.controller.operation_records import Ended, OperationRecord
from desist.controller.records import ExecutionRecord, current_pod
from desist.lifecycle.stop.urgency import urgent_operation
from desist.lifecycle.wire import mailbox


@dataclass(frozen=True, slots=True)
class OperationUrgency:
    """Says so of one operation."""

    executions: Executions
    caches: Caches
    memory: Memory
    clock: Callable[[], datetime]

    def of(self, record: OperationRecord | Ended) -> bool:
        """Whether it overtakes those that start and go on."""
        if isinstance(record, Ended):
            return False
        pods = self.caches.pods(record.metadata, record.execution)
        return urgent_operation(record.operation, self._execution(record), pods, self.clock())

    def awaits_stop(self, record: OperationRecord) -> bool:
        """Whether a stop that bears on it was not judged, or not posted."""
        return self.of(record) and self._newest(record) not in self._told(record)

    def _newest(self, record: OperationRecord) -> str:
        """Id of the newest command that may bear on it; empty where none was accepted yet. Ids sort by time."""
        execution = self._execution(record)
        run = execution.status if execution is not None else None
        own = record.status.in_force if record.status is not None else None
        # Of a Cancel its code decides, and an operation is told by a command of its own.
        of_run = run.in_force if run is not None and run.stop.mode is not Mode.CANCEL else None
        return max((force.id for force in (own, of_run) if force is not None), default="")

    def _told(self, record: OperationRecord) -> set[str]:
        """Ids of the commands that its current pod was told of."""
        name = current_pod(record)
        pods = self.caches.pods(record.metadata, record.execution)
        posting = self.memory.last_posting(record.metadata.uid)
        texts = [pod.mailbox for pod in pods if pod.name == name]
        texts += [posting.text] if posting is not None and posting.pod == name else []
        return {stop.command_id for text in texts if (stop := mailbox.parse(text)) is not None}

    def _execution(self, record: OperationRecord) -> WorkflowExecution | None:
        known = self.executions.get(record.execution)
        return known.execution if isinstance(known, ExecutionRecord) else None
