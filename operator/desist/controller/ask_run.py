"""What the core asks for about an execution alone: a dry run of its first pod, and a list of its operations.

Contract: as `ask`. The list is consistent (no resourceVersion): it holds whatever was created before it was asked for.
What is newer than the store, or missing there, is read into it; what is gone leaves it. One that cannot be read is
complained of, and is no reason to wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace

from desist.api.base import Opaque
from desist.controller.caches import Caches
from desist.controller.cluster import Cluster, Vanished
from desist.controller.creates import Creates
from desist.controller.intake import Intake
from desist.controller.kinds import EXECUTION, OPERATION, Key
from desist.controller.memory import Memory
from desist.controller.operation_records import with_age
from desist.controller.operations import Operations
from desist.controller.records import ExecutionRecord
from desist.kube.lanes import Budget
from desist.lifecycle.observed.questions import CreateAnswer, Questions
from desist.lifecycle.observed.sight import Observed
from desist.lifecycle.pod.manifest import dry_run_manifest
from desist.lifecycle.run.operations import end_is_stored

AT_A_TIME = 16
"""Operations that are read side by side."""
OF_EXECUTION = "spec.executionRef.uid={}"
"""Field selector."""


@dataclass(frozen=True, slots=True)
class RunQuestions:
    """Asks about executions."""

    cluster: Cluster
    creates: Creates
    caches: Caches
    memory: Memory
    operations: Operations
    intake: Callable[[], Intake]
    """Told late: the intake needs the table that this is a part of."""

    async def answer(self, questions: Questions, record: ExecutionRecord, observed: Observed) -> Observed:
        """The observation with the answers in it. Raises NoSlot, and kube's errors."""
        if questions.dry_run:
            observed = replace(observed, dry_run=await self._dry_run(observed))
        if questions.operations:
            observed = await self._with_operations(record, observed)
        return observed

    async def _dry_run(self, observed: Observed) -> CreateAnswer:
        metadata = observed.execution.metadata
        key = Key(EXECUTION.name, metadata.uid)
        return await self.creates.dry_run(key, metadata, _made_from(observed), lambda: _first_pod(observed))

    async def _with_operations(self, record: ExecutionRecord, observed: Observed) -> Observed:
        execution = record.metadata
        selector = OF_EXECUTION.format(execution.uid)
        listed, version = await self.cluster.list_metadata(OPERATION, execution.namespace, selector, Budget.STOP)
        found = self.operations.differ(execution, listed, version)
        for uid in found.gone:
            self.intake().forget(OPERATION, uid)
        await self._read(found.behind)
        run_id = record.status.run_id if record.status is not None else None
        # By what was decided from, not by what is stored by now: the LIST was made after that.
        if run_id and end_is_stored(record.execution, run_id):
            self.memory.listed(execution.uid, run_id, frozenset(listed))
        return replace(
            observed,
            operations=self.operations.seen(execution),
            operation_pods=self.caches.operation_pods(execution),
            operations_listed=True,
            listed_at_end=self.memory.at_end(execution.uid, run_id),
        )

    async def _read(self, behind: Iterable[tuple[str, str]]) -> None:
        left = sorted(behind)
        while left:
            now, left = left[:AT_A_TIME], left[AT_A_TIME:]
            await asyncio.gather(*(self._read_one(namespace, name) for namespace, name in now))

    async def _read_one(self, namespace: str, name: str) -> None:
        try:
            body = await self.cluster.get(OPERATION, namespace, name)
        except Vanished:
            if (known := self.operations.named(namespace, name)) is not None:
                self.intake().forget(OPERATION, known.metadata.uid)
            return
        new = self.operations.get(body["metadata"]["uid"]) is None
        record = self.intake().read(OPERATION, body)
        if record is not None:
            self.intake().take(OPERATION, with_age(record, self.cluster.server_time()) if new else record)


def _made_from(observed: Observed) -> Hashable:
    """What the first pod depends on: while that is the same, a refusal holds."""
    workflow = observed.workflow.metadata if observed.workflow else None
    made_from = (workflow.uid, workflow.generation) if workflow else None
    return observed.execution.metadata.generation, made_from, observed.settings


def _first_pod(observed: Observed) -> Opaque:
    spec = observed.execution.spec.workflow_spec or (observed.workflow.spec if observed.workflow else None)
    if spec is None:
        raise ValueError("a dry run needs a workflow, in place or by reference")
    arguments = observed.execution.spec.arguments
    return dry_run_manifest(observed.execution, spec, arguments, observed.settings)
