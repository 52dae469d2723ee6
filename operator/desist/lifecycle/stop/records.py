"""Records: every command leaves one, accepted or not.

Contract: accepted records of the run are kept, and the one whose killAfterSeconds counts; of the others the last
twenty. What an accepted command does to those before it (superseded) is written in the same status value.
"""

from __future__ import annotations

from dataclasses import dataclass

from desist.api import outside
from desist.api.records import CommandRecord
from desist.api.vocabulary import (
    CommandKind,
    CommandSource,
    CommandStatus,
    HistoryType,
    Mode,
    RejectionReason,
    TargetScope,
)
from desist.lifecycle import history
from desist.lifecycle.ids import ulid
from desist.lifecycle.stop.target import S, Target

KEPT_OTHERS = 20
"""How many records of commands that were not accepted are kept."""
KEPT_ACCEPTED = 40
"""How many accepted ones: far more than the modes of a run; only somebody who edits status makes so many."""
WORDS_BYTES, MESSAGE_BYTES = 256, 512
"""Bytes as stored: of the reason and of the details of what was not accepted, and of any record's message."""


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


def origin_of(target: Target) -> Origin:
    """The origin of what the spec asks for. There must be a request."""
    request = target.request
    assert request is not None
    return Origin(
        source=CommandSource.API,
        mode=request.mode,
        reason=request.reason,
        details=request.details,
        field_manager=target.field_manager,
        request_id=request.request_id,
        requested_run_id=request.run_id,
    )


def make(target: Target, status: S, origin: Origin, answer: CommandStatus, notes: list[str]) -> CommandRecord:
    """The record of a command that was answered now."""
    sequence = status.command_count + 1
    rejected = answer is CommandStatus.REJECTED
    accepted = answer is CommandStatus.ACCEPTED
    return CommandRecord(
        id=ulid(target.now, target.uid, f"command/{sequence}"),
        sequence=sequence,
        kind=CommandKind.CANCELLATION,
        mode=origin.mode,
        status=answer,
        message=outside.fit("; ".join(notes), MESSAGE_BYTES) or None,
        reason=origin.reason if accepted else _cut(origin.reason),
        details=origin.details if accepted else _cut(origin.details),
        source=origin.source,
        field_manager=outside.text(origin.field_manager, 128) if origin.field_manager else None,
        request_id=origin.request_id,
        target_scope=TargetScope.RUN if origin.requested_run_id else TargetScope.INSTANCE,
        requested_run_id=origin.requested_run_id,
        resolved_run_id=status.run_id,
        accepted_at=None if rejected else target.now,
        rejected_at=target.now if rejected else None,
    )


def keep(status: S, record: CommandRecord) -> S:
    """The status with one more record."""
    records = (*status.commands, record)
    escalates = status.stop.kill_after_sequence
    others = [r.sequence for r in records if r.status is not CommandStatus.ACCEPTED and r.sequence != escalates]
    accepted = [r.sequence for r in records if r.status is CommandStatus.ACCEPTED]
    dropped = {*others[:-KEPT_OTHERS], *accepted[:-KEPT_ACCEPTED]}
    kept = tuple(r for r in records if r.sequence not in dropped)
    return status.replace(commands=kept, command_count=record.sequence)


def _cut(words: str | None) -> str | None:
    return None if words is None else outside.fit(words, WORDS_BYTES)


def reject(target: Target, status: S, why: RejectionReason) -> S:
    """The status with the record of a request that is rejected."""
    words = [rejection(target, status, why)]
    record = make(target, status, origin_of(target), CommandStatus.REJECTED, words)
    return keep(status, record.replace(rejection_reason=why))


def rejection(target: Target, status: S, why: RejectionReason) -> str:
    """Why a request is rejected, in words."""
    asked = target.request
    mode, run = (asked.mode.value, asked.run_id) if asked else ("the request", None)
    match why:
        case RejectionReason.INSTANCE_NOT_STARTED:
            return f"no run has begun, so there is no run {run} to stop; leave runId out to stop any"
        case RejectionReason.SELECTED_RUN_NOT_CURRENT:
            return f"run {run} is not the current one, which is {status.run_id}"
        case RejectionReason.WEAKER_THAN_CURRENT:
            return f"{mode} is weaker than what is in force: the {target.what} is {status.phase}"
        case RejectionReason.RUN_NOT_ACTIVE:
            return f"the {target.what} has ended: it is {status.phase}"
        case RejectionReason.DUPLICATE:
            return f"{mode} is in force already"


def supersede(status: S, by: str) -> S:
    """Every accepted command that nothing had taken over is taken over by this one."""
    open_ = (CommandStatus.ACCEPTED, None)
    commands = tuple(
        r.replace(superseded_by=by) if (r.status, r.superseded_by) == open_ else r for r in status.commands
    )
    return status.replace(commands=commands)


def log(target: Target, status: S, kind: HistoryType, record: CommandRecord, message: str | None) -> S:
    """The status with the history entry of a command."""
    return history.add(status, kind, target.now, (record.id, record.reason), message)
