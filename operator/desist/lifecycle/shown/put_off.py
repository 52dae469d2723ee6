"""Put off: what need not be written at once, because a later write holds it too.

Contract: pure; `of_run` is asked for a write of `after` over `before` and says until when that can wait; None: not at
all. What it puts off is true nevertheless: all that it permits is done meanwhile, and it is found again at the pod that
has ended. So a run with many operations is written once in `COUNTS`, however many of them begin and end, and a Kill
costs it two writes.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from desist.api.vocabulary import Mode
from desist.lifecycle.run.view import RunView
from desist.lifecycle.shown.derived import DERIVED
from desist.lifecycle.view import Status

COUNTS = timedelta(seconds=10)
END = timedelta(seconds=2)
_COUNTED = (*DERIVED, "operations", "unconfirmed")
_ENDED = (*_COUNTED, "end_time", "failure", "result", "processes")


def of_run(view: RunView, before: Status, after: Status) -> datetime | None:
    """Of a run: the end of its process while its operations are being ended too, or how many of these are where."""
    return _end(before, after) or _counts(view, before, after)


def _end(before: Status, after: Status) -> datetime | None:
    """Under Cancel, and where nothing was asked, it is by that write that operations learn of it."""
    mode = after.at.row.mode
    if before.end_time is not None or after.end_time is None or not after.open or mode in (None, Mode.CANCEL):
        return None
    return after.end_time + END if before.phase is after.phase and same(before, after, _ENDED) else None


def _counts(view: RunView, before: Status, after: Status) -> datetime | None:
    known, found = getattr(before, "operations", None), getattr(after, "operations", None)
    if known == found or not same(before, after, _COUNTED) or view.observed.counted_at is None:
        return None
    return view.observed.counted_at + COUNTS


def same(before: Status, after: Status, besides: tuple[str, ...]) -> bool:
    """Whether the two differ in nothing but these fields."""
    return before.replace(**{name: getattr(after, name) for name in besides if hasattr(after, name)}) == after
