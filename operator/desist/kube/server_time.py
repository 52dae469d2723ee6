"""The time by the API server's own clock: the `Date` of its last answer, and what has passed here since.

Contract: to the second. What a creationTimestamp says can be compared with it, whatever this machine's clock says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


class ServerTime:
    """Calling it gives the time; None before the first answer. `clock` gives seconds, and only ever goes forward."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: tuple[datetime, float] | None = None

    def __call__(self) -> datetime | None:
        """The API server's time."""
        if self._told is None:
            return None
        date, when = self._told
        return date + timedelta(seconds=self._clock() - when)

    def told(self, header: str | None) -> None:
        """An answer bore that `Date`; one that cannot be read says nothing."""
        try:
            date = parsedate_to_datetime(header or "")
        except (ValueError, OverflowError):
            return
        if date.tzinfo is not None:
            self._told = date.astimezone(UTC), self._clock()
