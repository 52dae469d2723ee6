"""Put off: what need not be written at once, because a later write holds it too.

Contract: pure; `counts` is asked for a write of `after` over `before` and says until when that can wait; None: not at
all. What it puts off is true nevertheless: all that it permits is done meanwhile. So a run with many operations is
written once in `COUNTS`, however many of them begin and end.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from desist.lifecycle.shown.derived import DERIVED
from desist.lifecycle.view import RunView, Status

COUNTS = timedelta(seconds=10)
_COUNTED = (*DERIVED, "operations", "unconfirmed")


def counts(view: RunView, before: Status, after: Status) -> datetime | None:
    """Of a run: where nothing else has changed than how many operations are where."""
    known, found = getattr(before, "operations", None), getattr(after, "operations", None)
    if known == found or not same(before, after, _COUNTED) or view.observed.counted_at is None:
        return None
    return view.observed.counted_at + COUNTS


def same(before: Status, after: Status, besides: tuple[str, ...]) -> bool:
    """Whether the two differ in nothing but these fields."""
    return before.replace(**{name: getattr(after, name) for name in besides if hasattr(after, name)}) == after
