"""Executions are read for their operations: one read serves all that were noted before it began.

Contract: `answer` gives the execution as it is, or was at some moment after the tick that it is given; None where there
is none of that name and UID, or it is being deleted. At most one read of an execution is on its way; who comes too late
for it shares the next one. Only metadata are read, unless the store is behind (an execution may be a megabyte).
What was read is remembered of a few executions, and safe to lose.
Rejected: a read for each operation (two thousand operations of a run are created in seconds).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from desist.api.execution import WorkflowExecution
from desist.api.meta import ObjectMeta
from desist.controller.cluster import Cluster, Vanished
from desist.controller.executions import Executions
from desist.controller.kinds import EXECUTION
from desist.controller.operations import Operations
from desist.controller.records import ExecutionRecord
from desist.controller.reread import Rereader

KEPT = 1000
"""Executions of which the last read is remembered."""
Name = tuple[str, str, str]
"""Namespace, name, UID."""


@dataclass(frozen=True, slots=True)
class _Read:
    began: int
    """The tick at which it began."""
    task: asyncio.Task[ExecutionRecord | None]


class ExecutionReads:
    """Reads executions."""

    def __init__(
        self, cluster: Cluster, executions: Executions, operations: Operations, rereader: Rereader[ExecutionRecord]
    ) -> None:
        self._cluster = cluster
        self._executions = executions
        self._operations = operations
        self._rereader = rereader
        self._last: dict[Name, _Read] = {}

    async def answer(self, named: ObjectMeta, since: int) -> WorkflowExecution | None:
        """The execution of that namespace, name and UID. Raises kube's errors, and Unreadable."""
        name = (named.namespace, named.name, named.uid)
        while True:
            last = self._last.get(name)
            if last is not None and last.began >= since:
                # A reconcile that is cancelled must not end the others' read.
                return self._latest(await asyncio.shield(last.task))
            if last is not None and not last.task.done():
                await asyncio.wait((last.task,))
            else:
                self._begin(name, named)

    def _begin(self, name: Name, named: ObjectMeta) -> None:
        self._last.pop(name, None)
        self._last[name] = _Read(self._operations.tick(), asyncio.create_task(self._read(name, named)))
        if len(self._last) > KEPT:
            oldest = next(iter(self._last))
            if self._last[oldest].task.done():
                del self._last[oldest]

    async def _read(self, name: Name, named: ObjectMeta) -> ExecutionRecord | None:
        try:
            return await self._there(named)
        except BaseException:
            # It answers only those who wait for it now.
            self._last.pop(name, None)
            raise

    async def _there(self, named: ObjectMeta) -> ExecutionRecord | None:
        try:
            found = await self._cluster.metadata(EXECUTION, named.namespace, named.name)
        except Vanished:
            return None
        if found.uid != named.uid or found.deletion_timestamp is not None:
            return None
        known = self._executions.get(named.uid)
        if isinstance(known, ExecutionRecord) and self._executions.knows(found.uid, found.resource_version):
            return known
        return await self._rereader.read(found)

    def _latest(self, read: ExecutionRecord | None) -> WorkflowExecution | None:
        """What is known by now of the execution that was read; of one at rest, what was read."""
        if read is None:
            return None
        known = self._executions.get(read.metadata.uid)
        latest = known if isinstance(known, ExecutionRecord) else read
        gone = known is None or latest.metadata.deletion_timestamp is not None
        return None if gone else latest.execution
