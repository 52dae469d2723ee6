"""Four budgets of requests, so that a storm of starts never delays a stop, and Events never delay anything.

Contract: each `Budget` has a lane of its own: so many requests at a time, so many a second (with a burst). `Lane.enter`
is a context manager around one request. A lane that was told to wait (429 with Retry-After) lets nothing in until
then; the other lanes go on. Watches take no lane. Who can wait until others' requests are done asks whether the lane is
`busy`: has CROWD of them or more; a request that takes much longer than its like (a webhook hangs, say) does not count.
A crowd that comes again soon began when it came first: else waves of a few would be a new burst each, without end.
Rejected:
- one budget with priorities inside: requests on the wire cannot be overtaken;
- one for all of a stop: pods' admission that hangs, or is limited, would hold up other runs' acceptance, and what is
  pushed to their pods then;
- Events among the starts: an API server that is slow with them, or limits them, would hold up creates, lists and reads;
- no budget at all: API priority and fairness sees one account, stops and starts alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum

from desist.kube.answers import Answers
from desist.kube.seats import Seats


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


@dataclass(slots=True)
class Passage:
    """One request's way, for whoever may call it off."""

    sent: bool = False
    """Whether it may have been carried out: it has left its lane, and was not answered with a 429 since."""


CROWD = 4
"""Requests that make a lane busy: a few at once are done before anybody has waited for them."""
APART = 1.0
"""Seconds of calm between two crowds: what comes sooner is the same crowd, which fell short for a moment."""
LEAST_HANGS, LONGEST_HANGS = 0.5, 15.0
"""Bounds of the seconds in which a request keeps its lane busy, however soon or late others were answered."""


class Lane:
    """One budget's gate. Waiting requests of a group are let in in their order; groups take turns (`Seats`)."""

    def __init__(self, allowance: Allowance) -> None:
        self._seats = Seats(allowance.at_a_time)
        self._interval = 1.0 / allowance.a_second
        self._head_start = (allowance.burst - 1) * self._interval
        self._next = float("-inf")
        self._closed_until = 0.0
        self._asked = 0
        self._busy_from = 0.0
        self._calm_from = float("-inf")
        self._calm = asyncio.Event()
        self.answers = Answers()

    @asynccontextmanager
    async def enter(self, group: str = "") -> AsyncIterator[None]:
        """Wait for a seat and for the pace; hold the seat inside. `group`: who shares seats; empty: nobody's."""
        with ExitStack() as counted:
            self._come()
            counted.callback(self._go)
            async with self._seats.held(group):
                await self._wait()
                loop = asyncio.get_running_loop()
                hangs = self.answers.within(LEAST_HANGS, LONGEST_HANGS, loop.time())
                counted.callback(loop.call_later(hangs, counted.close).cancel)
                yield

    def close_for(self, seconds: float) -> None:
        """Let nothing in for that long."""
        self._closed_until = max(self._closed_until, asyncio.get_running_loop().time() + seconds)

    def busy(self, since: float = float("inf")) -> bool:
        """Whether a crowd is in it, or waits; with `since`, whether that began not so many seconds ago."""
        return self._asked >= CROWD and asyncio.get_running_loop().time() - self._busy_from < since

    async def calm(self, since: float) -> None:
        """Wait while it is busy since so many seconds at most."""
        if self.busy(since):
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._busy_from + since):
                    await self._calm.wait()

    def _come(self) -> None:
        self._asked += 1
        if self._asked == CROWD:
            now = asyncio.get_running_loop().time()
            if now - self._calm_from >= APART:
                self._busy_from = now
            self._calm.clear()

    def _go(self) -> None:
        self._asked -= 1
        if self._asked == CROWD - 1:
            self._calm_from = asyncio.get_running_loop().time()
            self._calm.set()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._next = max(self._next, now - self._head_start) + self._interval
        turn = self._next - self._interval
        await asyncio.sleep(max(0.0, turn - now))
        # While it waits, the lane may be closed for longer.
        while (closed := self._closed_until - loop.time()) > 0:  # noqa: ASYNC110 - a pace is a matter of time alone
            await asyncio.sleep(closed)
