"""Escalation: what fires by itself, `activeDeadlineSeconds` and `killAfterSeconds`.

Contract: each is a Kill with a record of its own, which hastens the end and does not rename it: `endMode` stays.
"""

from __future__ import annotations

from desist.api.vocabulary import CommandSource, CommandStatus, HistoryType, Mode
from desist.lifecycle.run.outcome import modes_end
from desist.lifecycle.stop import deadlines, records
from desist.lifecycle.stop.commands import put_in_force
from desist.lifecycle.stop.records import Origin
from desist.lifecycle.stop.target import S, Target


def fire_deadline(target: Target, status: S) -> S:
    """The Kill of a run whose `activeDeadlineSeconds` have passed; without a process it has ended: TimedOut."""
    if not deadlines.deadline_due(target, status):
        return status
    if not target.has_process and Mode.KILL not in target.keeps:
        return status.replace(phase=modes_end(status))
    why = f"activeDeadlineSeconds ({target.active_deadline_seconds}) have passed"
    return _fire(target, status, Origin(CommandSource.DEADLINE, Mode.KILL), why)


def escalate(target: Target, status: S) -> S:
    """The Kill of a run whose stop has not ended it within `killAfterSeconds`."""
    if not deadlines.escalation_due(target, status):
        return status
    asked = next((r for r in status.commands if r.sequence == status.stop.kill_after_sequence), None)
    origin = Origin(
        source=CommandSource.ESCALATION,
        mode=Mode.KILL,
        reason=asked.reason if asked else None,
        details=asked.details if asked else None,
        field_manager=asked.field_manager if asked else None,
        request_id=asked.request_id if asked else None,
    )
    return _fire(target, status, origin, "killAfterSeconds have passed and the run has not ended")


def _fire(target: Target, status: S, origin: Origin, why: str) -> S:
    record = records.make(target, status, origin, CommandStatus.ACCEPTED, [why])
    taken = put_in_force(target, status, record, deadlines.own_kill_grace(target, status))
    return records.log(target, taken, HistoryType.CANCELLATION_ESCALATED, record, why).replace(
        phase=origin.mode.row.phase
    )
