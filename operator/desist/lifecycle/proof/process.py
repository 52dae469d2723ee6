"""Process: one process of a run, with all that bears on whether it lives.

Contract: a value; it judges nothing. `verdict`, delivery, waiting and reports take it, whatever the process belongs
to. `live` flags tell an answer of the API server, made for this reconcile, from what a cache remembers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from desist.api.status import ProcessStatus
from desist.api.vocabulary import ProcessRole, ProcessState
from desist.lifecycle.observed.pods import ContainerKind, ContainerPhase, ContainerView, NodeView, PodView
from desist.lifecycle.observed.pushes import Pushed
from desist.lifecycle.observed.questions import PodCall, Refusal
from desist.lifecycle.settings import Settings

POD_GC = "DeletionByPodGC"
STATUS_UNKNOWN = "ContainerStatusUnknown"
CLOSED = (ProcessState.GONE, ProcessState.UNPROVEN)
"""The verdicts that let a run end."""


@dataclass(frozen=True, slots=True)
class Process:
    """All that bears on one process."""

    status: ProcessStatus
    """What is known about it so far."""
    pod: PodView | None
    """The pod's last state that is known."""
    present: bool
    """Whether the pod exists, as far as the cache knows; else it has vanished, or was never made."""
    node: NodeView | None
    grace_seconds: float
    """The pod's own terminationGracePeriodSeconds."""
    settings: Settings
    node_live: bool = False
    """Whether `node` (None: there is none) is the API server's answer to a GET made for this reconcile."""
    pod_live: bool = False
    """Whether `present` is, too."""
    missed_since: datetime | None = None
    """When this controller process first asked for the pod in vain; None: it has not, or has seen it since."""
    began: datetime | None = None
    """When this controller process began to look; None: it does not matter."""
    refusals: tuple[Refusal, ...] = ()
    """What was refused when it was asked of its pod."""
    pushed: Pushed | None = None
    """What this controller process pushed last to its pod; None: nothing, or it is forgotten."""

    @property
    def role(self) -> ProcessRole:
        """What it is to what it belongs to."""
        return self.status.role

    @property
    def closed(self) -> bool:
        """Whether its end was judged."""
        return self.status.state in CLOSED

    @property
    def present_pod(self) -> PodView | None:
        """Its pod, where that exists."""
        return self.pod if self.present else None

    @property
    def never_seen(self) -> bool:
        """Whether its pod may not have been created yet."""
        return self.status.pod_uid is None and self.pod is None

    @property
    def absent(self) -> bool:
        """Whether there is no pod of it: never seen, and a live GET says so."""
        return self.never_seen and self.pod_live

    @property
    def unwatched(self) -> bool:
        """Whether its pod is there, and only a live GET shows it."""
        return self.pod_live and self.present

    def refused(self, call: PodCall, asks: str = "") -> Refusal | None:
        """The refusal of that call; where `asks` is given, only of one that asked for the same."""
        found = (r for r in self.refusals if r.call is call and r.times > 0)
        return next((refusal for refusal in found if asks in ("", refusal.asks)), None)

    @property
    def reported(self) -> bool:
        """Whether the kubelet reports the end of its own container."""
        return self.pod is not None and reported_end(self.pod.workflow)


def reported_end(container: ContainerView) -> bool:
    """Whether the kubelet reports a real end of this container."""
    over = container.phase is ContainerPhase.TERMINATED
    return over and bool(container.container_id) and container.reason != STATUS_UNKNOWN


def regular_ended(pod: PodView) -> bool:
    """Whether every regular container is reported ended, also those that admission has put beside the workflow's."""
    regular = [c for c in pod.containers if c.kind in (ContainerKind.REGULAR, ContainerKind.ADDED)]
    return all(reported_end(container) for container in regular)


def ended(pod: PodView) -> bool:
    """Whether the kubelet has reported that nothing of the pod runs or will run."""
    return _terminal_phase(pod) or _all_ended(pod)


def never_starts(pod: PodView) -> bool:
    """Whether no node gets it any more: the API server binds no pod that is being deleted, whatever holds it."""
    return not pod.node and pod.deletion_timestamp is not None


def _terminal_phase(pod: PodView) -> bool:
    return pod.phase in ("Succeeded", "Failed") and pod.disruption_reason != POD_GC


def _all_ended(pod: PodView) -> bool:
    return bool(pod.containers) and all(reported_end(container) for container in pod.containers)
