"""Waits: everything that a run can wait for, and in which words each of it is said.

Contract: a value of `Wait` is in every text of its kind, and in docs/troubleshooting.md, where a search finds it. What
others say (a kubelet, a scheduler, the API server) comes last, behind the first colon: it changes with each try. What
bounds the wait, or what one can do, comes before.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from desist.api.base import rfc3339
from desist.api.vocabulary import ProcessReason
from desist.lifecycle.observed.pods import ContainerKind, ContainerPhase, ContainerView, PodView
from desist.lifecycle.proof.process import Process, ended, reported_end
from desist.lifecycle.proof.verdict import next_change
from desist.lifecycle.stop.push import listens
from desist.lifecycle.wire import mailbox

SHOWN_AFTER = timedelta(seconds=10)
"""What every start passes through is shown once it lasts for so long: earlier, it would be one more write each time."""


class Wait(StrEnum):
    """The kinds of waits, each by words that only its texts have."""

    NEXT_ATTEMPT = "the next attempt, which starts at"
    NOT_BEGUN = "what keeps the run from beginning"
    CREATE_REFUSED = "the API server refuses the pod"
    NAME_TAKEN = "exists and is not this run's"
    TEMPLATE_LOST = "the template of the run, which status does not hold any more"
    UNSEEN = "which was asked for and is not there yet"
    GATED = "which scheduling gates hold back"
    NO_NODE = "a node for pod"
    NO_SCHEDULER = "which no scheduler has looked at"
    NO_KUBELET = "which its kubelet has not begun with"
    NO_SANDBOX = "whose volumes or sandbox are not ready"
    BEING_MADE = "whose image is being pulled, or which is being made"
    NOT_PULLED = "whose image cannot be pulled"
    NOT_CONFIGURED = "which misses a ConfigMap, a Secret or another setting"
    NOT_MADE = "which the kubelet cannot start"
    INIT = "which is running before the workflow process"
    SIDECAR = "which has not ended after the workflow process"
    ADDED = "which admission has put beside the workflow's and which has not ended"
    TOLD = "which were told to stop"
    DELETED = "which is being deleted with a grace until"
    FINALIZERS = "which finalizers hold back"
    VANISHED = "which has vanished without a report of its end"
    NODE_LOST = "which does not answer"
    UNKILLABLE = "where it has not ended after its SIGKILL"
    STOP_REFUSED = "the API server's refusal of the stop"
    DELETE_REFUSED = "the API server's refusal of the DELETE"


PULLING = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable")
CONFIG = ("CreateContainerConfigError",)
SILENT = ("", "ContainerCreating", "PodInitializing")
RETRIED = "the kubelet tries it again and again"


def of_pod(process: Process, pod: PodView, now: datetime, bound: str) -> Iterator[str]:
    """What keeps a process from starting, or its pod from ending. `bound` says until when a start is waited for."""
    if pod.deletion_timestamp is not None:
        yield from _deleted(pod, listens(process))
    elif not pod.node:
        yield from _unbound(process, pod, now, bound)
    else:
        yield from _starting(process, pod, now, bound)
    yield from _sidecars(pod)


def vanished(process: Process, now: datetime) -> Iterator[str]:
    """A pod that is missed."""
    held = process.status
    if process.present or process.closed or held.reason != ProcessReason.MISSED:
        return
    closes = next_change(process, now)
    until = f"at {rfc3339(closes)}, if its node stays Ready, it" if closes else "once its node is Ready again, it"
    yield f"pod {held.pod} on node {held.node or '(unknown)'}, {Wait.VANISHED}; {until} is closed as unproven"


def shown_at(process: Process, now: datetime) -> datetime | None:
    """When a start that goes on is shown next; None: none is."""
    pod = process.present_pod
    if process.closed or process.reported or (pod is not None and pod.workflow.phase is ContainerPhase.RUNNING):
        return None
    moment = process.status.since + SHOWN_AFTER
    return moment if moment > now else None


def _lasts(process: Process, now: datetime) -> bool:
    return process.status.since + SHOWN_AFTER <= now


def _unbound(process: Process, pod: PodView, now: datetime, bound: str) -> Iterator[str]:
    if pod.gates:
        yield f"pod {pod.name}, {Wait.GATED}; whoever set them removes them; {bound}: {', '.join(pod.gates)}"
    elif pod.unschedulable:
        yield f"{Wait.NO_NODE} {pod.name}; {bound}: {pod.unschedulable}"
    elif not pod.scheduling and _lasts(process, now):
        yield f"pod {pod.name}, {Wait.NO_SCHEDULER}; is one running whose name is {pod.scheduler}? {bound}"


def _starting(process: Process, pod: PodView, now: datetime, bound: str) -> Iterator[str]:
    if ended(pod):
        return
    told = [text for c in pod.containers for text in _container(pod, c, bound, lasts=_lasts(process, now))]
    if told or not _lasts(process, now) or pod.workflow.phase is not ContainerPhase.WAITING:
        yield from told
    elif pod.sandbox is False:
        yield (
            f"pod {pod.name} on node {pod.node}, {Wait.NO_SANDBOX} (PodReadyToStartContainers is False); often a "
            f"ConfigMap, a Secret or a volume is missing, or the node's network; kubectl describe pod says it; {bound}"
        )
    elif not any(c.reason or c.container_id for c in pod.containers):
        yield f"pod {pod.name} on node {pod.node}, {Wait.NO_KUBELET}; {bound}"
    else:
        waiting = next(c for c in pod.containers if c.phase is ContainerPhase.WAITING)
        yield f"container {waiting.name} of pod {pod.name}, {Wait.BEING_MADE}; {bound}"


def _container(pod: PodView, container: ContainerView, bound: str, *, lasts: bool) -> Iterator[str]:
    where = f"container {container.name} of pod {pod.name}"
    if container.phase is ContainerPhase.WAITING and container.reason not in SILENT:
        yield f"{where}, {_trouble(container.reason)}; {RETRIED}; {bound}: {container.message or container.reason}"
    elif _running_init(container) and lasts:
        yield f"init {where}, {Wait.INIT}; its log says more; {bound}"


def _trouble(reason: str) -> str:
    if reason in PULLING:
        return Wait.NOT_PULLED
    return f"{Wait.NOT_CONFIGURED if reason in CONFIG else Wait.NOT_MADE} ({reason})"


def _sidecars(pod: PodView) -> Iterator[str]:
    if not reported_end(pod.workflow):
        return
    for container in pod.containers:
        if container.kind is ContainerKind.SIDECAR and not reported_end(container):
            grace = f"the kubelet gives it the pod's terminationGracePeriodSeconds, {pod.grace_seconds} s"
            yield f"sidecar container {container.name} of pod {pod.name}, {Wait.SIDECAR}; {grace}"
        elif container.kind is ContainerKind.ADDED and not reported_end(container):
            bound = "a stop with a deadline deletes the pod; nothing else bounds this wait"
            yield f"container {container.name} of pod {pod.name}, {Wait.ADDED}; {bound}"


def _deleted(pod: PodView, pushed: bool) -> Iterator[str]:
    until = pod.deletion_due
    if until is None:
        return
    if pod.finalizers:
        names = ", ".join(pod.finalizers)
        yield f"pod {pod.name}, {Wait.FINALIZERS}; whoever set them removes them; nothing bounds this wait: {names}"
    if not mailbox.parse(pod.mailbox) and not reported_end(pod.workflow):
        ends = "which a stop that is pushed to its launcher may end earlier" if pushed else "that nothing can shorten"
        yield f"pod {pod.name}, {Wait.DELETED} {rfc3339(until)} {ends}"


def _running_init(container: ContainerView) -> bool:
    return container.kind is ContainerKind.INIT and container.phase is ContainerPhase.RUNNING
