"""Seats: so many at a time, in groups that take turns, so that who holds many for long never has them all.

Contract: inside `held` one has a seat; who finds none waits, behind those of its group and in turn with the others. A
group holds at most SHARE times as many as it leaves free: where each call of one tenant hangs, another's finds a seat.
The empty group is nobody's, and has no such bound. Whoever is cancelled holds nothing and waits for nothing.
Rejected: a semaphore (a hundred postings to pods whose admission hangs, each for as long as an answer may take, and one
to another tenant's pod behind them).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from desist.kube.turns import Group, Turns

SHARE = 3
"""A group may hold so many times the seats that are free."""


class Seats:
    """`count` seats."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._by_group: Counter[Group] = Counter()
        self._waiting: Turns[asyncio.Future[None]] = Turns()

    @asynccontextmanager
    async def held(self, group: str) -> AsyncIterator[None]:
        """Wait for a seat, and have it inside."""
        await self._take(group)
        try:
            yield
        finally:
            self._leave(group)

    async def _take(self, group: str) -> None:
        if self._may(group):
            self._hold(group)
            return
        seat = asyncio.get_running_loop().create_future()
        self._waiting.add(seat, group)
        try:
            await seat
        except asyncio.CancelledError:
            self._waiting.discard(seat)
            if not seat.cancelled():
                # It was handed over in the same moment.
                self._leave(group)
            raise

    def _leave(self, group: str) -> None:
        self._free += 1
        self._by_group[group] -= 1
        if not self._by_group[group]:
            del self._by_group[group]
        while (taken := self._waiting.take(self._may)) is not None:
            seat, of = taken
            if not seat.done():
                self._hold(of)
                seat.set_result(None)

    def _may(self, group: Group) -> bool:
        return self._free > 0 and (not group or self._by_group[group] < SHARE * self._free)

    def _hold(self, group: Group) -> None:
        self._free -= 1
        self._by_group[group] += 1
