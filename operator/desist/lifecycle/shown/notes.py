"""Notes: what is only informative, and therefore rides on a write that is made anyway.

Contract: a mailbox that was written, its reading by the launcher, `appliedAt` and `killAt` never cause a write. What
the launcher has read its receipt tells at the end, and its answer to a push before that. The
write that comes before a posting already has the `killAt` that this posting sets.
"""

from __future__ import annotations

from datetime import datetime

from desist.api.records import CommandRecord
from desist.api.vocabulary import CommandStatus, HistoryType
from desist.lifecycle import history
from desist.lifecycle.stop import delivery
from desist.lifecycle.view import Status, View
from desist.lifecycle.wire import mailbox, termination


def before_step(view: View, status: Status) -> Status:
    """The status with what is known about postings and readings, for a reconcile that will write."""
    process = view.current(status)
    pod = process.pod if process else None
    if pod is None or status.phase is None or not status.open:
        return status
    stop = mailbox.parse(pod.mailbox)
    if stop is not None:
        status = _posted(status, stop)
    answer = process.pushed.answer if process and process.pushed else None
    if answer is not None:
        status = _log(status, HistoryType.CANCELLATION_RECEIVED, answer.command_id, answer.at)
    receipt = termination.parse(pod.workflow.message).receipt
    for received in (receipt.stop, receipt.last) if receipt else ():
        if received is not None:
            status = _log(status, HistoryType.CANCELLATION_RECEIVED, received.command_id, received.at)
    return status


def after_step(view: View, status: Status) -> Status:
    """The status with the time at which SIGKILL is due, for a status that will be written."""
    process, held = view.current(status), status.cancellation
    if process is None or process.present_pod is None or held is None or not status.open:
        return status
    order = delivery.order_of(view, status, process)
    due = delivery.Task(process, order).kill_at if order else None
    if due is None:
        return status
    # No mailbox arrives in a pod that is being deleted: the kubelet's own grace must pass.
    return _due(status, max(filter(None, (due, process.present_pod.deletion_due))))


def _due(status: Status, kill_at: datetime | None) -> Status:
    held = status.cancellation
    if held is None or held.mode is None or kill_at is None or kill_at == held.kill_at:
        return status
    return status.stopping(kill_at=kill_at)


def _posted(status: Status, stop: mailbox.Stop) -> Status:
    record = _accepted(status, stop.command_id)
    if record is None:
        return status
    # A merged stop may keep the time of a weaker one, whose deadline is the earlier.
    applied_at = max(stop.posted_at, record.accepted_at or stop.posted_at)
    status = _log(status, HistoryType.CANCELLATION_POSTED, stop.command_id, applied_at)
    applied = record.replace(applied_at=applied_at)
    commands = tuple(applied if r is record else r for r in status.commands)
    return status.replace(commands=commands)


def _log(status: Status, kind: HistoryType, command_id: str, time: datetime) -> Status:
    record = _accepted(status, command_id)
    known = any(entry.type is kind and entry.command_id == command_id for entry in status.history)
    return status if record is None or known else history.add(status, kind, time, (command_id, record.reason))


def _accepted(status: Status, command_id: str) -> CommandRecord | None:
    matching = (r for r in status.commands if r.id == command_id and r.status is CommandStatus.ACCEPTED)
    return next(matching, None)
