"""Late starts: pods that no attempt wants any more, because their create arrived late or another controller made them.

Contract: a late start is listed in `processes` with the role `late-start`, and counted, in a status write, before
anything is done to it; its outcome is ignored and nothing waits for it. A pod of a newer run or of a higher attempt
than the status at hand is none: the status is stale, and the pod is not touched.
"""

from __future__ import annotations

from datetime import datetime

from desist.api.status import ProcessStatus
from desist.api.vocabulary import ProcessRole, ProcessState
from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.proof.process import ended, never_starts
from desist.lifecycle.view import Status, View, current

LISTED_AT_MOST = 8
"""More of them wait until these are gone."""


def note(view: View, status: Status) -> Status:
    """The status with the late starts listed and counted."""
    late = {pod.uid: pod for pod in view.observed.pods if is_late(view, status, pod) and not _node_removed(view, pod)}
    listed = [p for p in _listed(status) if p.pod_uid in late]
    known = {process.pod_uid for process in listed}
    new = [process_of(pod, view.now) for uid, pod in late.items() if uid not in known]
    new = new[: LISTED_AT_MOST - len(listed)]
    others = tuple(p for p in status.processes if p.role is not ProcessRole.LATE_START)
    counted = (status.late_starts or 0) + len(new) if new else status.late_starts
    return status.replace(processes=(*others, *listed, *new), late_starts=counted)


def unwanted(view: View, status: Status) -> tuple[PodView, ...]:
    """The pods that are to be stopped at once: the listed late starts, and what outlives the run's end."""
    listed = {process.pod_uid for process in _listed(status)}
    return tuple(pod for pod in view.observed.pods if pod.uid in listed or _outlives(view, status, pod))


def is_late(view: View, status: Status, pod: PodView) -> bool:
    """Whether no attempt wants this pod, and it has not ended."""
    if pod.role is not view.role or status.run_id is None or status.attempt is None:
        return False
    if pod.run_id > status.run_id or ended(pod) or never_starts(pod):
        return False
    if pod.run_id < status.run_id or pod.attempt != status.attempt:
        return pod.run_id < status.run_id or pod.attempt < status.attempt
    process = current(status)
    uid = process.pod_uid if process else None
    return not status.open if uid is None else uid != pod.uid


def _listed(status: Status) -> list[ProcessStatus]:
    return [process for process in status.processes if process.role is ProcessRole.LATE_START]


def _node_removed(view: View, pod: PodView) -> bool:
    """Whether nothing runs on the pod's node any more; it left its pod objects behind."""
    node = view.observed.node(pod.node)
    return bool(pod.node) and (node is None or node.out_of_service)


def _outlives(view: View, status: Status, pod: PodView) -> bool:
    """Whether the run's own pod may still run though the run has ended: without proof, or by its node's word."""
    process = current(status)
    if status.open or process is None or process.pod_uid != pod.uid or ended(pod):
        return False
    return process.state is ProcessState.UNPROVEN or _node_is_back(view, process, pod)


def _node_is_back(view: View, process: ProcessStatus, pod: PodView) -> bool:
    """Whether a node that was removed serves again, and is not known to have booted since the process started there."""
    node = view.observed.node(pod.node)
    if process.state is not ProcessState.GONE or node is None or node.out_of_service:
        return False
    return not (process.boot_id and node.boot_id) or node.boot_id == process.boot_id


def process_of(pod: PodView, now: datetime) -> ProcessStatus:
    """What is known of a late start."""
    return ProcessStatus(
        pod=pod.name,
        pod_uid=pod.uid,
        node=pod.node or None,
        role=ProcessRole.LATE_START,
        state=ProcessState.ALIVE,
        since=now,
    )
