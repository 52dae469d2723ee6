"""Commands: judging `spec.cancellation`, deadlines and escalations, and the records of all of them.

Contract: a request is judged once; its copy in `status.cancellation.observed` says so, whatever the answer was. What
is accepted changes the phase, the record and the history in the same status value. A record that is not accepted
changes nothing but, where it is a duplicate, by what makes the stop harder (a shorter grace, an earlier killAfter,
Forget), and, where it is weaker than what is in force, by Forget.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from desist.api.cancellation import Cancellation
from desist.api.status import CancellationStatus, CommandRecord
from desist.api.vocabulary import (
    CommandKind,
    CommandSource,
    CommandStatus,
    HistoryType,
    Mode,
    OnLostNode,
    Phase,
    RejectionReason,
    TargetScope,
)
from desist.lifecycle import history
from desist.lifecycle.ids import ulid
from desist.lifecycle.proof.verdict import CLOSED
from desist.lifecycle.run.closing import COMPLETION, end_without_pod, modes_end
from desist.lifecycle.stop import deadlines
from desist.lifecycle.stop.accept import accept, address, row
from desist.lifecycle.view import Status, View, current, stop_policy
from desist.lifecycle.wire import mailbox

KEPT_OTHERS = 20
"""How many records of commands that were not accepted are kept."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks, and in which words."""

    source: CommandSource
    mode: Mode
    reason: str | None = None
    details: str | None = None
    field_manager: str | None = None
    request_id: str | None = None
    requested_run_id: str | None = None


def has_pod(view: View, status: Status) -> bool:
    """Whether the current attempt has a pod, or may have one, whose process is not known to be gone."""
    process = current(status)
    if status.attempt is None or process is None:
        return False
    return process.state not in CLOSED and not view.absent(status)


def judge_request(view: View, status: Status) -> Status:
    """Step: `spec.cancellation`, where it differs from what was judged last."""
    request = view.spec.cancellation
    held = status.cancellation or CancellationStatus()
    if request == held.observed:
        return status
    if request is None:
        return _observe(status, None)
    stray = address(request.run_id, status.run_id)
    if stray is not None:
        return _observe(_reject(view, status, request, stray), request)
    return _observe(_answer(view, status, request), request)


def fire_deadline(view: View, status: Status) -> Status:
    """Step: `activeDeadlineSeconds`."""
    if not deadlines.deadline_due(view, status):
        return status
    if not has_pod(view, status):
        return end_without_pod(view, status, modes_end(status))
    seconds = status.workflow_spec.active_deadline_seconds if status.workflow_spec else None
    origin = Origin(CommandSource.DEADLINE, Mode.KILL)
    return _fire(view, status, origin, f"activeDeadlineSeconds ({seconds}) have passed")


def escalate(view: View, status: Status) -> Status:
    """Step: `killAfterSeconds`."""
    held = status.cancellation
    if held is None or not deadlines.escalation_due(view, status):
        return status
    asked = next((r for r in status.commands if r.sequence == held.kill_after_sequence), None)
    origin = Origin(
        source=CommandSource.ESCALATION,
        mode=Mode.KILL,
        reason=asked.reason if asked else None,
        details=asked.details if asked else None,
        field_manager=asked.field_manager if asked else None,
        request_id=asked.request_id if asked else None,
    )
    return _fire(view, status, origin, "killAfterSeconds have passed and the run has not ended")


def _answer(view: View, status: Status, request: Cancellation) -> Status:
    cell = accept(row(status.phase or Phase.PENDING, pod=has_pod(view, status)), request.mode)
    match cell:
        case Phase():
            return _accept(view, status, request, cell)
        case RejectionReason.DUPLICATE:
            return _duplicate(view, status, request)
        case RejectionReason.WEAKER_THAN_CURRENT:
            return _forget(_reject(view, status, request, cell), request)
        case _:
            return _reject(view, status, request, cell)


def _accept(view: View, status: Status, request: Cancellation, phase: Phase) -> Status:
    policy = stop_policy(status)
    bound = deadlines.escalation_bound(status, view.now) if request.mode is Mode.KILL else None
    asked = deadlines.grace_of(policy, request)
    grace = deadlines.shorter(asked, bound)
    notes = [*_cut(request, policy.max_grace_period_seconds)]
    if bound is not None and grace != asked:
        notes.append(f"the grace is {grace} s, since killAfterSeconds of an earlier request were about to pass")
    record = _record(view, status, _origin(view, request), CommandStatus.ACCEPTED, notes)
    taken = _take(view, status, record, grace)
    taken = _hastened(view, taken, request, record.sequence)
    named = _held(taken).model_copy(update={"end_mode": request.mode})
    taken = _logged(view, _holding(taken, named), history.REQUESTED[request.mode], record, None)
    return end_without_pod(view, taken, phase) if phase.terminal else taken.model_copy(update={"phase": phase})


def _fire(view: View, status: Status, origin: Origin, why: str) -> Status:
    """What fires by itself: a Kill that hastens the end and does not rename it."""
    record = _record(view, status, origin, CommandStatus.ACCEPTED, [why])
    taken = _take(view, status, record, deadlines.own_kill_grace(status))
    killing = taken.model_copy(update={"phase": Phase.KILL_CANCELLING})
    return _logged(view, killing, HistoryType.CANCELLATION_ESCALATED, record, why)


def _take(view: View, status: Status, record: CommandRecord, grace: int | None) -> Status:
    """Put an accepted command in force."""
    held = _held(status)
    ended = status.end_time is not None
    if ended:
        note = "the workflow process had ended before: its own end counts"
        message = f"{record.message}; {note}" if record.message else note
        record = record.model_copy(update={"superseded_by": COMPLETION, "message": message})
    taken = _holding(
        status,
        held.model_copy(
            update={
                "mode": record.mode,
                "command_id": record.id,
                "since": view.now,
                "grace_period_seconds": deadlines.shorter(held.grace_period_seconds, grace),
            }
        ),
    )
    return _recorded(taken if ended else _supersede(taken, record.id), record)


def _duplicate(view: View, status: Status, request: Cancellation) -> Status:
    held = _held(status)
    notes = [f"{request.mode.value} is in force already"]
    grace = deadlines.grace_of(stop_policy(status), request)
    if request.mode is Mode.KILL and grace is not None and _sooner(view, status, grace):
        status = _holding(status, held.model_copy(update={"grace_period_seconds": grace}))
        notes.append(f"the grace is now {grace} s")
    command_id = held.command_id or ""
    hastened = _hastened(view, status, request, status.command_count + 1)
    if _held(hastened).kill_after != held.kill_after:
        notes.append("it becomes a Kill earlier")
    if _held(hastened).forget_lost_nodes and not held.forget_lost_nodes:
        notes.append("lost nodes are not waited for any more")
    record = _record(view, status, _origin(view, request), CommandStatus.DUPLICATE, notes)
    return _recorded(hastened, record.model_copy(update={"id": command_id}))


def _sooner(view: View, status: Status, grace: int) -> bool:
    """Whether a grace that is counted from now ends before the one in force."""
    posted = kill_deadline(view, status)
    held = _held(status).grace_period_seconds
    if posted is not None:
        return (posted - view.now).total_seconds() > grace
    return held is None or grace < held


def kill_deadline(view: View, status: Status) -> datetime | None:
    """When SIGKILL is due by what the current pod's mailbox holds."""
    pod = view.present_pod(status)
    stop = mailbox.parse(pod.mailbox) if pod else None
    return stop.deadline if stop else None


def _reject(view: View, status: Status, request: Cancellation, why: RejectionReason) -> Status:
    record = _record(view, status, _origin(view, request), CommandStatus.REJECTED, [_words(status, request, why)])
    return _recorded(status, record.model_copy(update={"rejection_reason": why}))


def _words(status: Status, request: Cancellation, why: RejectionReason) -> str:
    match why:
        case RejectionReason.INSTANCE_NOT_STARTED:
            return f"no run has begun, so there is no run {request.run_id} to stop; leave runId out to stop any"
        case RejectionReason.SELECTED_RUN_NOT_CURRENT:
            return f"run {request.run_id} is not the current one, which is {status.run_id}"
        case RejectionReason.WEAKER_THAN_CURRENT:
            return f"{request.mode.value} is weaker than what is in force: the run is {status.phase}"
        case RejectionReason.RUN_NOT_ACTIVE:
            return f"the run has ended: it is {status.phase}"
        case RejectionReason.DUPLICATE:
            return f"{request.mode.value} is in force already"


def _cut(request: Cancellation, longest: int) -> list[str]:
    asked = request.grace_period_seconds
    if asked is None or asked <= longest:
        return []
    return [f"gracePeriodSeconds {asked} was cut to the workflow's maxGracePeriodSeconds, {longest}"]


def _origin(view: View, request: Cancellation) -> Origin:
    return Origin(
        source=CommandSource.API,
        mode=request.mode,
        reason=request.reason,
        details=request.details,
        field_manager=view.observed.field_manager,
        request_id=request.request_id,
        requested_run_id=request.run_id,
    )


def _record(view: View, status: Status, origin: Origin, answer: CommandStatus, notes: list[str]) -> CommandRecord:
    sequence = status.command_count + 1
    rejected = answer is CommandStatus.REJECTED
    return CommandRecord(
        id=ulid(view.now, view.uid, f"command/{sequence}"),
        sequence=sequence,
        kind=CommandKind.CANCELLATION,
        mode=origin.mode,
        status=answer,
        message="; ".join(notes) or None,
        reason=origin.reason,
        details=origin.details,
        source=origin.source,
        field_manager=origin.field_manager[:128] if origin.field_manager else None,
        request_id=origin.request_id,
        target_scope=TargetScope.RUN if origin.requested_run_id else TargetScope.INSTANCE,
        requested_run_id=origin.requested_run_id,
        resolved_run_id=status.run_id,
        accepted_at=None if rejected else view.now,
        rejected_at=view.now if rejected else None,
    )


def _recorded(status: Status, record: CommandRecord) -> Status:
    """The status with one more record; accepted ones and the escalation's are kept, of the others the last twenty."""
    records = (*status.commands, record)
    escalates = _held(status).kill_after_sequence
    others = [r.sequence for r in records if r.status is not CommandStatus.ACCEPTED and r.sequence != escalates]
    dropped = set(others[:-KEPT_OTHERS])
    kept = tuple(r for r in records if r.sequence not in dropped)
    return status.model_copy(update={"commands": kept, "command_count": record.sequence})


def _supersede(status: Status, by: str) -> Status:
    """Every accepted command that nothing had taken over is taken over by this one."""
    open_ = (CommandStatus.ACCEPTED, None)
    commands = tuple(
        r.model_copy(update={"superseded_by": by}) if (r.status, r.superseded_by) == open_ else r
        for r in status.commands
    )
    return status.model_copy(update={"commands": commands})


def _hastened(view: View, status: Status, request: Cancellation, sequence: int) -> Status:
    """The status with all by which a request, accepted or a duplicate, makes the stop harder than its mode does."""
    held = _held(status)
    grace = deadlines.shorter(held.kill_grace_seconds, deadlines.kill_grace(stop_policy(status), request))
    bounded = _holding(status, held.model_copy(update={"kill_grace_seconds": grace}))
    return _forget(_earliest(view, bounded, request, sequence), request)


def _earliest(view: View, status: Status, request: Cancellation, sequence: int) -> Status:
    held = _held(status)
    kill_after = deadlines.kill_after_of(stop_policy(status), request, view.now)
    if kill_after is None or (held.kill_after is not None and held.kill_after <= kill_after):
        return status
    update = {"kill_after": kill_after, "kill_after_sequence": sequence}
    return _holding(status, held.model_copy(update=update))


def _forget(status: Status, request: Cancellation) -> Status:
    if request.on_lost_node is not OnLostNode.FORGET:
        return status
    return _holding(status, _held(status).model_copy(update={"forget_lost_nodes": True}))


def _logged(view: View, status: Status, kind: HistoryType, record: CommandRecord, message: str | None) -> Status:
    return history.add(status, kind, view.now, (record.id, record.reason), message)


def _observe(status: Status, request: Cancellation | None) -> Status:
    return _holding(status, _held(status).model_copy(update={"observed": request}))


def _held(status: Status) -> CancellationStatus:
    return status.cancellation or CancellationStatus()


def _holding(status: Status, held: CancellationStatus) -> Status:
    update: dict[str, Any] = {"cancellation": None if held == CancellationStatus() else held}
    return status.model_copy(update=update)
