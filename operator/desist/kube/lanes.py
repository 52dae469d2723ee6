"""Four budgets of requests, so that a storm of starts never delays a stop, and Events never delay anything.

Contract: each `Budget` has a lane of its own: so many requests at a time, so many a second (with a burst). `Lane.enter`
is a context manager around one request, told how long the others take; who is in for much longer gives its seat to the
next one, and stays, up to `hanging` in all: so few at a time that the first is answered soon, and yet nobody waits for
a webhook of somebody else's. A lane that was told to wait (429 with Retry-After) lets nothing in until then; the other
lanes go on. Watches take no lane.
Rejected:
- one budget with priorities inside: requests on the wire cannot be overtaken;
- one for all of a stop: pods' admission that hangs, or is limited, would hold up other runs' acceptance, and what is
  pushed to their pods then;
- Events among the starts: an API server that is slow with them, or limits them, would hold up creates, lists and reads;
- no budget at all: API priority and fairness sees one account, stops and starts alike;
- forty seats: an API server with two cores works at all forty at once, and the first is answered with the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum

from desist.kube.answers import Answers


class Budget(Enum):
    """What a request is for."""

    STOP = "stop"
    """What a stop waits for before it is told: acceptance, and the reads that this waits for; and a run's end."""
    TELL = "tell"
    """What tells a pod: mailbox and DELETE."""
    START = "start"
    """Everything else that a reconcile needs."""
    EVENT = "event"
    """Events: nothing waits for them."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much of the API server a lane may use."""

    at_a_time: int
    a_second: float
    burst: int
    hanging: int = 0
    """At a time, with those that are not answered as soon as others; 0: as many as `at_a_time`."""


@dataclass(slots=True)
class Passage:
    """One request's way, for whoever may call it off."""

    sent: bool = False
    """Whether it may have been carried out: it has left its lane, and was not answered with a 429 since."""


LEAST_HANGS, LONGEST_HANGS = 0.1, 15.0
"""Bounds of the seconds in which a request keeps its seat, however soon or late others were answered."""


class Lane:
    """One budget's gate. Waiting requests are let in in their order."""

    def __init__(self, allowance: Allowance) -> None:
        self._seats = asyncio.Semaphore(allowance.at_a_time)
        self._places = asyncio.Semaphore(max(allowance.at_a_time, allowance.hanging))
        self._interval = 1.0 / allowance.a_second
        self._head_start = (allowance.burst - 1) * self._interval
        self._next = float("-inf")
        self._closed_until = 0.0
        self._asked = 0
        self._busy_since = 0.0
        self._idle = asyncio.Event()
        self.answers = Answers()

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Wait for a seat and for the pace; hold the seat inside."""
        with self._counted():
            async with self._places:
                await self._seats.acquire()
                seat = _Seat(self._seats)
                try:
                    await self._wait()
                    seat.leave_in(self.answers.within(LEAST_HANGS, LONGEST_HANGS))
                    yield
                finally:
                    seat.leave()

    def close_for(self, seconds: float) -> None:
        """Let nothing in for that long."""
        self._closed_until = max(self._closed_until, asyncio.get_running_loop().time() + seconds)

    @property
    def busy(self) -> bool:
        """Whether requests are in it, or wait."""
        return self._asked > 0

    async def calm(self, within: float) -> None:
        """Wait until nobody is in it, at most until it has been busy for so many seconds without a pause."""
        if self.busy:
            left = self._busy_since + within - asyncio.get_running_loop().time()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), max(0.0, left))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if not self._asked:
            self._busy_since = asyncio.get_running_loop().time()
            self._idle.clear()
        self._asked += 1
        try:
            yield
        finally:
            self._asked -= 1
            if not self._asked:
                self._idle.set()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._next = max(self._next, now - self._head_start) + self._interval
        turn = self._next - self._interval
        await asyncio.sleep(max(0.0, turn - now))
        # While it waits, the lane may be closed for longer.
        while (closed := self._closed_until - loop.time()) > 0:  # noqa: ASYNC110 - a pace is a matter of time alone
            await asyncio.sleep(closed)


class _Seat:
    """A seat that was taken; it is given to the next one once."""

    def __init__(self, seats: asyncio.Semaphore) -> None:
        self._seats: asyncio.Semaphore | None = seats
        self._timer: asyncio.TimerHandle | None = None

    def leave_in(self, seconds: float) -> None:
        """Give it up then, if it is still held."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self.leave)

    def leave(self) -> None:
        """Give it up."""
        if self._timer is not None:
            self._timer.cancel()
        seats, self._seats = self._seats, None
        if seats is not None:
            seats.release()
