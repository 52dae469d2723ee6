"""Executions are read for their operations: one read serves all that were noted before it began.

Contract: `answer` gives the execution as it is, or was at some moment after the tick that it is given; None where there
is none of that name and UID, or it is being deleted. At most one read of an execution is on its way; who comes too late
for it shares the next one. Only metadata are read, unless the store is behind (an execution may be a megabyte).
That one was read is remembered of a few executions, and safe to lose; what was read is the store's to keep, so that one
at rest is read again.
Rejected: a read for each operation (two thousand operations of a run are created in seconds).
"""

from __future__ import annotations

import asyncio
import contextvars
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
    task: asyncio.Task[ExecutionRecord | None] | None
    """None: it is over."""
    there: bool = True
    """Whether it has found the execution."""


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
            if last is None or not self._says(last, named, since):
                self._begin(name, named)
            elif last.task is None:
                return self._latest(self._whole(named) if last.there else None)
            elif last.began >= since:
                # A reconcile that is cancelled must not end the others' read.
                return self._latest(await asyncio.shield(last.task))
            else:
                await asyncio.wait((last.task,))

    def _says(self, read: _Read, named: ObjectMeta, since: int) -> bool:
        """Whether it is on its way, or has answered what was noted then, and what it has found is still at hand."""
        at_hand = not read.there or self._whole(named) is not None
        return read.task is not None or (read.began >= since and at_hand)

    def _begin(self, name: Name, named: ObjectMeta) -> None:
        self._last.pop(name, None)
        began = self._operations.tick()
        # Of its own: what its log lines tell is of no one of those who wait.
        read = asyncio.create_task(self._read(name, named, began), context=contextvars.Context())
        self._last[name] = _Read(began, read)
        if len(self._last) > KEPT:
            oldest = next((each for each, last in self._last.items() if last.task is None), None)
            if oldest is not None:
                del self._last[oldest]

    async def _read(self, name: Name, named: ObjectMeta, began: int) -> ExecutionRecord | None:
        try:
            found = await self._there(named)
        except BaseException:
            # It answers only those who wait for it now.
            self._last.pop(name, None)
            raise
        self._last[name] = _Read(began, None, there=found is not None)
        return found

    async def _there(self, named: ObjectMeta) -> ExecutionRecord | None:
        try:
            found = await self._cluster.metadata(EXECUTION, named.namespace, named.name)
        except Vanished:
            return None
        if found.uid != named.uid or found.deletion_timestamp is not None:
            return None
        known = self._whole(named)
        if known is not None and self._executions.knows(found.uid, found.resource_version):
            return known
        return await self._rereader.read(found)

    def _whole(self, named: ObjectMeta) -> ExecutionRecord | None:
        """What the store has of it, if that is all of it."""
        known = self._executions.get(named.uid)
        return known if isinstance(known, ExecutionRecord) else None

    def _latest(self, read: ExecutionRecord | None) -> WorkflowExecution | None:
        """What is known by now of the execution that was read; of one at rest, what was read."""
        if read is None:
            return None
        latest = self._whole(read.metadata) or read
        gone = self._executions.get(read.metadata.uid) is None or latest.metadata.deletion_timestamp is not None
        return None if gone else latest.execution
