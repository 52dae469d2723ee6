"""Closing: from the end of the workflow process to the terminal phase.

Contract: in two steps, since sidecars may outlive the process. `finish` notes how the run ends, once: `endTime`, the
failure, the result; what comes later cannot change it. `close` writes the terminal phase, when no process is left.
Between them `failure` (or its absence) says which phase that will be.
"""

from __future__ import annotations

from desist.api import outside
from desist.api.status import CommandRecord, Failure, ProcessStatus
from desist.api.vocabulary import (
    COMPLETION,
    ClosedReason,
    CommandOutcome,
    CommandStatus,
    FailureCategory,
    Phase,
    ProcessReason,
    ProcessState,
)
from desist.lifecycle import history
from desist.lifecycle.ids import ulid
from desist.lifecycle.proof.cause import LINE_OF
from desist.lifecycle.proof.end import Cause, End, Result
from desist.lifecycle.proof.process import CLOSED
from desist.lifecycle.run.outcome import column, modes_end, outcome
from desist.lifecycle.view import Status, View, current, with_current

MESSAGE_BYTES = 2048
"""Of a failure's message, as the API server stores it."""

_CATEGORY_OF = {
    Phase.CANCELLED: FailureCategory.CANCELLED,
    Phase.TERMINATED: FailureCategory.TERMINATED,
    Phase.TIMED_OUT: FailureCategory.TIMED_OUT,
}
_PHASE_OF = {category: phase for phase, category in _CATEGORY_OF.items()}


def end_phase(status: Status, end: End) -> Phase | None:
    """The terminal phase that the end of the process leads to; None: the run goes on with another attempt."""
    in_force = column(status.at)
    match outcome(in_force, end):
        case Result.SUCCEEDED:
            return Phase.SUCCEEDED
        case Result.FAILED:
            return Phase.FAILED
        case Result.CANCELLED:
            return Phase.CANCELLED
        case Result.MODES_END:
            return modes_end(status)
        case Result.AGAIN:
            return None


def finish(view: View, status: Status, phase: Phase, end: End) -> Status:
    """Note how the run ends. To be called once a run."""
    category = _CATEGORY_OF.get(phase) or LINE_OF[end.cause].category
    failure = None if phase is Phase.SUCCEEDED else _failure(view, status, category, end)
    ended = min(end.at or view.now, view.now)
    return status.replace(failure=failure, result=end.result, end_time=max(ended, status.start_time or ended))


def refuse(view: View, status: Status, message: str) -> Status:
    """Fail a run whose pod the API server refuses for what its template says."""
    failed = _failure(view, status, FailureCategory.TEMPLATE, End(Cause.START, message=message))
    return close(view, status.replace(failure=failed, end_time=view.now))


def end_without_pod(view: View, status: Status, phase: Phase) -> Status:
    """End a run that has no process, in one write. A pod that was never seen, and that a GET did not find, is none."""
    process = current(status)
    if process is not None and process.state not in CLOSED:
        status = with_current(status, never_created(view, process))
    return close(view, finish(view, status, phase, End(Cause.NO_PROCESS, message="no process was running")))


def never_created(view: View, process: ProcessStatus) -> ProcessStatus:
    """The process of a pod that there never was."""
    return process.replace(state=ProcessState.GONE, reason=ProcessReason.NEVER_CREATED, since=view.now)


def close(view: View, status: Status) -> Status:
    """The terminal write of a run that `finish` has judged."""
    phase = _PHASE_OF.get(status.failure.category, Phase.FAILED) if status.failure else Phase.SUCCEEDED
    reason, ended, force = phase.row.closed_reason, phase.row.ended, status.in_force
    assert reason is not None and ended is not None, "the phase is terminal"
    closed = status.replace(
        phase=phase,
        closed_reason=reason,
        bucket=phase.row.bucket,
        commands=tuple(_outcome(record, reason, record is force) for record in status.commands),
        unconfirmed=(),
        next_attempt_at=None,
    )
    command = (force.id, force.reason) if force else (None, None)
    return history.add(closed, ended, view.now, command, status.failure)


def _outcome(record: CommandRecord, reason: ClosedReason, force: bool) -> CommandRecord:
    if record.status is CommandStatus.REJECTED:
        return record
    own_end = reason in (ClosedReason.COMPLETED, ClosedReason.FAILED)
    superseded = COMPLETION if force and own_end else record.superseded_by
    return record.replace(outcome=CommandOutcome(reason.value), superseded_by=superseded)


def _failure(view: View, status: Status, category: FailureCategory, end: End) -> Failure:
    by_command = category in _PHASE_OF
    return Failure(
        id=ulid(view.now, view.uid, f"failure/{status.run_id}/{status.history_count}"),
        category=category,
        propagation=category.value if by_command else "workflow",
        message=outside.fit(_text(status, category, end), MESSAGE_BYTES),
    )


def _text(status: Status, category: FailureCategory, end: End) -> str:
    force = status.in_force
    if category not in _PHASE_OF:
        return end.message or category.value
    why = f": {force.reason}" if force and force.reason else ""
    return f"{category.value.replace('_', ' ')}{why}; {end.message}" if end.message else f"{category.value}{why}"
