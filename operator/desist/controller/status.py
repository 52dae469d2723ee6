"""How the status of what can be stopped is written, also where that is refused, and where two controllers disagree.

Contract: one PUT under the resourceVersion that was judged. `write` gives what came of it, and raises what says nothing
of this object (429, no connection).
- A fault that may pass (a 5xx, no answer in time, a kind that is not served just now) is raised the first time, and
  counts as a refusal from its second time in a row on: what status holds already must not wait for it.
- An object that has no room for the status (413) gets it without its texts (`lean`), now and for LEAN_FOR; nothing is
  written where that is stored already, and what is told of it is told once (`is_news`).
- A refusal is said in a Warning Event and in the log, and is not tried again before a back-off of 1 s, doubling to a
  minute, is over; a changed spec ends it, because a stop may be in it. Until then nothing of that status is promised.
- Where a stop is to be delivered, the API server has STOP_ANSWER seconds, doubling with each refusal up to
  LONGEST_ANSWER: admission that is slow, but does not hang, lets the status through in the end.
- Fields that are only derived are not fought over (`contention`).
All of it is memory: a restart tries again, and says the same.
Rejected: raising a refusal (the queue's back-off says nothing to the user, and an urgent add overtakes it: an object
whose status is refused would be written as fast as its pod changes).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from desist.api.status import Stoppable
from desist.controller import log
from desist.controller.cluster import STOP_ANSWER, Cluster, Outdated, Vanished
from desist.controller.events import Notice, RecordEvent, Subject
from desist.controller.interrupts import Interrupts
from desist.controller.kinds import Body, Key, Kind
from desist.controller.outcome import Outcome
from desist.controller.records import StoppableRecord
from desist.kube.errors import ApiError, NoAnswer, TooLarge, may_pass, of_the_server
from desist.kube.lanes import Budget
from desist.lifecycle.shown.contention import Contention, contested, written
from desist.lifecycle.shown.lean import lean

logger = logging.getLogger(__name__)

STATUS_REFUSED = "StatusRefused"
"""Reason of the Event."""
FIRST = 1.0
"""Seconds before a refused write is tried again; doubles each time in a row."""
LONGEST = 60.0
LONGEST_ANSWER = 12.0
"""Seconds that a write may take: above a webhook's default timeout of ten, so that the API server names it."""
LEAN_FOR = 600.0
"""Seconds before a status that did not fit is tried whole again; sooner where the spec has changed."""


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a write."""

    outcome: Outcome
    """DONE, AGAIN, GONE or UNWRITTEN."""
    record: StoppableRecord | None = None
    """The object as the write returned it."""
    again_at: datetime | None = None
    """UNWRITTEN: when it is to be tried again."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """What is remembered of a write that was refused; times by the clock of `StatusWriter`."""

    generation: int
    """Of the spec: with another one, nothing of this holds."""
    faulty: bool = False
    """There was a fault that may pass."""
    times: int = 0
    """In a row."""
    until: float = 0.0
    lean_until: float = 0.0
    told: frozenset[Notice] = frozenset()
    """Events of the statuses whose texts were left out."""


class StatusWriter:
    """Writes statuses of one kind. `clock` is the controller's, `seconds` one that nobody sets."""

    def __init__(
        self,
        kind: Kind[Any],
        cluster: Cluster,
        record_event: RecordEvent,
        clock: Callable[[], datetime],
        seconds: Callable[[], float] = time.monotonic,
        interrupts: Interrupts | None = None,
    ) -> None:
        self._kind = kind
        self._cluster = cluster
        self._record_event = record_event
        self._clock = clock
        self._seconds = seconds
        self._interrupts = interrupts or Interrupts()
        self._refused: dict[str, _Refused] = {}
        self._contention: dict[str, Contention] = {}

    async def write(self, record: StoppableRecord, status: Stoppable) -> Written:
        """Write the status of the object that was judged. Raises Overtaken, and kube's errors."""
        refused = self._known(record)
        if (left := refused.until - self._seconds()) > 0:
            return self._unwritten(left)
        if refused.lean_until > self._seconds():
            status = lean(status)
            if status == record.status:
                return Written(Outcome.DONE)
        if (put_off := self._put_off(record, status)) is not None:
            return put_off
        return await self._put(record, status, refused)

    def is_news(self, uid: str, notice: Notice) -> bool:
        """Whether an Event is to be made: a status without its texts looks each time as if they were new."""
        known = self._refused.get(uid)
        if known is None or known.lean_until <= self._seconds():
            return True
        self._refused[uid] = replace(known, told=known.told | {notice})
        return notice not in known.told

    def forget(self, uid: str) -> None:
        """The object is gone, or at rest: nothing is written any more."""
        self._refused.pop(uid, None)
        self._contention.pop(uid, None)

    def _known(self, record: StoppableRecord) -> _Refused:
        known = self._refused.get(record.metadata.uid)
        generation = record.metadata.generation
        return known if known is not None and known.generation == generation else _Refused(generation)

    def _put_off(self, record: StoppableRecord, status: Stoppable) -> Written | None:
        uid, now = record.metadata.uid, self._clock()
        contention = contested(self._contention.get(uid), record.status, status, now)
        if contention is None or contention.until is None:
            return None
        if contention != self._contention.get(uid):
            logger.info("another controller sees it differently: the status waits until %s", contention.until)
        self._contention[uid] = contention
        return Written(Outcome.UNWRITTEN, again_at=contention.until)

    async def _put(self, record: StoppableRecord, status: Stoppable, refused: _Refused) -> Written:
        sent = status.wire()
        try:
            body = await self._replace(record, status, sent, refused)
        except Outdated:
            logger.debug("the object changed meanwhile: deciding again")
            return Written(Outcome.AGAIN)
        except Vanished:
            return Written(Outcome.GONE)
        except TooLarge as error:
            return await self._put_lean(record, status, refused, error)
        except ApiError as error:
            return self._failed(record, refused, error)
        # Stored as it was sent, it is not read a second time.
        stored = {**body, "status": status} if body.get("status") == sent else body
        return self._put_down(record, status, self._kind.read(stored, record))

    async def _replace(self, record: StoppableRecord, status: Stoppable, sent: Body, refused: _Refused) -> Body:
        """The PUT. What only tells of a run without a stop holds no stop up, that of the same object least of all."""
        budget = Budget.START if status.cancellation is None else Budget.STOP
        target = self._kind, record.metadata, sent, budget, _within(budget, refused)
        if budget is Budget.STOP:
            return await self._cluster.replace_status(*target)
        key = Key(self._kind.name, record.metadata.uid)
        return await self._interrupts.run(key, lambda passage: self._cluster.replace_status(*target, passage))

    async def _put_lean(
        self, record: StoppableRecord, status: Stoppable, refused: _Refused, error: ApiError
    ) -> Written:
        small = lean(status)
        if small == status:
            return self._refuse(record, refused, error)
        logger.warning("the status does not fit, its texts are left out: %s", error)
        refused = replace(refused, lean_until=self._seconds() + LEAN_FOR, told=frozenset())
        self._refused[record.metadata.uid] = refused
        if small == record.status:
            return Written(Outcome.DONE)
        return await self._put(record, small, refused)

    def _failed(self, record: StoppableRecord, refused: _Refused, error: ApiError) -> Written:
        if of_the_server(error):
            raise error
        if may_pass(error) and not refused.faulty:
            self._refused[record.metadata.uid] = replace(refused, faulty=True)
            raise error
        return self._refuse(record, refused, error)

    def _refuse(self, record: StoppableRecord, refused: _Refused, error: ApiError) -> Written:
        delay = min(FIRST * 2.0 ** min(refused.times, 30), LONGEST)
        until = self._seconds() + delay
        self._refused[record.metadata.uid] = replace(refused, times=refused.times + 1, until=until)
        logger.error("the status is refused, again in %.0f s: %s", delay, error)
        notice = Notice(STATUS_REFUSED, f"the API server refuses the status: {_words(error)}", warning=True)
        self._record_event(Subject(self._kind, record.metadata), notice)
        return self._unwritten(delay)

    def _unwritten(self, seconds: float) -> Written:
        return Written(Outcome.UNWRITTEN, again_at=self._clock() + timedelta(seconds=seconds))

    def _put_down(self, record: StoppableRecord, status: Stoppable, made: StoppableRecord) -> Written:
        """Remember what was written, and say it."""
        uid = record.metadata.uid
        # As it is stored: what the API server has made of it is no other controller's.
        self._remember(uid, record, made.status or status)
        stop = status.cancellation
        with log.context(run=status.run_id, command=stop.command_id if stop else None):
            logger.info("phase %s", status.phase)
        return Written(Outcome.DONE, made)

    def _remember(self, uid: str, record: StoppableRecord, status: Stoppable) -> None:
        known = self._refused.get(uid)
        if known is not None and known.lean_until > self._seconds():
            self._refused[uid] = replace(known, faulty=False, times=0, until=0.0)
        else:
            self._refused.pop(uid, None)
        contention = written(self._contention.get(uid), record.status, status)
        if contention is not None:
            self._contention[uid] = contention


def _within(budget: Budget, refused: _Refused) -> float:
    """Seconds in which the API server must have answered."""
    if budget is Budget.START:
        return LONGEST_ANSWER
    return min(STOP_ANSWER * 2.0 ** min(refused.times, 30), LONGEST_ANSWER)


def _words(error: ApiError) -> str:
    if isinstance(error, NoAnswer):
        return "it did not answer in time: does an admission webhook hang?"
    return error.message or error.reason
