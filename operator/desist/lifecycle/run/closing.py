"""Closing: from the end of the workflow process to the terminal phase.

Contract: in two steps, since sidecars may outlive the process. `finish` notes how the run ends, once: `endTime`, the
failure, the result; what comes later cannot change it. `close` writes the terminal phase, when no process is left.
Between them `failure` (or its absence) says which phase that will be.
"""

from __future__ import annotations

from desist.api import outside
from desist.api.records import CommandRecord, Failure
from desist.api.status import ProcessStatus
from desist.api.vocabulary import (
    COMPLETION,
    ClosedReason,
    CommandOutcome,
    CommandStatus,
    FailureCategory,
    Phase,
    ProcessReason,
    ProcessRole,
    ProcessState,
)
from desist.lifecycle import history
from desist.lifecycle.ids import ulid
from desist.lifecycle.proof.cause import LINE_OF
from desist.lifecycle.proof.end import Cause, End, Result
from desist.lifecycle.proof.process import CLOSED
from desist.lifecycle.run import attempts
from desist.lifecycle.run.outcome import column, modes_end, outcome
from desist.lifecycle.view import Status, View, current, with_current

MESSAGE_BYTES = 2048
"""Of a failure's message, as the API server stores it."""
TOO_LARGE = (
    "the result does not fit into the termination message ($DESIST_OUTCOME_LIMIT_BYTES says how much does); report a "
    "reference to where it is stored, or do the work in the workflow process (local: 32 KiB)"
)

_CATEGORY_OF = {
    Phase.CANCELLED: FailureCategory.CANCELLED,
    Phase.TERMINATED: FailureCategory.TERMINATED,
    Phase.TIMED_OUT: FailureCategory.TIMED_OUT,
}
_PHASE_OF = {category: phase for phase, category in _CATEGORY_OF.items()}


def end_phase(view: View, status: Status, end: End) -> Phase | None:
    """The terminal phase that the end of the process leads to; None: it goes on with another attempt."""
    if view.role is ProcessRole.OPERATION and end.truncated and end.says is Phase.SUCCEEDED:
        return Phase.FAILED
    match outcome(column(status.at), end, keeps=view.role is ProcessRole.OPERATION):
        case Result.SUCCEEDED:
            return Phase.SUCCEEDED
        case Result.FAILED:
            return Phase.FAILED
        case Result.CANCELLED:
            return Phase.CANCELLED
        case Result.MODES_END:
            return modes_end(status)
        case Result.AGAIN:
            return None if view.runs_again(status) else Phase.CANCELLED


def finish(view: View, status: Status, phase: Phase, end: End) -> Status:
    """Note how it ends. To be called once."""
    category = _CATEGORY_OF.get(phase) or _category(view, end)
    failure = None if phase is Phase.SUCCEEDED else _failure(view, status, category, end)
    ended = min(end.at or view.now, view.now)
    over = max(ended, status.start_time or ended)
    return status.replace(failure=failure, result=end.result, end_time=over, next_attempt_at=None)


def refuse(view: View, status: Status, message: str, category: FailureCategory = FailureCategory.TEMPLATE) -> Status:
    """Note that it has failed without a process: by default for what its template says."""
    failed = _failure(view, status, category, End(Cause.START, message=message))
    return status.replace(failure=failed, end_time=view.now, next_attempt_at=None)


def end_without_pod(view: View, status: Status, phase: Phase) -> Status:
    """End what has no process, in one write. A pod that was never seen, and that a GET did not find, is none.

    Why there was none is said: nobody else knows it once the condition that says so is gone.
    """
    process, words = current(status), "no process was running"
    if process is not None and process.state not in CLOSED:
        status = with_current(status, never_created(view, process))
        words = f"{words}; {refused}" if (refused := attempts.refusal(view)) else words
    return close(view, finish(view, status, phase, End(Cause.NO_PROCESS, message=words)))


def never_created(view: View, process: ProcessStatus) -> ProcessStatus:
    """The process of a pod that there never was."""
    return process.replace(state=ProcessState.GONE, reason=ProcessReason.NEVER_CREATED, since=view.now)


def close(view: View, status: Status) -> Status:
    """The terminal write of what `finish` has judged."""
    phase = _PHASE_OF.get(status.failure.category, Phase.FAILED) if status.failure else Phase.SUCCEEDED
    reason, force = phase.row.closed_reason, status.in_force
    assert reason is not None, "the phase is terminal"
    closed = status.replace(
        phase=phase,
        closed_reason=reason,
        bucket=phase.row.bucket,
        commands=tuple(_outcome(record, reason, record is force) for record in status.commands),
        unconfirmed=(),
        next_attempt_at=None,
    )
    command = (force.id, force.reason) if force else (None, None)
    return history.add(closed, view.ended(phase), view.now, command, status.failure)


def _outcome(record: CommandRecord, reason: ClosedReason, force: bool) -> CommandRecord:
    if record.status is CommandStatus.REJECTED:
        return record
    own_end = reason in (ClosedReason.COMPLETED, ClosedReason.FAILED)
    superseded = COMPLETION if force and own_end else record.superseded_by
    return record.replace(outcome=CommandOutcome(reason.value), superseded_by=superseded)


def _category(view: View, end: End) -> FailureCategory:
    if view.role is ProcessRole.OPERATION and end.truncated:
        return FailureCategory.RESULT_TOO_LARGE
    return LINE_OF[end.cause].category


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
    if category is FailureCategory.RESULT_TOO_LARGE:
        return TOO_LARGE
    if category not in _PHASE_OF:
        return end.message or category.value
    why = f": {force.reason}" if force and force.reason else ""
    return f"{category.value.replace('_', ' ')}{why}; {end.message}" if end.message else f"{category.value}{why}"
