"""Back-off: when a posting or a DELETE that was refused is tried again.

Contract: 1 s after the first refusal, doubling to 60 s. Only the same call waits; what asks for more is tried at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from desist.lifecycle.observed.questions import Refusal

FIRST = 1.0
LONGEST = 60.0
"""Seconds."""


def until(refusal: Refusal | None) -> datetime | None:
    """When it is tried again; None: nothing was refused."""
    if refusal is None:
        return None
    seconds = min(FIRST * 2 ** min(max(refusal.times - 1, 0), 16), LONGEST)
    return refusal.at + timedelta(seconds=seconds)


def due(refusal: Refusal | None, now: datetime) -> bool:
    """Whether it may be tried now."""
    moment = until(refusal)
    return moment is None or moment <= now
