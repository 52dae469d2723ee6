"""Deadlines: graces, `activeDeadlineSeconds` and `killAfterSeconds`, all from recorded times.

Contract: a grace is whole seconds; None is no deadline. What comes later only brings a SIGKILL forward: a grace in
force never grows. A Kill asked for before an escalation was due kills no later than the escalation would have.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from desist.api.cancellation import Cancellation
from desist.api.status import Stoppable
from desist.api.vocabulary import Mode
from desist.api.workflow import StopPolicy
from desist.lifecycle.graces import KILLED_AT_ONCE
from desist.lifecycle.stop.target import Target


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
        case _:
            assert_never(request.mode)


def shorter(one: int | None, other: int | None) -> int | None:
    """The shorter of two graces; None is longer than any."""
    return min((grace for grace in (one, other) if grace is not None), default=None)


def kill_at(status: Stoppable, grace: int | None, now: datetime) -> datetime | None:
    """When SIGKILL is due by what was accepted: the earliest acceptance plus its grace, this one's (from `now`) too."""
    known = status.stop.kill_at
    if grace is None:
        return known
    moment = now + timedelta(seconds=grace)
    return moment if known is None else min(known, moment)


def kill_after_of(policy: StopPolicy, request: Cancellation, now: datetime) -> datetime | None:
    """When a stop that is asked for now becomes a Kill by itself; None: never, or it is one."""
    seconds = request.kill_after_seconds or policy.kill_after_seconds
    return now + timedelta(seconds=seconds) if seconds and request.mode.row.becomes_kill else None


def escalates(status: Stoppable) -> bool:
    """Whether the stop that is carried out may become a Kill by itself."""
    mode = status.at.row.mode
    return mode is not None and mode.row.becomes_kill


def escalation_bound(target: Target, status: Stoppable) -> int | None:
    """The longest grace for a Kill that is asked for now, where an escalation is pending; None: none is."""
    kill_after = status.stop.kill_after
    if kill_after is None or not escalates(status):
        return None
    left = max(kill_after - target.now, timedelta(0)) // timedelta(seconds=1)
    return left + own_kill_grace(target, status)


def own_kill_grace(target: Target, status: Stoppable) -> int:
    """The grace of a Kill that fires by itself: the shortest that a request of this run means, else the workflow's."""
    judged = status.stop.kill_grace_seconds
    return kill_grace(target.policy, None) if judged is None else judged


def active_deadline(target: Target, status: Stoppable) -> datetime | None:
    """When `activeDeadlineSeconds` have passed; None: there are none, or the run has not begun, or has ended.

    They count from the acceptance, by the controller's clock: a node's may be hours off, and what cannot start has no
    time of its own.
    """
    seconds, accepted = target.active_deadline_seconds, status.accepted_at
    pending = status.open and _unended(target, status)
    return accepted + timedelta(seconds=seconds) if pending and seconds and accepted else None


def deadline_due(target: Target, status: Stoppable) -> bool:
    """Whether `activeDeadlineSeconds` end the run now."""
    moment = active_deadline(target, status)
    return moment is not None and moment <= target.now and status.at.row.mode is not Mode.KILL


def escalation_at(target: Target, status: Stoppable) -> datetime | None:
    """When the stop becomes a Kill by itself; None: never."""
    return status.stop.kill_after if _unended(target, status) and escalates(status) else None


def escalation_due(target: Target, status: Stoppable) -> bool:
    """Whether `killAfterSeconds` make the stop a Kill now."""
    moment = escalation_at(target, status)
    return moment is not None and moment <= target.now


def _unended(target: Target, status: Stoppable) -> bool:
    """Whether there is something left that a Kill would end: a process, or operations that are waited for."""
    return status.end_time is None or target.lingers
