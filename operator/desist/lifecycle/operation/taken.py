"""Taken: what the stop of its run, or the run's end, means for an operation.

Contract: the command was accepted in the run's status; here it becomes one of the operation, under the same id, in the
one value from which mailboxes and ends are made. What it means, the table of treatments says. It need not be
written before it is delivered: the run's status holds it, and the same call takes it again. A stop that comes from the
end of a run by itself has no command of the run: it gets one of its own, and is written first.
A process that was told keeps what it was told; what is taken later only brings its end forward.
"""

from __future__ import annotations

from dataclasses import replace

from desist.api.records import CommandRecord
from desist.api.status import OperationStatus
from desist.api.vocabulary import COMPLETION, CommandSource, CommandStatus, Mode, Phase
from desist.lifecycle.graces import KILLED_AT_ONCE
from desist.lifecycle.operation.view import OperationView
from desist.lifecycle.run.closing import end_without_pod
from desist.lifecycle.run.treatment import ENDS, Standing, Treatment, stands
from desist.lifecycle.run.view import RunStatus
from desist.lifecycle.stop import deadlines, records, steps
from desist.lifecycle.stop.commands import put_in_force
from desist.lifecycle.stop.records import Origin
from desist.lifecycle.view import Status, Step
from desist.lifecycle.wire import mailbox

RUN_CLOSED = "run closed"
"""Reason of a stop that comes from the run's end by itself."""


def take(view: OperationView, status: Status) -> Step:
    """Step: the stop or the end of its run."""
    run, found = view.run, _treatment(view, status)
    # What lives on beside a process that has ended is ended by a stop alone.
    over = status.end_time is not None and not steps.target(view, status).lingers
    if run is None or found not in ENDS or over:
        return Step(_forgetting(view, status))
    if asks := steps.unseen_pod(view, status):
        return Step(status, asks=asks)
    taken = _forgetting(view, status.replace(run_id=view.spec.run_id))
    record = _held(taken, run)
    if record is not None:
        return Step(_hastened(view, taken, run))
    return Step(_closed(view, status, _taken(view, taken, run, late=found is Treatment.LATE)))


def never_begun(view: OperationView, status: Status) -> Status:
    """The end of one that nobody asks for any more, because its run's workflow process has ended before it began."""
    assert view.run is not None, "a run has ended"
    return _closed(view, status, _taken(view, status.replace(run_id=view.spec.run_id), view.run, late=False))


def resume(view: OperationView, status: Status) -> Step:
    """Step: what was taken and delivered, and not written yet. An end that came after it is an end by it."""
    by = _by(view.run) if view.run is not None else None
    process = view.current(status)
    held = mailbox.parse(process.pod.mailbox) if process is not None and process.pod is not None else None
    told = by is not None and held is not None and held.command_id == by.id
    if not told or view.run is None or status.end_time is not None or _held(status, view.run) is not None:
        return Step(status)
    return Step(_taken(view, _forgetting(view, status), view.run, late=False))


def _treatment(view: OperationView, status: Status) -> Treatment:
    """What has ended in the workflow process counts as it says, until its run is closed."""
    if view.spec.local is None:
        return view.treatment(status)
    over = view.run is not None and not view.run.open
    return Treatment.LATE if over else Treatment.GO_ON


def _by(run: RunStatus) -> CommandRecord | None:
    """The command of the run that stops its operations; None: its end by itself does."""
    last = run.last_accepted
    if last is None or (last.superseded_by == COMPLETION and stands(run) is Standing.ENDED):
        return None
    return last if run.open or last.outcome is None else None


def _held(status: Status, run: RunStatus) -> CommandRecord | None:
    """The record of what was taken before of the same."""
    by = _by(run)
    mine = (record for record in status.commands if record.status is CommandStatus.ACCEPTED)
    if by is None:
        return next((record for record in mine if record.source is CommandSource.CLOSED), None)
    return next((record for record in mine if record.id == by.id), None)


def _taken(view: OperationView, status: Status, run: RunStatus, *, late: bool) -> Status:
    """The status with the run's stop, or its end, in force."""
    by = _by(run)
    target = steps.target(view, status)
    at_once = stands(run) in (Standing.KILL, Standing.TERMINATE, Standing.FORCE)
    if by is not None and by.accepted_at is not None and at_once:
        target = replace(target, now=by.accepted_at)
    record = records.make(target, status, _origin(by), CommandStatus.ACCEPTED, [_words(run, by, late=late)])
    record = record.replace(id=by.id) if by is not None else record
    taken = put_in_force(target, status, record, _grace(view, status, run))
    if status.at.unstopped:
        # What was being stopped before keeps the end that this means: a deadline of its own, TimedOut.
        taken = taken.stopping(end_mode=Mode.KILL)
    if late and isinstance(taken, OperationStatus):
        taken = taken.replace(late=True)
    return taken.replace(phase=Phase.KILL_CANCELLING)


def _closed(view: OperationView, before: Status, after: Status) -> Status:
    """What has no process ends at once."""
    if steps.target(view, before).has_process:
        return after
    return end_without_pod(view, after.replace(phase=before.phase), Phase.CANCELLED)


def _origin(by: CommandRecord | None) -> Origin:
    if by is None:
        return Origin(CommandSource.CLOSED, Mode.KILL, reason=RUN_CLOSED)
    return Origin(
        source=CommandSource.RUN,
        mode=Mode.KILL,
        reason=by.reason,
        details=by.details,
        field_manager=by.field_manager,
        request_id=by.request_id,
    )


def _words(run: RunStatus, by: CommandRecord | None, *, late: bool) -> str:
    if late:
        return "it turned up after its run had ended"
    return f"by {by.mode.value} of run {run.run_id}" if by is not None else f"run {run.run_id} has ended"


def _grace(view: OperationView, status: Status, run: RunStatus) -> int:
    """Seconds: of a Kill that names some, those; of what Force deletes, none; else its own."""
    policy, asked = view.policy(status), run.stop.observed
    if stands(run) is Standing.FORCE:
        return KILLED_AT_ONCE
    named = asked.grace_period_seconds if asked is not None and asked.mode is Mode.KILL else None
    by = run.last_accepted
    if stands(run) is not Standing.KILL or named is None or by is None or by.source is not CommandSource.API:
        return deadlines.kill_grace(policy, None)
    # None is in force where a Force or a Terminate came before: that was for the workflow process alone.
    grace = deadlines.shorter(named, run.stop.grace_period_seconds or None)
    return min(grace or named, policy.max_grace_period_seconds)


def _hastened(view: OperationView, status: Status, run: RunStatus) -> Status:
    """The status with a shorter grace, where a repeated Kill of the run has brought one."""
    grace, held = _grace(view, status, run), status.stop.grace_period_seconds
    if held is None or grace >= held:
        return status
    due = deadlines.kill_at(status, grace, view.now)
    return status.stopping(grace_period_seconds=grace, kill_at=due)


def _forgetting(view: OperationView, status: Status) -> Status:
    """The run's Forget counts for its operations."""
    run = view.run
    forget = run is not None and bool(run.stop.forget_lost_nodes) and status.at.stopping
    return status.stopping(forget_lost_nodes=True) if forget and not status.stop.forget_lost_nodes else status
