"""Put off: what need not be written at once, because a later write holds it too, or the run's status holds it already.

Contract: pure; it is asked for a write of `after` over `before` and says until when that can wait; None: not at all.
What it puts off is true nevertheless: all that it permits is done meanwhile. So a run with many operations is written
once in `COUNTS`, an operation's start costs one write and not three, and a Kill of a run costs each of its operations
the write of its end alone, unless that is long in coming.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from desist.api.status import ProcessStatus
from desist.api.vocabulary import CommandSource, ProcessState
from desist.lifecycle.shown.derived import DERIVED
from desist.lifecycle.view import RunView, Status, View, current

COUNTS = timedelta(seconds=10)
START = timedelta(seconds=10)
STOP = timedelta(seconds=2)
_COUNTED = (*DERIVED, "operations")
_STARTING = (*DERIVED, "processes", "bucket", "phase")
_TAKEN = (*_STARTING, "cancellation", "commands", "command_count")


def counts(view: RunView, before: Status, after: Status) -> datetime | None:
    """Of a run: where nothing else has changed than how many operations are where."""
    known, found = getattr(before, "operations", None), getattr(after, "operations", None)
    if known == found or not _same(before, after, _COUNTED) or view.observed.counted_at is None:
        return None
    return view.observed.counted_at + COUNTS


def start_or_stop(view: View, before: Status, after: Status) -> datetime | None:
    """Of an operation: a start that goes on, a stop of its run that was taken over."""
    return _start(before, after) or _stop(before, after)


def _start(before: Status, after: Status) -> datetime | None:
    known, found = current(before), current(after)
    if known is None or found is None or before.phase is not after.phase or not _same(before, after, _STARTING):
        return None
    return _since(found) if found.state is ProcessState.ALIVE and not found.boot_id and not known.node else None


def _since(process: ProcessStatus) -> datetime:
    return process.since + START


def _stop(before: Status, after: Status) -> datetime | None:
    force = after.in_force
    taken = before.at.unstopped and after.at.stopping and force is not None and force.source is CommandSource.RUN
    if not taken or force is None or force.accepted_at is None or not _same(before, after, _TAKEN):
        return None
    return force.accepted_at + STOP


def _same(before: Status, after: Status, besides: tuple[str, ...]) -> bool:
    """Whether the two differ in nothing but these fields."""
    return before.replace(**{name: getattr(after, name) for name in besides if hasattr(after, name)}) == after
