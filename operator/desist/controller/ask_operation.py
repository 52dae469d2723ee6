"""What the core asks for about an operation alone: its execution, the pod that asks for it, its arguments.

Contract: as `ask`. The execution is read after the operation was noted, and one read serves many (`reading`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from desist.api.base import Opaque
from desist.api.execution import WorkflowExecution
from desist.controller.cluster import Cluster, Vanished
from desist.controller.kinds import OPERATION
from desist.controller.operation_records import OperationRecord
from desist.controller.operations import Operations
from desist.controller.reading import ExecutionReads
from desist.lifecycle.observed.questions import Questions, WantedPod
from desist.lifecycle.observed.sight import ObservedOperation
from desist.lifecycle.proof.process import ended, reported_end


@dataclass(frozen=True, slots=True)
class OperationQuestions:
    """Asks about operations."""

    cluster: Cluster
    operations: Operations
    reads: ExecutionReads

    async def answer(
        self, questions: Questions, record: OperationRecord, observed: ObservedOperation
    ) -> ObservedOperation:
        """The observation with the answers in it. Raises Unreadable, Vanished where it is gone, kube's errors."""
        if questions.execution:
            observed = replace(observed, execution=await self._execution(record), execution_read=True)
        if questions.creator:
            observed = replace(observed, creator_uid=await self._creator(record), creator_read=True)
        if questions.arguments:
            observed = replace(observed, arguments=await self._arguments(record), arguments_read=True)
        return observed

    async def _execution(self, record: OperationRecord) -> WorkflowExecution | None:
        return await self.reads.answer(record.owner, self.operations.noted(record.metadata.uid))

    async def _creator(self, record: OperationRecord) -> str:
        """UID of the pod of that name that the execution controls; none where it has ended or is being deleted."""
        wanted = WantedPod(record.operation.spec.created_by.pod_name, record.operation.spec.run_id, 0)
        found = await self.cluster.live_pod(record.owner, wanted)
        over = found is None or found.deletion_timestamp is not None or reported_end(found.workflow) or ended(found)
        return "" if over or found is None else found.uid

    async def _arguments(self, record: OperationRecord) -> Opaque | None:
        metadata = record.metadata
        body = await self.cluster.get(OPERATION, metadata.namespace, metadata.name)
        if body["metadata"]["uid"] != metadata.uid:
            raise Vanished(f"operation {metadata.name} is another one by now")
        arguments = body["spec"].get("arguments")
        return None if arguments is None else Opaque.of(arguments)
