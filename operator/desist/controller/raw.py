"""Pods and nodes as the API server sends them, cut down to what proof and waiting need.

Contract: decoding skips what is not named here, so that a body of many kilobytes becomes a few hundred bytes. Nothing
is checked but shapes; `views` cuts what comes from outside to what can be told.
"""

from __future__ import annotations

import msgspec


class Raw(msgspec.Struct, frozen=True, rename="camel"):
    """A part of a Kubernetes object; what is not named is skipped."""


class OwnerReference(Raw, frozen=True):
    """Who owns the object."""

    api_version: str = ""
    kind: str = ""
    uid: str = ""
    controller: bool = False


class Metadata(Raw, frozen=True):
    """Identity, age and marks of an object. Times stay text: one that cannot be read must not hide the object."""

    name: str
    uid: str
    resource_version: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    finalizers: tuple[str, ...] = ()


class Container(Raw, frozen=True):
    """A container as the spec has it."""

    name: str
    restart_policy: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    liveness_probe: Raw | None = None
    startup_probe: Raw | None = None


class Waiting(Raw, frozen=True):
    """Why a container does not run."""

    reason: str = ""
    message: str = ""


class Running(Raw, frozen=True):
    """Since when it runs."""

    started_at: str | None = None


class Terminated(Raw, frozen=True):
    """How it ended."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    container_id: str = msgspec.field(default="", name="containerID")


class ContainerState(Raw, frozen=True):
    """One of three."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Raw, frozen=True):
    """What the kubelet reports of a container."""

    name: str
    state: ContainerState = ContainerState()
    container_id: str = msgspec.field(default="", name="containerID")


class RawCondition(Raw, frozen=True):
    """A condition of a pod or a node."""

    type: str
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class Gate(Raw, frozen=True):
    """What holds a pod back from its scheduler."""

    name: str = ""


class PodSpec(Raw, frozen=True):
    """The part of a pod's spec that proof needs."""

    node_name: str = ""
    scheduler_name: str = "default-scheduler"
    scheduling_gates: tuple[Gate, ...] = ()
    init_containers: tuple[Container, ...] = ()
    containers: tuple[Container, ...] = ()
    termination_grace_period_seconds: int = 30


class PodStatus(Raw, frozen=True):
    """The part of a pod's status that proof needs."""

    phase: str = "Pending"
    pod_ip: str = msgspec.field(default="", name="podIP")
    reason: str = ""
    message: str = ""
    conditions: tuple[RawCondition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()


class RawPod(Raw, frozen=True):
    """A pod as the watch delivers it."""

    metadata: Metadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class Taint(Raw, frozen=True):
    """A taint of a node."""

    key: str


class NodeSpec(Raw, frozen=True):
    """The part of a node's spec that proof needs."""

    taints: tuple[Taint, ...] = ()


class NodeInfo(Raw, frozen=True):
    """What runs on a node."""

    boot_id: str = msgspec.field(default="", name="bootID")
    container_runtime_version: str = ""


class NodeStatus(Raw, frozen=True):
    """The part of a node's status that proof needs."""

    conditions: tuple[RawCondition, ...] = ()
    node_info: NodeInfo = NodeInfo()


class RawNode(Raw, frozen=True):
    """A node as the watch delivers it."""

    metadata: Metadata
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()
