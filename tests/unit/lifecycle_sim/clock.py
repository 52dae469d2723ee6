"""Simulated time: it moves only when told to, and only from one timer to the next.

Contract: what is due at the same moment happens in the order in which it was asked for. Seconds count from the
builders' `T0`.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


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
