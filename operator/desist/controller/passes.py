"""One pass over one execution: observe, decide, apply; and when to pass again.

Contract: `run` is called by the queue, for one key at a time, and may be called at any moment and again: it reads what
is there and does what is missing. It returns when to pass again at the latest (None: not before something happens); it
raises where the API server is at fault, and the queue backs off. It never waits for anything to happen. Where something
is otherwise than it was judged, execution and pod are read, since their events may be long in coming; a new pass judges
what was found, later each time in a row.
A stop that was not judged, or judged and not posted, waits for no watch to show an earlier deed: its pass decides from
what may be stale, which the guards of its actions bear.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from desist.controller import log
from desist.controller.apply import Applier, Outcome, Result
from desist.controller.cluster import Vanished
from desist.controller.executions import Executions
from desist.controller.observe import Observer
from desist.controller.records import ExecutionRecord, execution_record
from desist.controller.views import PodRecord
from desist.lifecycle import decide
from desist.lifecycle.observed import WantedPod

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Passes:
    """Passes over executions."""

    executions: Executions
    observer: Observer
    applier: Applier

    async def run(self, uid: str) -> datetime | None:
        """One pass; gives when the next one is due. Raises kube's errors."""
        record = self.executions.get(uid)
        if record is None:
            self._release(uid)
            return None
        with log.context(**_fields(record)):
            now = self.applier.clock()
            if (waits := self._waits(record)) is not None:
                return now + waits
            result = await self._decide_and_apply(record, now)
            return await self._settle(record, result)

    def _waits(self, record: ExecutionRecord) -> timedelta | None:
        """How long to wait at most until earlier deeds are seen; None: not at all."""
        uid = record.metadata.uid
        waits = self.observer.memory.waits(uid, self.observer.caches.pods(uid))
        return None if waits is None or self.observer.urgent(record) else waits

    async def _decide_and_apply(self, record: ExecutionRecord, now: datetime) -> Result:
        self.observer.caches.attend(record.metadata.uid, record.nodes)
        observed = self.observer.assemble(record, now)
        asked = decide.questions(observed, now)
        observed = await self.observer.answer(asked, observed)
        if asked.live_pod is not None:
            # The pod that was found may raise a question about its node.
            observed = await self.observer.answer(decide.questions(observed, now), observed)
        plan = decide.decide(observed, now)
        return await self.applier.apply(plan, record)

    async def _settle(self, record: ExecutionRecord, result: Result) -> datetime | None:
        uid = record.metadata.uid
        if result.record is not None:
            self.executions.note(result.record)
        if result.outcome is Outcome.GONE:
            self.executions.forget(uid)
            self._release(uid)
            return None
        if result.outcome is Outcome.AGAIN:
            await self._refresh(record)
            if result.stale is not None:
                await self._reread(record, result.stale)
            return self.applier.clock() + self.observer.memory.surprised(uid)
        self.observer.memory.went_well(uid)
        latest = result.record or record
        if not latest.open:
            self._release(uid)
        return result.wake_at

    async def _refresh(self, record: ExecutionRecord) -> None:
        """Read what is there now, so that the next pass does not judge the same stale state once more."""
        metadata = record.metadata
        try:
            fresh = execution_record(
                await self.applier.cluster.get("WorkflowExecution", metadata.namespace, metadata.name)
            )
        except Vanished:
            self.executions.forget(metadata.uid)
            return
        if fresh.metadata.uid == metadata.uid:
            self.executions.note(fresh)
        else:
            # The other one's own event brings it a pass; noted here, that event would say nothing new.
            self.executions.forget(metadata.uid)

    async def _reread(self, record: ExecutionRecord, pod: str) -> None:
        """Read the pod of that UID. One that is not there any more is left to its DELETED event, which holds proof."""
        metadata, caches = record.metadata, self.observer.caches
        known = next((view for view in caches.pods(metadata.uid) if view.uid == pod), None)
        if known is None:
            return
        wanted = WantedPod(known.name, known.run_id, known.attempt, known.uid)
        found = await self.applier.cluster.live_pod(metadata, wanted)
        if found is not None:
            caches.pod_read(PodRecord(metadata.namespace, metadata.uid, found))

    def _release(self, uid: str) -> None:
        self.observer.caches.release(uid)
        self.observer.memory.forget(uid)


def _fields(record: ExecutionRecord) -> dict[str, str | None]:
    status = record.execution.status
    stop = status.cancellation if status is not None else None
    return {
        "namespace": record.metadata.namespace,
        "execution": record.metadata.name,
        "run": status.run_id if status is not None else None,
        "command": stop.command_id if stop is not None else None,
        "reconcile": secrets.token_hex(4),
    }
