"""The time of one controller process: its wall clock at the start, and from then on a clock that nobody sets.

Contract: a step of the wall clock, forward or back, changes nothing while the process lives: no deadline fires early,
no retry is put off. What a process writes into status is off by as much as its wall clock was at its start; a process
that is started after the step has the new time. Where the system has a clock that goes on while the machine sleeps,
that one counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def steady_seconds() -> float:
    """Seconds since some moment, by a clock that only goes forward, through a sleep of the machine too."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


class Clock:
    """Calling it gives the time."""

    def __init__(
        self,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        steady: Callable[[], float] = steady_seconds,
    ) -> None:
        self._steady = steady
        self._began = wall()
        self._zero = steady()

    def __call__(self) -> datetime:
        """The time in UTC."""
        return self._began + timedelta(seconds=self._steady() - self._zero)
