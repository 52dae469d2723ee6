"""What the cluster says about pods and nodes, cut down to what a reconcile looks at.

Contract: msgspec decodes only the fields named here (a pod of 6 KB becomes one small record) and the functions turn
them into the core's `PodView` and `NodeView`. A pod belongs to an execution only where its label *and* the owner
reference of its controller, of our kind, name the same UID: a foreign pod that carries our label is not ours, whatever
it says. (That it lies in the execution's namespace is for whoever knows that: `Caches.pods`.) One with the label of an
operation belongs to that operation, and to no attempt of the run; the execution controls it all the same. A pod that
was asked for by its name needs no label: status, not the pod, says which attempt it is. So a pod of ours whose labels
do not say it any more is no record of the watch, as if they were off: the core then asks for it by its name. (As
attempt 0 it would be taken for a late start, and the run killed for a label.) But a label that names another operation
tells that it is another's: an object that was made anew has the name of the one before.
`now` is the controller's time, at which it sees the object like this; whoever knows an earlier state of it carries the
time on (`Caches`).
What admission has added to a pod is no reason not to see it: regular containers beside the workflow's are sidecars
that must end too.
Rejected: bodies as dicts (64 MB become 500 for 10,000 pods), pydantic here (ten times slower to decode).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from desist.api import outside
from desist.api.base import EARLIEST
from desist.api.meta import (
    ATTEMPT_LABEL,
    EXECUTION_UID_LABEL,
    GROUP,
    OPERATION_ATTEMPT_LABEL,
    OPERATION_UID_LABEL,
    PUSH_KEY_ANNOTATION,
    PUSH_PORT_ANNOTATION,
    ROLE_LABEL,
    RUN_ID_LABEL,
    STOP_ANNOTATION,
)
from desist.api.vocabulary import ProcessRole
from desist.controller.kinds import EXECUTION, OPERATION, Key
from desist.controller.raw import (
    Container,
    ContainerStatus,
    Metadata,
    PodSpec,
    PodStatus,
    RawCondition,
    RawNode,
    RawPod,
    Waiting,
)
from desist.lifecycle.observed.pods import ContainerKind, ContainerPhase, ContainerView, NodeView, PodView
from desist.lifecycle.observed.pushes import PushTo
from desist.lifecycle.observed.questions import WantedPod
from desist.lifecycle.pod.launcher import LAUNCHER

REASON, MESSAGE = 128, 2000
"""Characters of one word for programs, and of a text for people, that are kept."""
MANY = 4
"""Names of gates or finalizers that are kept."""
_KEY_ID, _PORT = re.compile(r"[0-9a-f]{8}"), re.compile(r"[1-9][0-9]{0,4}")
SANDBOX = "PodReadyToStartContainers"


@dataclass(frozen=True, slots=True)
class PodRecord:
    """A pod of a run, and whose it is."""

    namespace: str
    execution_uid: str
    """Of the execution that controls it."""
    view: PodView

    @property
    def key(self) -> Key:
        """What it belongs to: the operation that it names, else the execution."""
        if self.view.operation:
            return Key(OPERATION.name, self.view.operation)
        return Key(EXECUTION.name, self.execution_uid)


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node, and what its runtime can do."""

    view: NodeView
    runtime: str
    """As the kubelet spells it: `containerd://2.3.4`."""


def pod_record(pod: RawPod, now: datetime) -> PodRecord | None:
    """The record of a pod of ours; None for one that only looks like it, or does not say which attempt it is."""
    labels = pod.metadata.labels
    owner, run_id = labels.get(EXECUTION_UID_LABEL, ""), labels.get(RUN_ID_LABEL, "")
    operation = labels.get(OPERATION_UID_LABEL, "")
    attempt = labels.get(OPERATION_ATTEMPT_LABEL if operation else ATTEMPT_LABEL, "")
    foreign = not _controlled_by(owner, pod.metadata) or not pod.spec.containers
    if foreign or not attempt.isdecimal() or not run_id:
        return None
    wanted = WantedPod(pod.metadata.name, run_id, int(attempt), operation=operation)
    return PodRecord(pod.metadata.namespace, owner, _pod_view(pod, wanted, _role(labels.get(ROLE_LABEL, "")), now))


def wanted_view(pod: RawPod, owner: str, wanted: WantedPod, now: datetime) -> PodView | None:
    """The pod that was asked for by name, also where its labels were taken off; None for another's, and only then."""
    named = pod.metadata.labels.get(OPERATION_UID_LABEL, wanted.operation) == wanted.operation
    ours = pod.metadata.uid == wanted.uid or (named and _controlled_by(owner, pod.metadata))
    role = ProcessRole.OPERATION if wanted.operation else ProcessRole.WORKFLOW
    return _pod_view(pod, wanted, role, now) if ours else None


def node_record(node: RawNode, now: datetime) -> NodeRecord:
    """The record of a node. Without a condition Ready it is not Ready."""
    ready = next((c for c in node.status.conditions if c.type == "Ready"), None)
    view = NodeView(
        name=node.metadata.name,
        boot_id=node.status.node_info.boot_id[:REASON],
        ready=ready is not None and ready.status == "True",
        ready_since=now,
        ready_changed=outside.moment(ready.last_transition_time) if ready else None,
        out_of_service=any(taint.key == "node.kubernetes.io/out-of-service" for taint in node.spec.taints),
    )
    return NodeRecord(view, node.status.node_info.container_runtime_version)


def _role(label: str) -> ProcessRole | None:
    return ProcessRole(label) if label in list(ProcessRole) else None


def _controlled_by(owner: str, metadata: Metadata) -> bool:
    return any(
        ref.controller and ref.uid == owner and ref.kind == EXECUTION.name and ref.api_version.split("/")[0] == GROUP
        for ref in metadata.owner_references
    )


def _pod_view(pod: RawPod, whose: WantedPod, role: ProcessRole | None, now: datetime) -> PodView:
    metadata, spec, status = pod.metadata, pod.spec, pod.status
    disruption = _condition(status, "DisruptionTarget", "True")
    scheduled = _condition(status, "PodScheduled", "False", reason="Unschedulable")
    deletion_grace = metadata.deletion_grace_period_seconds
    return PodView(
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        run_id=whose.run_id,
        attempt=whose.attempt,
        operation=whose.operation,
        phase=status.phase,
        role=role,
        containers=_containers(spec, status),
        node=spec.node_name,
        reason=outside.text(status.reason, REASON),
        message=outside.text(status.message, MESSAGE),
        created_at=outside.moment(metadata.creation_timestamp),
        deletion_timestamp=outside.moment(metadata.deletion_timestamp),
        deletion_grace_seconds=None if deletion_grace is None else outside.grace(deletion_grace),
        deletion_seen_at=None if metadata.deletion_timestamp is None else now,
        grace_seconds=outside.grace(spec.termination_grace_period_seconds),
        has_probe=_has_probe(_own_container(spec)),
        disruption_reason=disruption.reason if disruption else "",
        unschedulable=outside.text(scheduled.message, MESSAGE) if scheduled else "",
        mailbox=metadata.annotations.get(STOP_ANNOTATION, ""),
        gates=tuple(outside.text(gate.name, REASON) for gate in spec.scheduling_gates[:MANY]),
        finalizers=tuple(outside.text(name, REASON) for name in metadata.finalizers[:MANY]),
        scheduler=outside.text(spec.scheduler_name, REASON),
        scheduling=any(c.type == "PodScheduled" for c in status.conditions),
        sandbox=next((c.status == "True" for c in status.conditions if c.type == SANDBOX), None),
        launched=any(map(_launched, spec.containers)),
        address=_address(status.pod_ip),
        push=_push(metadata.annotations),
    )


def _address(written: str) -> str:
    """What is no address is none."""
    try:
        return str(ipaddress.ip_address(written))
    except ValueError:
        return ""


def _push(annotations: Mapping[str, str]) -> PushTo | None:
    """Where the pod takes pushes; None: it takes none."""
    key_id, port = annotations.get(PUSH_KEY_ANNOTATION, ""), annotations.get(PUSH_PORT_ANNOTATION, "")
    if not _KEY_ID.fullmatch(key_id) or not _PORT.fullmatch(port) or int(port) > 65535:
        return None
    return _push_to(key_id, int(port))


@lru_cache(maxsize=64)
def _push_to(key_id: str, port: int) -> PushTo:
    """One for thousands of pods."""
    return PushTo(key_id, port)


def _condition(status: PodStatus, kind: str, value: str, reason: str = "") -> RawCondition | None:
    found = (c for c in status.conditions if c.type == kind and c.status == value)
    return next((c for c in found if c.reason == (reason or c.reason)), None)


def _containers(spec: PodSpec, status: PodStatus) -> tuple[ContainerView, ...]:
    first = {s.name: s for s in status.init_container_statuses}
    regular = {s.name: s for s in status.container_statuses}
    sidecar, own = ContainerKind.SIDECAR, _own_container(spec)
    before = [(c.name, sidecar if c.restart_policy == "Always" else ContainerKind.INIT) for c in spec.init_containers]
    beside = [(c.name, ContainerKind.REGULAR if c is own else ContainerKind.ADDED) for c in spec.containers]
    return (
        *(_container(name, kind, first.get(name)) for name, kind in before),
        *(_container(name, kind, regular.get(name)) for name, kind in beside),
        # One that waits has no process, and is started no more once the others have ended.
        *(_container(s.name, ContainerKind.EPHEMERAL, s) for s in status.ephemeral_container_statuses if _begun(s)),
    )


def _begun(status: ContainerStatus) -> bool:
    return status.state.running is not None or status.state.terminated is not None


def _own_container(spec: PodSpec) -> Container | None:
    """The workflow's: the launcher is in front of its command, unless admission has put something before that, too."""
    return next(filter(_launched, spec.containers), spec.containers[0] if spec.containers else None)


def _launched(container: Container) -> bool:
    return LAUNCHER in (*container.command, *container.args)


def _has_probe(container: Container | None) -> bool:
    return container is not None and not (container.liveness_probe is None and container.startup_probe is None)


def _container(name: str, kind: ContainerKind, status: ContainerStatus | None) -> ContainerView:
    if status is None:
        return ContainerView(name, kind)
    if (ended := status.state.terminated) is not None:
        return ContainerView(
            name=name,
            kind=kind,
            phase=ContainerPhase.TERMINATED,
            # Not the status's own ID: only an end that names its container was seen by the runtime.
            container_id=ended.container_id,
            reason=outside.text(ended.reason, REASON),
            # As it is: outcome and receipt are read from it, and `termination` cuts what they say.
            message=ended.message,
            exit_code=ended.exit_code,
            signal=ended.signal or None,
            started_at=_real(ended.started_at),
            finished_at=_real(ended.finished_at),
        )
    if (running := status.state.running) is not None:
        return ContainerView(
            name, kind, ContainerPhase.RUNNING, status.container_id, started_at=_real(running.started_at)
        )
    waiting = status.state.waiting or Waiting()
    return ContainerView(
        name,
        kind,
        ContainerPhase.WAITING,
        status.container_id,
        reason=outside.text(waiting.reason, REASON),
        message=outside.text(waiting.message, MESSAGE),
    )


def _real(written: str | None) -> datetime | None:
    """The kubelet reports the epoch where it does not know."""
    moment = outside.moment(written)
    return moment if moment is not None and moment > EARLIEST else None
