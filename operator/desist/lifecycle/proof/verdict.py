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
Waits are counted by one clock, from what this controller process has seen itself: a node's own times, or what another
controller wrote into status, may be hours off. So a new process counts anew. What was unconfirmed before stays so
meanwhile: a restart of the controller brings no node back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from desist.api.vocabulary import ProcessState
from desist.lifecycle.observed.pods import ContainerPhase, NodeView
from desist.lifecycle.proof.process import CLOSED, Process, ended, never_starts
from desist.lifecycle.settings import Settings


def verdict(process: Process, now: datetime) -> ProcessState:
    """What is known about the process at `now`."""
    return next(state for holds, state in LINES if holds(process, now))


def next_change(process: Process, now: datetime) -> datetime | None:
    """When time alone may change the verdict next; None: only an event can."""
    moments = (lost_at(process.node, process.settings), None if process.present else _ready_at(process))
    return min((moment for moment in moments if moment and moment > now), default=None)


def lost_at(node: NodeView | None, settings: Settings) -> datetime | None:
    """When a node that is not Ready counts as lost; None: it is Ready, or there is none."""
    if node is None or node.ready:
        return None
    return node.ready_since + timedelta(seconds=settings.node_lost_after)


def may_start(e: Process) -> bool:
    """Whether the workflow process has not started, and may yet."""
    return e.present and e.pod is not None and e.pod.workflow.phase is ContainerPhase.WAITING


def rebooted(e: Process) -> bool:
    """Whether the node has booted since the process started there."""
    boot_id, node = e.status.boot_id, e.node
    return e.node_live and node is not None and bool(boot_id) and bool(node.boot_id) and node.boot_id != boot_id


def needs_live_node(e: Process, now: datetime) -> bool:
    """Whether the cached node would count if it were a live answer."""
    live = replace(e, node_live=True)
    return not e.node_live and (_booted_again(live, now) or verdict(live, now) is not verdict(e, now))


def needs_live_pod(e: Process, now: datetime) -> bool:
    """Whether the pod has vanished as far as the cache knows, and nothing else closes the process."""
    return not e.present and not e.pod_live and verdict(e, now) not in CLOSED


def _reported(e: Process, _: datetime) -> bool:
    return e.pod is not None and ended(e.pod)


def _never_bound(e: Process, _: datetime) -> bool:
    if e.pod is None or e.pod.node or e.status.node:
        return False
    return never_starts(e.pod) if e.present else e.pod_live


def _booted_again(e: Process, _: datetime) -> bool:
    return rebooted(e) and not may_start(e)


def _node_removed(e: Process, _: datetime) -> bool:
    if e.node is None:
        return e.node_live and bool(e.status.node) and e.status.boot_id is not None
    return e.node_live and e.node.out_of_service


def _node_lost(e: Process, now: datetime) -> bool:
    moment = lost_at(e.node, e.settings)
    return moment is not None and (moment <= now or e.status.state is ProcessState.UNCONFIRMED)


def _present(e: Process, _: datetime) -> bool:
    return e.present


def _long_missed(e: Process, now: datetime) -> bool:
    moment = _ready_at(e)
    return e.pod_live and moment is not None and moment <= now


def _ready_at(e: Process) -> datetime | None:
    """When a vanished pod is closed without proof, if its node stays Ready; None: the node is not, or nobody asked."""
    if e.missed_since is None or (e.node is not None and not e.node.ready):
        return None
    since = e.missed_since if e.node is None else max(e.missed_since, e.node.ready_since)
    return since + timedelta(seconds=e.grace_seconds + e.settings.node_ready_margin)


def _always(_: Process, __: datetime) -> bool:
    return True


LINES: tuple[tuple[Callable[[Process, datetime], bool], ProcessState], ...] = (
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
