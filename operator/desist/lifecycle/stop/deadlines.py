"""Deadlines: graces, `activeDeadlineSeconds` and `killAfterSeconds`, all from recorded times.

Contract: a grace is whole seconds; None is no deadline. What comes later only brings a SIGKILL forward: a grace in
force never grows. A Kill asked for before an escalation was due kills no later than the escalation would have.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from desist.api.cancellation import Cancellation
from desist.api.status import CancellationStatus
from desist.api.vocabulary import Mode, Phase
from desist.api.workflow import StopPolicy
from desist.lifecycle.view import Status, View, stop_policy

ESCALATES_FROM = (Phase.CANCELLING, Phase.FORCE_CANCELLING, Phase.TERMINATING)
KILLED_AT_ONCE = 0


def kill_grace(policy: StopPolicy, request: Cancellation | None) -> int:
    """Seconds from the stop signal to SIGKILL under Kill: the request's, else the workflow's, cut to its maximum."""
    asked = request.grace_period_seconds if request else None
    return min(policy.grace_period_seconds if asked is None else asked, policy.max_grace_period_seconds)


def grace_of(policy: StopPolicy, request: Cancellation) -> int | None:
    """The grace that a request's mode means."""
    match request.mode:
        case Mode.CANCEL:
            return None
        case Mode.FORCE | Mode.TERMINATE:
            return KILLED_AT_ONCE
        case Mode.KILL:
            return kill_grace(policy, request)


def shorter(one: int | None, other: int | None) -> int | None:
    """The shorter of two graces; None is longer than any."""
    return min((grace for grace in (one, other) if grace is not None), default=None)


def kill_after_of(policy: StopPolicy, request: Cancellation, now: datetime) -> datetime | None:
    """When a stop that is asked for now becomes a Kill by itself; None: never, or it is one."""
    if request.mode is Mode.KILL:
        return None
    seconds = request.kill_after_seconds or policy.kill_after_seconds
    return now + timedelta(seconds=seconds) if seconds else None


def escalation_bound(status: Status, now: datetime) -> int | None:
    """The longest grace for a Kill that is asked for now, where an escalation is pending; None: none is."""
    held = status.cancellation
    if held is None or held.kill_after is None or status.phase not in ESCALATES_FROM:
        return None
    left = max(held.kill_after - now, timedelta(0)) // timedelta(seconds=1)
    return left + own_kill_grace(status)


def own_kill_grace(status: Status) -> int:
    """The grace of a Kill that fires by itself: the shortest that a request of this run means, else the workflow's."""
    judged = status.cancellation.kill_grace_seconds if status.cancellation else None
    return kill_grace(stop_policy(status), None) if judged is None else judged


def active_deadline(view: View, status: Status) -> datetime | None:
    """When the run has used up `activeDeadlineSeconds`; None: it has none, or no process of it has started."""
    seconds = status.workflow_spec.active_deadline_seconds if status.workflow_spec else None
    started = status.start_time or _started(view, status)
    return started + timedelta(seconds=seconds) if seconds and started else None


def _started(view: View, status: Status) -> datetime | None:
    pod = view.present_pod(status)
    return pod.workflow.started_at if pod else None


def deadline_due(view: View, status: Status) -> bool:
    """Whether `activeDeadlineSeconds` ends the run now."""
    moment = active_deadline(view, status)
    over = status.phase is None or status.phase.terminal or status.phase is Phase.KILL_CANCELLING
    return not over and status.end_time is None and moment is not None and moment <= view.now


def escalation_due(view: View, status: Status) -> bool:
    """Whether `killAfterSeconds` makes the stop a Kill now."""
    held: CancellationStatus | None = status.cancellation
    if held is None or held.kill_after is None or status.end_time is not None:
        return False
    return status.phase in ESCALATES_FROM and held.kill_after <= view.now
