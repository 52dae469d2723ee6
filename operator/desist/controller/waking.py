"""Who is woken when a pod, an execution or an operation has changed.

Contract: told by the watches and by the stores themselves, so that an own write reaches whom it concerns as soon as it
is noted. A pod wakes what it belongs to. Between an execution and its operations:
- what bears on operations (`bearing`) wakes all that are open, at once: the mailboxes of all go out side by side.
- an operation wakes its execution at once where it was the last open one, where it is late or another's, or is gone;
  what only changes counts, COUNTED later at the latest, and CLOSING later while the run is being closed: of a thousand
  that end, each would be a reconcile of the execution.
- a pod whose operation is not known, or that ends or turns up while the run is being closed, wakes the execution, too.
What says nothing new (a pod that shows what was posted to it, or only has another version; the answer to a push) wakes
CONFIRMED later at the latest, unless a reconcile waits for it to be seen: in a storm the end is there by then, and one
reconcile looks at both.
Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from desist.api.execution import WorkflowExecution
from desist.api.status import WorkflowExecutionStatus
from desist.controller.executions import Executions
from desist.controller.executions import Known as KnownExecution
from desist.controller.kinds import EXECUTION, OPERATION, Key
from desist.controller.operations import Operations, Whose
from desist.controller.records import ExecutionRecord, Resting
from desist.controller.views import PodRecord
from desist.lifecycle.observed.sight import OperationSeen
from desist.lifecycle.view import current

COUNTED = 10.0
"""Seconds."""
CLOSING = 0.5
CONFIRMED = 5.0
"""Seconds that a mere confirmation may wait."""


class Waking:
    """Wakes; `add` asks for a reconcile now, `later` for one in so many seconds at the latest.

    `awaits_sight`: whether a reconcile of the object of that UID waits for what was done to be seen.
    """

    def __init__(
        self,
        add: Callable[[Key], None],
        later: Callable[[Key, float], None],
        awaits_sight: Callable[[str], bool],
    ) -> None:
        self.add = add
        self._later = later
        self._awaits_sight = awaits_sight
        self.executions = Executions(self._execution_changed)
        self.operations = Operations(self._operation_changed)

    def pod_changed(self, record: PodRecord, ran: bool, runs: bool) -> None:
        """A pod is like this; `ran`, `runs`: whether it was there and had not ended, before and now."""
        self.add(record.key)
        if record.key.kind == EXECUTION.name:
            return
        operation = self.operations.get(record.key.uid)
        unknown = operation is None or operation.execution != record.execution_uid
        if unknown or (ran != runs and self._closing(record.execution_uid)):
            self.add(Key(EXECUTION.name, record.execution_uid))

    def confirmed(self, key: Key) -> None:
        """What was done to that object's pods has arrived there."""
        if self._awaits_sight(key.uid):
            self.add(key)
        else:
            self._later(key, CONFIRMED)

    def _execution_changed(self, before: KnownExecution | None, after: KnownExecution | None) -> None:
        if _bearing(before) == _bearing(after):
            return
        metadata = next(known.metadata for known in (after, before) if known is not None)
        for uid in self.operations.open((metadata.namespace, metadata.uid)):
            self.add(Key(OPERATION.name, uid))

    def _operation_changed(self, whose: Whose, before: OperationSeen | None, after: OperationSeen | None) -> None:
        key = Key(EXECUTION.name, whose[1])
        last = _open(before) and not _open(after) and not self.operations.open(whose)
        if last or after is None or _odd(after) > _odd(before):
            self.add(key)
        elif self._closing(whose[1]):
            if _awaited(before) != _awaited(after):
                self._later(key, CLOSING)
        elif _counted(before) != _counted(after):
            self._later(key, COUNTED)

    def _closing(self, execution: str) -> bool:
        """Whether that run is being stopped, or has ended."""
        known = self.executions.get(execution)
        if not isinstance(known, ExecutionRecord):
            return known is not None
        status = known.status or WorkflowExecutionStatus()
        return status.at.stopping or status.end_time is not None or not status.open


def bearing(execution: WorkflowExecution) -> Hashable:
    """What of an execution bears on its operations."""
    status = execution.status or WorkflowExecutionStatus()
    process, stop = current(status), status.stop
    return (
        (status.phase, status.run_id, status.attempt, status.end_time, process.pod_uid if process else None),
        (stop.mode, stop.command_id, stop.grace_period_seconds, stop.forget_lost_nodes),
        execution.metadata.deletion_timestamp,
    )


def _bearing(known: KnownExecution | None) -> Hashable:
    if isinstance(known, Resting):
        return known.uid
    return None if known is None else bearing(known.execution)


def _open(seen: OperationSeen | None) -> bool:
    return seen is not None and not seen.phase.terminal


def _odd(seen: OperationSeen | None) -> bool:
    """Whether it was found to be another's, or too late."""
    return seen is not None and (seen.foreign or seen.late)


def _counted(seen: OperationSeen | None) -> Hashable:
    """What of it is counted, or named, in the execution's status."""
    return None if seen is None else (seen.phase.terminal, len(seen.unconfirmed))


def _awaited(seen: OperationSeen | None) -> Hashable:
    """What of it says whether a run that is being closed waits for it, too."""
    return None if seen is None else (_counted(seen), seen.begun, seen.started)
