"""One reconcile of one execution: observe, decide, apply; and when it is due again.

Contract: `reconcile` is called by the queue, for one key at a time, and may be called at any moment and again: it reads
what is there and does what is missing. It returns when it is due again at the latest (None: not before something
happens); it raises where the API server is at fault, and the queue backs off. It never waits for anything to happen.
Where something is otherwise than it was judged, execution and pod are read, since their events may be long in coming;
a new reconcile judges what was found, later each time in a row.
A stop that was not judged, or judged and not posted, waits for no watch to show an earlier deed: it is decided from
what may be stale, which the guards of its actions bear.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from desist.controller import log
from desist.controller.apply import Applier, Result
from desist.controller.ask import Asker
from desist.controller.caches import Caches
from desist.controller.creates import NoSlot
from desist.controller.executions import Executions
from desist.controller.interrupts import Overtaken
from desist.controller.kinds import EXECUTION, Key
from desist.controller.memory import Memory
from desist.controller.observe import Observer
from desist.controller.outcome import Outcome
from desist.controller.records import ExecutionRecord, Resting
from desist.controller.reread import Rereader
from desist.lifecycle.decide import accepted, decide
from desist.lifecycle.observed import Observed
from desist.lifecycle.plan import Plan
from desist.lifecycle.run.rest import disturbed

logger = logging.getLogger(__name__)
ROUNDS = 8
"""An answer may raise one more question (a pod that is found, its node); what asks more often asks for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionReconciler:
    """Reconciles executions."""

    executions: Executions
    caches: Caches
    memory: Memory
    observer: Observer
    asker: Asker
    applier: Applier
    rereader: Rereader
    awaits_stop: Callable[[ExecutionRecord], bool]
    clock: Callable[[], datetime]

    async def reconcile(self, uid: str) -> datetime | None:
        """Reconcile the execution of that UID; gives when it is due again. Raises kube's errors."""
        record = await self._whole(uid)
        if record is None:
            return None
        with log.context(**_fields(record)):
            now = self.clock()
            if (waits := self._waits(record)) is not None:
                return now + waits
            try:
                result = await self._decide_and_apply(record, now)
            except (NoSlot, Overtaken) as later:
                logger.debug("what starts comes later: %s", later)
                return None
            return await self._settle(record, result)

    async def _whole(self, uid: str) -> ExecutionRecord | None:
        """The record of that execution; None: it is gone, or at rest and left alone."""
        record = self.executions.get(uid)
        if isinstance(record, Resting):
            if not disturbed(self.caches.pods(record.metadata)):
                self._release(uid)
                return None
            record = await self.rereader.execution(record.metadata)
        if record is None:
            self._forget(uid)
        return record

    def _waits(self, record: ExecutionRecord) -> timedelta | None:
        """How long to wait at most until earlier deeds are seen; None: not at all."""
        uid = record.metadata.uid
        waits = self.memory.waits(uid, self.caches.pods(record.metadata))
        return None if waits is None or self.awaits_stop(record) else waits

    async def _decide_and_apply(self, record: ExecutionRecord, now: datetime) -> Result:
        self.caches.attend(record.metadata.uid, record.nodes)
        observed = self.observer.assemble(record)
        for _ in range(ROUNDS):
            decided = decide(observed, now)
            if isinstance(decided, Plan):
                result = await self.applier.apply(decided, record, self.executions.note)
                return await self._deliver(observed, record, result) if result.outcome is Outcome.UNWRITTEN else result
            observed = await self.asker.answer(decided, observed)
        raise AssertionError(f"after {ROUNDS} rounds of answers there is still a question: {decided}")

    async def _deliver(self, observed: Observed, record: ExecutionRecord, unwritten: Result) -> Result:
        """What was accepted before is delivered, though the status could not be written."""
        result = await self.applier.apply(accepted(observed, self.clock()), record)
        if result.outcome is not Outcome.DONE:
            return result
        wakes = [moment for moment in (unwritten.wake_at, result.wake_at) if moment is not None]
        return replace(unwritten, wake_at=min(wakes, default=None))

    async def _settle(self, record: ExecutionRecord, result: Result) -> datetime | None:
        uid = record.metadata.uid
        if result.outcome is Outcome.GONE:
            self.executions.forget(uid)
            self._forget(uid)
            return None
        if result.outcome is Outcome.AGAIN:
            await self.rereader.execution(record.metadata)
            if result.stale is not None:
                await self.rereader.pod(record.metadata, result.stale)
            return self.clock() + self.memory.surprised(uid)
        if result.outcome is Outcome.UNWRITTEN:
            return result.wake_at
        self.memory.went_well(uid)
        latest = result.record or record
        if not latest.open and not self._refused(record):
            self._release(uid)
        return result.wake_at

    def _refused(self, record: ExecutionRecord) -> bool:
        """Whether a stop of one of its pods was refused, and is to be tried again."""
        pods = {pod.uid for pod in self.caches.pods(record.metadata)}
        return any(refusal.pod_uid in pods for refusal in self.memory.pod_refusals(record.metadata.uid))

    def _forget(self, uid: str) -> None:
        """The execution is gone."""
        self._release(uid)
        self.applier.status.forget(uid)

    def _release(self, uid: str) -> None:
        """Its run has ended."""
        self.caches.release(uid)
        self.memory.forget(uid)
        self.applier.creates.forget(Key(EXECUTION.name, uid))
        if isinstance(self.executions.get(uid), Resting):
            self.applier.status.forget(uid)


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
