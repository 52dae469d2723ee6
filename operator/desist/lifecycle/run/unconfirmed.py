"""Open entries: processes that may still run and that nobody can confirm.

Contract: an entry keeps the run open. It says `NodeLost` where the node does not answer, `Unkillable` where the node
answers and the process has not ended some time after its SIGKILL was due.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from desist.api.status import UnconfirmedProcess
from desist.api.vocabulary import ProcessState, UnconfirmedReason
from desist.lifecycle.observed import PodView
from desist.lifecycle.pod.template import LONGEST_GRACE
from desist.lifecycle.proof.process import Process
from desist.lifecycle.view import Status
from desist.lifecycle.wire import mailbox


def with_open_entries(status: Status, process: Process, now: datetime) -> Status:
    """The status with an open entry for a process that cannot be confirmed, and with none for one that can."""
    reason = _reason(process, now)
    if reason is None:
        return status.replace(unconfirmed=())
    before = next((entry for entry in status.unconfirmed if entry.reason is reason), None)
    held = process.status
    entry = UnconfirmedProcess(
        pod=held.pod,
        pod_uid=held.pod_uid,
        node=held.node,
        since=before.since if before else now,
        reason=reason,
    )
    return status.replace(unconfirmed=(entry,))


def unkillable_at(process: Process) -> datetime | None:
    """When the process counts as unkillable, if nothing happens; None: it does not."""
    pod, node = process.present_pod, process.node
    if pod is None or node is None or not node.ready or process.reported:
        return None
    due = kill_due(pod)
    # The end of a year-long grace may be past all times that can be told.
    return min(due, mailbox.LATEST_POSTING) + timedelta(seconds=process.settings.unkillable_after) if due else None


def kill_due(pod: PodView) -> datetime | None:
    """When SIGKILL is due in a pod: by a mailbox from before its deletion, or by that if it is earlier."""
    stop = mailbox.parse(pod.mailbox)
    deleted_at = _deleted_at(pod)
    if stop is None or stop.deadline is None or (deleted_at is not None and stop.posted_at >= deleted_at):
        return pod.deletion_timestamp
    return min(stop.deadline, pod.deletion_timestamp or stop.deadline)


def _reason(process: Process, now: datetime) -> UnconfirmedReason | None:
    state, unkillable = process.status.state, unkillable_at(process)
    if state is ProcessState.UNCONFIRMED:
        return UnconfirmedReason.NODE_LOST
    if state is ProcessState.ALIVE and unkillable is not None and unkillable <= now:
        return UnconfirmedReason.UNKILLABLE
    return None


def _deleted_at(pod: PodView) -> datetime | None:
    if pod.deletion_timestamp is None:
        return None
    return pod.deletion_timestamp - timedelta(seconds=min(pod.deletion_grace_seconds or 0, LONGEST_GRACE))
