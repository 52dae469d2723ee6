"""Commands: judging `spec.cancellation`.

Contract: a request is judged once; its copy in `cancellation.observed` says so, whatever the answer was. What is
accepted changes the phase, the record and the history in the same status value. A record that is not accepted changes
nothing but, where it is a duplicate, by what makes the stop harder (a shorter grace, an earlier killAfter, Forget),
and, where it is weaker than what is in force, by Forget.
"""

from __future__ import annotations

from datetime import timedelta

from desist.api.cancellation import Cancellation
from desist.api.records import CommandRecord
from desist.api.status import Stoppable
from desist.api.vocabulary import COMPLETION, CommandStatus, Mode, OnLostNode, Phase, RejectionReason
from desist.lifecycle.stop import deadlines, records
from desist.lifecycle.stop.accept import Reap, accept, address
from desist.lifecycle.stop.target import S, Target


def unanswered(request: Cancellation | None, status: Stoppable) -> bool:
    """Whether the spec holds a request, or no more, that this status does not answer."""
    return request != status.stop.observed


def judge(target: Target, status: S) -> S:
    """Answer what the spec asks for, where it differs from what was judged last."""
    request = target.request
    if not unanswered(request, status):
        return status
    if request is None:
        return status.stopping(observed=None)
    stray = address(request.run_id, status.run_id)
    answered = records.reject(target, status, stray) if stray else _answer(target, status, request)
    return answered.stopping(observed=request)


def put_in_force(target: Target, status: S, record: CommandRecord, grace: int | None) -> S:
    """The status with an accepted command in force."""
    ended = status.end_time is not None
    if ended:
        note = "the workflow process had ended before: its own end counts"
        message = f"{record.message}; {note}" if record.message else note
        record = record.replace(superseded_by=COMPLETION, message=message)
    taken = status.stopping(
        mode=record.mode,
        command_id=record.id,
        since=target.now,
        grace_period_seconds=deadlines.shorter(status.stop.grace_period_seconds, grace),
        kill_at=deadlines.kill_at(status, grace, target.now),
    )
    return records.keep(taken if ended else records.supersede(taken, record.id), record)


def _answer(target: Target, status: S, request: Cancellation) -> S:
    cell = accept(target.row(status, request.mode), request.mode)
    match cell:
        case Phase():
            return _accept(target, status, request, cell)
        case Reap.REAP:
            return _reap(target, status, request)
        case RejectionReason.DUPLICATE:
            return _duplicate(target, status, request)
        case RejectionReason.WEAKER_THAN_CURRENT:
            return _take_forget(records.reject(target, status, cell), request)
        case _:
            return records.reject(target, status, cell)


def _accept(target: Target, status: S, request: Cancellation, phase: Phase) -> S:
    policy = target.policy
    bound = deadlines.escalation_bound(target, status) if request.mode is Mode.KILL else None
    asked = deadlines.grace_of(policy, request)
    grace = deadlines.shorter(asked, bound)
    notes = _cut(request, policy.max_grace_period_seconds)
    if bound is not None and grace != asked:
        notes.append(f"the grace is {grace} s, since killAfterSeconds of an earlier request were about to pass")
    record = records.make(target, status, records.origin_of(target), CommandStatus.ACCEPTED, notes)
    taken = put_in_force(target, status, record, grace)
    taken = _harden(target, taken, request, record.sequence).stopping(end_mode=request.mode)
    return records.log(target, taken, request.mode.row.requested, record, None).replace(phase=phase)


def _reap(target: Target, status: S, request: Cancellation) -> S:
    """A Kill of an ended run: it is for what that has left running, and changes nothing of the run's own end."""
    policy = target.policy
    grace = deadlines.kill_grace(policy, request)
    notes = ["the run has ended; what it left running is ended", *_cut(request, policy.max_grace_period_seconds)]
    record = records.make(target, status, records.origin_of(target), CommandStatus.ACCEPTED, notes)
    taken = status.stopping(
        mode=record.mode,
        command_id=record.id,
        since=target.now,
        grace_period_seconds=grace,
        kill_at=target.now + timedelta(seconds=grace),
        kill_after=None,
        kill_after_sequence=None,
    )
    kept = records.keep(_take_forget(taken, request), record)
    return records.log(target, kept, request.mode.row.requested, record, None)


def _duplicate(target: Target, status: S, request: Cancellation) -> S:
    held = status.stop
    notes = [f"{request.mode.value} is in force already"]
    grace = deadlines.grace_of(target.policy, request)
    if request.mode is Mode.KILL and grace is not None and _is_sooner(target, status, grace):
        status = status.stopping(grace_period_seconds=grace, kill_at=deadlines.kill_at(status, grace, target.now))
        notes.append(f"the grace is now {grace} s")
    hardened = _harden(target, status, request, status.command_count + 1)
    if hardened.stop.kill_after != held.kill_after:
        notes.append("it becomes a Kill earlier")
    if hardened.stop.forget_lost_nodes and not held.forget_lost_nodes:
        notes.append("lost nodes are not waited for any more")
    record = records.make(target, status, records.origin_of(target), CommandStatus.DUPLICATE, notes)
    return records.keep(hardened, record.replace(id=held.command_id or ""))


def _is_sooner(target: Target, status: Stoppable, grace: int) -> bool:
    """Whether a grace that is counted from now ends before the one in force."""
    due = max(filter(None, (target.posted_deadline, status.stop.kill_at)), default=None)
    return due is None or (due - target.now).total_seconds() > grace


def _harden(target: Target, status: S, request: Cancellation, sequence: int) -> S:
    """The status with all by which a request, accepted or a duplicate, makes the stop harder than its mode does."""
    kill_grace = deadlines.kill_grace(target.policy, request)
    bounded = status.stopping(kill_grace_seconds=deadlines.shorter(status.stop.kill_grace_seconds, kill_grace))
    return _take_forget(_take_kill_after(target, bounded, request, sequence), request)


def _take_kill_after(target: Target, status: S, request: Cancellation, sequence: int) -> S:
    kill_after = deadlines.kill_after_of(target.policy, request, target.now)
    known = status.stop.kill_after
    if kill_after is None or (known is not None and known <= kill_after):
        return status
    return status.stopping(kill_after=kill_after, kill_after_sequence=sequence)


def _take_forget(status: S, request: Cancellation) -> S:
    return status.stopping(forget_lost_nodes=True) if request.on_lost_node is OnLostNode.FORGET else status


def _cut(request: Cancellation, longest: int) -> list[str]:
    asked = request.grace_period_seconds
    if asked is None or asked <= longest:
        return []
    return [f"gracePeriodSeconds {asked} was cut to the workflow's maxGracePeriodSeconds, {longest}"]
