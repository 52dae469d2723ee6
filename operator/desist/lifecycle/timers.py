"""Timers: when time alone may change what a pass decides.

Contract: each pending time is one that a step compares with; the earliest that lies ahead is enough, since the pass
that it wakes asks again. A time that has passed was acted upon, or waits for an event.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from desist.lifecycle.proof.verdict import CLOSED, next_change
from desist.lifecycle.run import start
from desist.lifecycle.run.reports import unkillable_at
from desist.lifecycle.shown.waiting import shown_at
from desist.lifecycle.stop.deadlines import ESCALATES_FROM, active_deadline
from desist.lifecycle.stop.delivery import backstop_at, posting, repeat_at, target, wanted
from desist.lifecycle.view import Status, View, current
from desist.lifecycle.wire import mailbox


def next_wake(view: View, status: Status) -> datetime | None:
    """The next time at which to pass again, later than now; None: only an event can change anything."""
    ahead = (moment for moment in _pending(view, status) if moment is not None and moment > view.now)
    return min(ahead, default=None)


def _pending(view: View, status: Status) -> Iterator[datetime | None]:
    if status.phase is None or status.phase.terminal:
        return
    yield status.next_attempt_at
    yield start.retry_at(view, status)
    if status.end_time is None:
        yield active_deadline(view, status)
        if status.cancellation is not None and status.phase in ESCALATES_FROM:
            yield status.cancellation.kill_after
    process = current(status)
    if process is None or process.state in CLOSED:
        return
    if view.never_seen(status):
        yield _look_again(view, status)
        return
    if view.unwatched(status):
        yield view.now + timedelta(seconds=view.settings.look_again_after)
    evidence = view.evidence(status, process)
    yield next_change(evidence, view.now)
    yield unkillable_at(evidence)
    yield shown_at(view, status)
    yield from _delivery(view, status)


def _look_again(view: View, status: Status) -> datetime | None:
    """When a pod that was never seen is asked for: no event tells of one that no watch shows, or that came and went.

    A stop asks for it at once, and a create that was refused is repeated at its own time.
    """
    if status.phase not in start.UNSTOPPED or start.create_refused(view, status):
        return None
    return view.now + timedelta(seconds=view.settings.look_again_after)


def _delivery(view: View, status: Status) -> Iterator[datetime | None]:
    pod = target(view, status)
    if pod is None or wanted(view, status) is None:
        return
    held = posting(view, status) or mailbox.parse(pod.mailbox)
    if held is not None:
        yield backstop_at(view, held)
        yield repeat_at(view, pod, held)
