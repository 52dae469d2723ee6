"""Proof: whether a process is gone, judged from what pods and nodes report.

Contract: `verdict` is the only thing that lets a run end because of a process: `gone` is proven, `unproven` is closed
without proof after the time in which a kubelet that is well would have ended what its pod's deletion left behind.
The lines are read from the top; the first that holds gives the verdict.
Traps: `waiting` is no proof (the container may start), neither is a 404, nor a deletionTimestamp. Pods and nodes come
by separate watches, each with its own delay: a cached node may be older than the process. So what a node says ends a
process only where it was asked live; a Node object counts as deleted only where it was seen before (`bootId` is
recorded, even if empty); and another boot ID says nothing about a pod that is still there and whose container never
started: the kubelet starts it after the reboot. A watch shows a pod as deleted also where somebody took our label off
it; so one that has vanished is closed only where a GET by its name has found none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from desist.api.status import ProcessStatus
from desist.api.vocabulary import ProcessState
from desist.lifecycle.observed import ContainerPhase, ContainerView, NodeView, PodView
from desist.lifecycle.settings import Settings

MISSED = "PodMissed"
"""`processes[].reason` of a pod that is missed; `since` then says since when."""
FORGOTTEN = "Forgotten"
"""`processes[].reason` of a process on a lost node that a request gave up."""
POD_GC = "DeletionByPodGC"
STATUS_UNKNOWN = "ContainerStatusUnknown"
CLOSED = (ProcessState.GONE, ProcessState.UNPROVEN)
"""The verdicts that let a run end."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that bears on one process."""

    process: ProcessStatus
    pod: PodView | None
    """The pod's last state that is known."""
    present: bool
    """Whether the pod exists, as far as the cache knows; else it has vanished."""
    node: NodeView | None
    grace_seconds: float
    """The pod's own terminationGracePeriodSeconds."""
    settings: Settings
    node_live: bool = False
    """Whether `node` (None: there is none) is the API server's answer to a GET made before the pass, and no cache's."""
    pod_live: bool = False
    """Whether `present` is, too."""


def verdict(evidence: Evidence, now: datetime) -> ProcessState:
    """What is known about the process at `now`."""
    return next(state for holds, state in LINES if holds(evidence, now))


def next_change(evidence: Evidence, now: datetime) -> datetime | None:
    """When time alone may change the verdict next; None: only an event can."""
    moments = (lost_at(evidence.node, evidence.settings), None if evidence.present else _ready_at(evidence, now))
    return min((moment for moment in moments if moment and moment > now), default=None)


def lost_at(node: NodeView | None, settings: Settings) -> datetime | None:
    """When a node that is not Ready counts as lost; None: it is Ready, or there is none."""
    if node is None or node.ready:
        return None
    return node.ready_since + timedelta(seconds=settings.node_lost_after)


def reported_end(container: ContainerView) -> bool:
    """Whether the kubelet reports a real end of this container."""
    ended = container.phase is ContainerPhase.TERMINATED
    return ended and bool(container.container_id) and container.reason != STATUS_UNKNOWN


def ended(pod: PodView) -> bool:
    """Whether the kubelet has reported that nothing of the pod runs or will run."""
    return _terminal_phase(pod) or _all_ended(pod)


def may_start(e: Evidence) -> bool:
    """Whether the workflow process has not started, and may yet."""
    return e.present and e.pod is not None and e.pod.workflow.phase is ContainerPhase.WAITING


def rebooted(e: Evidence) -> bool:
    """Whether the node has booted since the process started there."""
    boot_id, node = e.process.boot_id, e.node
    return e.node_live and node is not None and bool(boot_id) and bool(node.boot_id) and node.boot_id != boot_id


def needs_live_node(e: Evidence, now: datetime) -> bool:
    """Whether the cached node would count if it were a live answer."""
    live = replace(e, node_live=True)
    return not e.node_live and (_booted_again(live, now) or verdict(live, now) is not verdict(e, now))


def needs_live_pod(e: Evidence, now: datetime) -> bool:
    """Whether the pod has vanished as far as the cache knows, and nothing else closes the process."""
    return not e.present and not e.pod_live and verdict(e, now) not in CLOSED


def _terminal_phase(pod: PodView) -> bool:
    return pod.phase in ("Succeeded", "Failed") and pod.disruption_reason != POD_GC


def _all_ended(pod: PodView) -> bool:
    return bool(pod.containers) and all(reported_end(container) for container in pod.containers)


def _reported(e: Evidence, _: datetime) -> bool:
    return e.pod is not None and ended(e.pod)


def _never_bound(e: Evidence, _: datetime) -> bool:
    return e.pod_live and e.pod is not None and not e.present and not e.pod.node and not e.process.node


def _booted_again(e: Evidence, _: datetime) -> bool:
    return rebooted(e) and not may_start(e)


def _node_removed(e: Evidence, _: datetime) -> bool:
    if e.node is None:
        return e.node_live and bool(e.process.node) and e.process.boot_id is not None
    return e.node_live and e.node.out_of_service


def _node_lost(e: Evidence, now: datetime) -> bool:
    moment = lost_at(e.node, e.settings)
    return moment is not None and moment <= now


def _present(e: Evidence, _: datetime) -> bool:
    return e.present


def _long_missed(e: Evidence, now: datetime) -> bool:
    moment = _ready_at(e, now)
    return e.pod_live and moment is not None and moment <= now


def _ready_at(e: Evidence, now: datetime) -> datetime | None:
    """When a vanished pod is closed without proof, if its node stays Ready; None: the node is not."""
    if e.node is not None and not e.node.ready:
        return None
    missed = e.process.since if e.process.reason == MISSED else now
    since = missed if e.node is None else max(missed, e.node.ready_since)
    return since + timedelta(seconds=e.grace_seconds + e.settings.node_ready_margin)


def _always(_: Evidence, __: datetime) -> bool:
    return True


LINES: tuple[tuple[Callable[[Evidence, datetime], bool], ProcessState], ...] = (
    (_reported, ProcessState.GONE),
    (_never_bound, ProcessState.GONE),
    (_booted_again, ProcessState.GONE),
    (_node_removed, ProcessState.GONE),
    (lambda e, now: _present(e, now) and _node_lost(e, now), ProcessState.UNCONFIRMED),
    (_present, ProcessState.ALIVE),
    (_long_missed, ProcessState.UNPROVEN),
    (_node_lost, ProcessState.UNCONFIRMED),
    (_always, ProcessState.ALIVE),
)
