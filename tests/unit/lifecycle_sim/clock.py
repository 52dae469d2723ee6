"""Simulated time: it moves only when told to, and only from one timer to the next.

Contract: what is due at the same moment happens in the order in which it was asked for. Seconds count from the
builders' `T0`. Nobody in the cluster sees this time: each has a `Wall` clock of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from math import ceil

from tests.support.builders import T0, at


@dataclass(frozen=True)
class Wall:
    """Somebody's clock: it is off, and drifts on its own."""

    offset: float = 0.0
    """Seconds by which it is ahead at the start."""
    drift: float = 0.0
    """Seconds by which it gets ahead each second."""

    def at(self, moment: float) -> datetime:
        """What it shows at that moment."""
        return at(moment * (1 + self.drift) + self.offset)

    def seconds(self, moment: float) -> float:
        """The same as seconds from `T0`."""
        return (self.at(moment) - T0).total_seconds()

    def when(self, shown: datetime) -> float:
        """The moment at which it shows that, to the next millisecond."""
        moment = ((shown - T0).total_seconds() - self.offset) / (1 + self.drift)
        return ceil(moment * 1000 + (1e-3 if self != EXACT else -1e-3)) / 1000


EXACT = Wall()


@dataclass(frozen=True)
class Walls:
    """Whose clock shows what."""

    controllers: tuple[Wall, ...] = (EXACT, EXACT)
    server: Wall = EXACT
    nodes: tuple[Wall, ...] = (EXACT, EXACT)


class Clock:
    """The cluster's time and its timers."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    @property
    def next(self) -> float | None:
        """When the next timer is due."""
        return self._timers[0][0] if self._timers else None

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something so many seconds from now."""
        heappush(self._timers, (round(self.now + seconds, 3), next(self._order), action))

    def advance_to(self, moment: float) -> None:
        """Let time pass, and all that is due until then happen."""
        while self._timers and self._timers[0][0] <= moment:
            due, _, action = heappop(self._timers)
            self.now = max(self.now, due)
            action()
        self.now = max(self.now, round(moment, 3))
