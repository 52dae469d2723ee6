"""One reconcile of one object: observe, decide, apply; and when it is due again.

Contract: `reconcile` is called by the queue, for one key at a time, and may be called at any moment and again: it reads
what is there and does what is missing. It returns when it is due again at the latest (None: not before something
happens); it raises where the API server is at fault, and the queue backs off. It never waits for anything to happen.
What it needs and cannot read is no fault, and is read again seldom.
Where something is otherwise than it was judged, object and pod are read, since their events may be long in coming;
a new reconcile judges what was found, later each time in a row.
A stop that was not judged, or judged and not posted, waits for no watch to show an earlier deed: it is decided from
what may be stale, which the guards of its actions bear.
Executions and operations go through the same code; what differs is a `Logic`.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from desist.controller import log
from desist.controller.apply import Applier, Result
from desist.controller.ask import Asker
from desist.controller.caches import Caches
from desist.controller.cluster import Vanished
from desist.controller.creates import NoSlot
from desist.controller.interrupts import Overtaken
from desist.controller.kinds import Key, Kind, Unreadable
from desist.controller.memory import Memory
from desist.controller.observe import Seen
from desist.controller.outcome import Outcome
from desist.controller.records import Placed, StoppableRecord
from desist.controller.reread import Rereader
from desist.controller.store import Store
from desist.lifecycle.observed.questions import Questions
from desist.lifecycle.plan import Plan

logger = logging.getLogger(__name__)
ROUNDS = 8
"""An answer may raise one more question (a pod that is found, its node); what asks more often asks for ever."""
UNREADABLE_AGAIN = timedelta(minutes=1)
"""Before what cannot be read is read again: that it was mended wakes nobody, where it is again as it was."""
Judged = TypeVar("Judged", bound=StoppableRecord)


def _always(_: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Logic(Generic[Judged, Seen]):
    """What is different about a kind."""

    kind: Kind[Judged]
    store: Store[Any]
    is_whole: Callable[[Any], bool]
    """Whether a record holds all that is decided from; another one is of an object at rest."""
    assemble: Callable[[Judged], Seen]
    decide: Callable[[Seen, datetime], Plan | Questions]
    accepted: Callable[[Seen, datetime], Plan]
    awaits_stop: Callable[[Judged], bool]
    rests_until: Callable[[Any], datetime | None]
    """When an object at rest is to be read again, which may be now; None: not before something happens."""
    holds: Callable[[Seen], bool] = _always
    """Whether what a start was judged by is still so."""
    in_steps: bool = False
    """Whether what a write permits is left to the reconcile that follows it: an own write brings no event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler(Generic[Judged, Seen]):
    """Reconciles the objects of one kind."""

    logic: Logic[Judged, Seen]
    caches: Caches
    memory: Memory
    asker: Asker[Seen]
    applier: Applier
    rereader: Rereader[Judged]
    clock: Callable[[], datetime]

    async def reconcile(self, uid: str) -> datetime | None:
        """Reconcile the object of that UID; gives when it is due again. Raises kube's errors."""
        try:
            return await self._look_at(uid)
        except Unreadable as error:
            # Its watch complains of it.
            logger.debug("it comes later: %s", error)
            return self.clock() + UNREADABLE_AGAIN

    async def _look_at(self, uid: str) -> datetime | None:
        known = self.logic.store.get(uid)
        if known is not None and not self.logic.is_whole(known):
            due = self.logic.rests_until(known)
            if due is None or due > self.clock():
                self._release(uid)
                return due
            known = await self.rereader.read(known.metadata)
        if known is None:
            self._forget(uid)
            return None
        return await self._reconcile(known)

    async def _reconcile(self, record: Judged) -> datetime | None:
        with log.context(**_fields(record)):
            now = self.clock()
            if (waits := self._waits(record)) is not None:
                return now + waits
            try:
                result = await self._decide_and_apply(record, now)
            except (NoSlot, Overtaken) as later:
                logger.debug("it comes later: %s", later)
                return None
            except Vanished:
                result = Result(Outcome.GONE)
            return await self._settle(record, result)

    def _waits(self, record: Judged) -> timedelta | None:
        """How long to wait at most until earlier deeds are seen; None: not at all."""
        waits = self.memory.waits(record.metadata.uid, self.caches.of(record))
        return None if waits is None or self.logic.awaits_stop(record) else waits

    async def _decide_and_apply(self, record: Judged, now: datetime) -> Result:
        self.caches.attend(self._key(record.metadata.uid), record.nodes)
        seen = self.logic.assemble(record)
        for _ in range(ROUNDS):
            decided = self.logic.decide(seen, now)
            if isinstance(decided, Plan):
                result = await self._apply(decided, record, seen)
                return await self._deliver(seen, record, result) if result.outcome is Outcome.UNWRITTEN else result
            seen = await self.asker.answer(decided, record, seen)
        raise AssertionError(f"after {ROUNDS} rounds of answers there is still a question: {decided}")

    async def _apply(self, plan: Plan, record: Judged, seen: Seen) -> Result:
        return await self.applier.apply(plan, record, self.logic.store.note, lambda: self.logic.holds(seen))

    async def _deliver(self, seen: Seen, record: Judged, unwritten: Result) -> Result:
        """What was accepted before is delivered, though the status could not be written."""
        result = await self._apply(self.logic.accepted(seen, self.clock()), record, seen)
        if result.outcome is not Outcome.DONE:
            return result
        wakes = [moment for moment in (unwritten.wake_at, result.wake_at) if moment is not None]
        return replace(unwritten, wake_at=min(wakes, default=None))

    async def _settle(self, record: Judged, result: Result) -> datetime | None:
        uid = record.metadata.uid
        if result.outcome is Outcome.GONE:
            self.logic.store.forget(uid)
            self._forget(uid)
            return None
        if result.outcome is Outcome.AGAIN:
            await self.rereader.read(record.metadata)
            if result.stale is not None:
                await self.rereader.pod(record, result.stale)
            return self.clock() + self.memory.surprised(uid)
        if result.outcome is Outcome.UNWRITTEN:
            return result.wake_at
        self.memory.went_well(uid)
        latest = result.record or record
        if not latest.open and not self._refused(record):
            self._release(uid)
        if self.logic.in_steps and result.record is not None and latest.open:
            return self.clock()
        return result.wake_at

    def _refused(self, record: Placed) -> bool:
        """Whether a stop of one of its pods was refused, and is to be tried again."""
        pods = {pod.uid for pod in self.caches.of(record)}
        return any(refusal.pod_uid in pods for refusal in self.memory.pod_refusals(record.metadata.uid))

    def _key(self, uid: str) -> Key:
        return Key(self.logic.kind.name, uid)

    def _forget(self, uid: str) -> None:
        """The object is gone."""
        self._release(uid)
        self.applier.status.forget(uid)

    def _release(self, uid: str) -> None:
        """It has ended."""
        key = self._key(uid)
        self.caches.release(key)
        self.memory.forget(uid)
        self.applier.creates.forget(key)
        known = self.logic.store.get(uid)
        if known is not None and not self.logic.is_whole(known):
            self.applier.status.forget(uid)


def _fields(record: StoppableRecord) -> dict[str, str | None]:
    status = record.status
    stop = status.cancellation if status is not None else None
    return {
        "namespace": record.metadata.namespace,
        **record.names,
        "run": status.run_id if status is not None else None,
        "command": stop.command_id if stop is not None else None,
        "reconcile": secrets.token_hex(4),
    }
