"""Events: what a status write is worth telling, as Kubernetes Events.

Contract: derived from the difference between two statuses, so that what was written is told once by whoever wrote it.
Reasons are stable: a history entry's type, `CommandRejected`, `CommandDuplicate`, `LateStart`, or a condition's type.
"""

from __future__ import annotations

from collections.abc import Iterator

from desist.api import outside
from desist.api.conditions import ConditionStatus, ConditionType, EventReason
from desist.api.meta import Condition
from desist.api.records import CommandRecord, HistoryEntry
from desist.api.status import OperationStatus
from desist.api.vocabulary import CommandStatus, HistoryType, ProcessReason
from desist.lifecycle.plan import EmitEvent
from desist.lifecycle.run.view import RunStatus
from desist.lifecycle.shown.waiting import REFUSED
from desist.lifecycle.view import Status, current

SILENT = (
    HistoryType.CANCELLATION_POSTED,
    HistoryType.CANCELLATION_RECEIVED,
    HistoryType.OPERATION_STARTED,
    HistoryType.OPERATION_COMPLETED,
)
"""Of operations, no Event tells what succeeds: there are too many."""
WARNINGS = (
    HistoryType.POD_DISRUPTED,
    HistoryType.POD_VANISHED,
    HistoryType.WORKFLOW_FAILED,
    HistoryType.WORKFLOW_TIMED_OUT,
    HistoryType.ATTEMPT_FAILED,
    HistoryType.OPERATION_FAILED,
    HistoryType.OPERATION_TIMED_OUT,
)
TOLD_CONDITIONS = (ConditionType.STALLED, ConditionType.NODE_LOST, ConditionType.UNKILLABLE)
MESSAGE_LIMIT = 1000


def told(before: Status, after: Status) -> tuple[EmitEvent, ...]:
    """The Events of a write that turned `before` into `after`."""
    return (
        *_commands(before, after),
        *_history(before, after),
        *_conditions(before, after),
        *_refusals(before, after),
        *_late(before, after),
    )


def _event(warning: bool, reason: str, message: str) -> EmitEvent:
    return EmitEvent(warning, reason, outside.text(message, MESSAGE_LIMIT))


def _commands(before: Status, after: Status) -> Iterator[EmitEvent]:
    for record in after.commands:
        if record.sequence <= before.command_count or record.status is CommandStatus.ACCEPTED:
            continue
        rejected = record.status is CommandStatus.REJECTED
        code = f" ({record.rejection_reason})" if record.rejection_reason else ""
        text = f"{record.mode.value}{code}: {record.message}{_by(record)}"
        yield _event(rejected, EventReason.COMMAND_REJECTED if rejected else EventReason.COMMAND_DUPLICATE, text)


def _by(record: CommandRecord) -> str:
    return f"; from {record.field_manager}" if record.field_manager else ""


def _history(before: Status, after: Status) -> Iterator[EmitEvent]:
    for entry in after.history:
        if entry.seq > before.history_count and entry.type not in SILENT:
            yield _event(entry.type in WARNINGS, entry.type.value, _text(entry, after))


def _text(entry: HistoryEntry, status: Status) -> str:
    if entry.failure is not None:
        return entry.failure.message
    parts = [entry.message or (f"operation {entry.operation}" if entry.operation else f"the run is {status.phase}")]
    if entry.reason:
        parts.append(f"reason: {entry.reason}")
    if entry.command_id:
        parts.append(f"command {entry.command_id}")
    return "; ".join(parts)


def _conditions(before: Status, after: Status) -> Iterator[EmitEvent]:
    if not after.open:
        return
    known = {condition.type: condition for condition in before.conditions}
    for condition in after.conditions:
        if condition.type in TOLD_CONDITIONS and _news(known.get(condition.type), condition):
            yield _event(True, condition.type.value, condition.message or condition.reason)


def _news(before: Condition | None, after: Condition) -> bool:
    if after.status is not ConditionStatus.TRUE:
        return False
    return before is None or before.status is not after.status or before.reason != after.reason


def _refusals(before: Status, after: Status) -> Iterator[EmitEvent]:
    known = [text for text in before.waiting_on if text.startswith(REFUSED)]
    for text in after.waiting_on:
        if text.startswith(REFUSED) and text not in known:
            yield _event(True, EventReason.STOP_REFUSED, text)


def _late(before: Status, after: Status) -> Iterator[EmitEvent]:
    if isinstance(before, OperationStatus) and isinstance(after, OperationStatus) and after.late and not before.late:
        text = "it turned up after its run had ended: nothing of it is done, and a result is not recorded"
        yield _event(True, EventReason.LATE_RESULT, text)
    process = current(after)
    if process is not None and process.reason == ProcessReason.ENDED_LATE and process != current(before):
        code = f", with exit code {process.exit_code}" if process.exit_code is not None else ""
        text = f"pod {process.pod}, which was closed without proof, has ended{code}: a result of it is not recorded"
        yield _event(True, EventReason.LATE_RESULT, text)
    if (after.late_starts or 0) > (before.late_starts or 0):
        yield _event(True, EventReason.LATE_START, "a pod that no attempt wants any more is being stopped")
    if isinstance(before, RunStatus) and isinstance(after, RunStatus):
        known, found = (s.operations.late if s.operations else 0 for s in (before, after))
        if found > known:
            text = f"{found - known} operations turned up after the run had ended; they are closed without a pod"
            yield _event(True, EventReason.LATE_OPERATION, text)
