"""Open entries: processes that may still run and that nobody can confirm.

Contract: an entry keeps the run open. It says `NodeLost` where the node does not answer, `Unkillable` where the node
answers and the process is reported running some time after its SIGKILL was due. (One that waits has no process: the
kubelet may be pulling its image, and never starts what was deleted meanwhile.) Once said, it stays until something
tells of the end.
Trap: when SIGKILL is due is known by a posting, of this controller's clock or another's, or by a deletion, of the API
server's. A deletion counts from when this process saw it, a posting of before it began from that time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from desist.api.status import UnconfirmedProcess
from desist.api.vocabulary import ProcessState, UnconfirmedReason
from desist.lifecycle.observed.pods import ContainerPhase, PodView
from desist.lifecycle.proof.process import Process
from desist.lifecycle.view import Status
from desist.lifecycle.wire import mailbox


def with_open_entries(status: Status, process: Process, now: datetime) -> Status:
    """The status with an open entry for a process that cannot be confirmed, and with none for one that can."""
    reason = _reason(status, process, now)
    others = tuple(entry for entry in status.unconfirmed if entry.count is not None)
    if reason is None:
        return status.replace(unconfirmed=others)
    own = (entry for entry in status.unconfirmed if entry.count is None)
    before = next((entry for entry in own if entry.reason is reason), None)
    held = process.status
    entry = UnconfirmedProcess(
        pod=held.pod,
        pod_uid=held.pod_uid,
        node=held.node,
        since=before.since if before else now,
        reason=reason,
    )
    return status.replace(unconfirmed=(entry, *others))


def unkillable_at(process: Process) -> datetime | None:
    """When the process counts as unkillable, if nothing happens; None: it does not."""
    pod = process.present_pod
    if pod is None or not _outlives(process):
        return None
    due = kill_due(pod)
    if due is None:
        return None
    # The end of a year-long grace may be past all times that can be told.
    since = min(max(due, process.began or due), mailbox.LATEST_POSTING)
    return since + timedelta(seconds=process.settings.unkillable_after)


def kill_due(pod: PodView) -> datetime | None:
    """When SIGKILL is due in a pod: by a mailbox from before its deletion, or by that if it is earlier."""
    stop, deleted_at = mailbox.parse(pod.mailbox), pod.deletion_seen_at
    if stop is None or stop.deadline is None or (deleted_at is not None and stop.posted_at >= deleted_at):
        return pod.deletion_due
    return min(stop.deadline, pod.deletion_due or stop.deadline)


def _reason(status: Status, process: Process, now: datetime) -> UnconfirmedReason | None:
    state, unkillable = process.status.state, unkillable_at(process)
    if state is ProcessState.UNCONFIRMED:
        return UnconfirmedReason.NODE_LOST
    if state is not ProcessState.ALIVE or unkillable is None:
        return None
    said = any(e.reason is UnconfirmedReason.UNKILLABLE and e.count is None for e in status.unconfirmed)
    return UnconfirmedReason.UNKILLABLE if said or unkillable <= now else None


def _outlives(process: Process) -> bool:
    """Whether the workflow's container is reported running, on a node that is Ready."""
    pod, node = process.present_pod, process.node
    runs = pod is not None and pod.workflow.phase is ContainerPhase.RUNNING
    return runs and node is not None and node.ready
