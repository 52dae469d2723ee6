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
        self._read: tuple[str, datetime | None] = ("", None)
        """The last header, and its time: in a storm, dozens of answers bear the same second."""

    def __call__(self) -> datetime | None:
        """The API server's time."""
        if self._told is None:
            return None
        date, when = self._told
        return date + timedelta(seconds=self._clock() - when)

    def told(self, header: str | None) -> None:
        """An answer bore that `Date`; one that cannot be read says nothing."""
        if header is not None and header != self._read[0]:
            self._read = header, _date(header)
        if header is not None and (date := self._read[1]) is not None:
            self._told = date, self._clock()


def _date(header: str) -> datetime | None:
    """Its time in UTC; None where it cannot be read."""
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return date.astimezone(UTC) if date.tzinfo is not None else None
