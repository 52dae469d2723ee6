"""Pods and nodes, as a reconcile sees them.

Contract: a view holds what stopping and proof need of the object, and judges nothing. Whose clock a time is by:
- `created_at` and `deletion_timestamp` are the API server's, and all of `ContainerView` is the node's.
- What ends in `_seen_at` or `_since` is when this process first saw it, by its own clock; a new process counts anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from desist.api.vocabulary import ProcessRole
from desist.lifecycle.observed.pushes import PushTo


class ContainerKind(StrEnum):
    """Which list of the pod a container is from."""

    INIT = "init"
    SIDECAR = "sidecar"
    """A native one: an init container with restartPolicy Always."""
    REGULAR = "regular"
    """The workflow's own."""
    EPHEMERAL = "ephemeral"
    """A debug session's: `kubectl debug`."""
    ADDED = "added"
    """A regular container that admission has put beside it."""


class ContainerPhase(StrEnum):
    """Kubernetes' three states of a container."""

    WAITING = "waiting"
    RUNNING = "running"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container's status. A container without a status yet is `waiting` with an empty reason."""

    name: str
    kind: ContainerKind
    phase: ContainerPhase = ContainerPhase.WAITING
    container_id: str = ""
    reason: str = ""
    message: str = ""
    """Waiting: why. Terminated: the termination message."""
    exit_code: int | None = None
    signal: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod of the execution, any attempt's."""

    name: str
    uid: str
    resource_version: str
    run_id: str
    attempt: int
    phase: str
    """Pending, Running, Succeeded, Failed or Unknown."""
    containers: tuple[ContainerView, ...]
    """All of them: init containers, sidecars (also what admission has added), and the workflow process's."""
    node: str = ""
    reason: str = ""
    message: str = ""
    created_at: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_seconds: int | None = None
    deletion_seen_at: datetime | None = None
    """When this process first saw that deletion, by its own clock; a new process counts anew."""
    grace_seconds: int = 30
    """The pod's own terminationGracePeriodSeconds."""
    disruption_reason: str = ""
    """Reason of the condition DisruptionTarget where it is True (DeletionByPodGC, EvictionByEvictionAPI, ...)."""
    unschedulable: str = ""
    """Message of PodScheduled=False, reason Unschedulable."""
    has_probe: bool = False
    """Whether the kubelet stops the workflow's container where a liveness or startup probe of it fails."""
    role: ProcessRole | None = ProcessRole.WORKFLOW
    """What its label says that it is to the run; None: something that this version does not know."""
    mailbox: str = ""
    """The annotation desist.dev/stop as it is stored; empty: none."""
    gates: tuple[str, ...] = ()
    """Names of the scheduling gates that hold it back."""
    finalizers: tuple[str, ...] = ()
    """What holds it back from going, once it is deleted."""
    scheduler: str = "default-scheduler"
    scheduling: bool = True
    """Whether a scheduler has said anything of it."""
    sandbox: bool | None = None
    """Condition PodReadyToStartContainers: volumes and sandbox are ready; None: nobody has said."""
    operation: str = ""
    """UID of the operation that it belongs to; empty: it is the workflow process's."""
    launched: bool = True
    """Whether the launcher stands in the command line of a regular container, as in all pods that Desist makes."""
    address: str = ""
    """Its IP address; empty: it has none yet."""
    push: PushTo | None = None
    """None: it takes no push."""

    @property
    def deletion_due(self) -> datetime | None:
        """When the grace of its deletion is over, by the controller's clock; None: it is not being deleted."""
        if self.deletion_seen_at is None:
            return None
        return self.deletion_seen_at + timedelta(seconds=self.deletion_grace_seconds or 0)

    @property
    def workflow(self) -> ContainerView:
        """The workflow process's container."""
        for container in self.containers:
            if container.kind is ContainerKind.REGULAR:
                return container
        raise LookupError(f"pod {self.name} has no container of the workflow's")


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node, as far as proof needs it."""

    name: str
    boot_id: str
    ready: bool
    ready_since: datetime
    """When this process first saw the condition Ready as it is, by its own clock; a new process counts anew."""
    ready_changed: datetime | None = None
    """When it changed, by the clock of whoever wrote that: it tells one change from another, and nothing else."""
    out_of_service: bool = False
    """Tainted node.kubernetes.io/out-of-service: an administrator's word that nothing runs there."""
