"""The API server: one execution, its pods and the nodes, each under a version, and a log of what happened to them.

Contract: it refuses what the CRD's rules refuse (`rules.py`), a write under another version (`Conflict`), and what is
not there (`Missing`). Every change is one entry of `log`, which controllers read at their own pace. A DELETE behaves
as the real one: a pod that was never bound or has ended is gone at once, another one is its kubelet's to remove.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import inf

from desist.api.cancellation import Cancellation
from desist.api.execution import WorkflowExecution
from desist.api.meta import (
    ATTEMPT_LABEL,
    OPERATION_ATTEMPT_LABEL,
    OPERATION_UID_LABEL,
    PUSH_KEY_ANNOTATION,
    PUSH_PORT_ANNOTATION,
    RUN_ID_LABEL,
)
from desist.api.operation import Operation
from desist.api.status import OperationStatus, WorkflowExecutionStatus
from desist.api.vocabulary import ProcessRole
from desist.lifecycle.observed.pods import ContainerKind, ContainerView, NodeView, PodView
from desist.lifecycle.observed.pushes import PushTo
from desist.lifecycle.observed.questions import Answer
from desist.lifecycle.plan import CreatePod
from tests.unit.lifecycle_sim import rules
from tests.unit.lifecycle_sim.clock import EXACT, Clock, Wall

ENDED = ("Succeeded", "Failed")
POD_GRACE = 30


class Conflict(Exception):
    """409: another version, another UID, or the name is taken."""


class Missing(Exception):
    """404."""


class Refused(Exception):
    """422: a rule of the CRD forbids it."""


@dataclass(frozen=True)
class Change:
    """One entry of the log."""

    kind: str
    """execution, operations, pods or nodes."""
    thing: WorkflowExecution | Operation | PodView | NodeView
    deleted: bool = False


@dataclass
class ApiServer:
    """The stored objects."""

    clock: Clock
    execution: WorkflowExecution
    wall: Wall = EXACT
    sidecar: bool = False
    """Whether pods have one."""
    pods: dict[str, PodView] = field(default_factory=dict)
    nodes: dict[str, NodeView] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    """By name."""
    log: list[Change] = field(default_factory=list)
    answer: Answer = Answer.PASSED
    """What it says to creates."""
    removed: dict[str, float] = field(default_factory=dict)
    """By UID: when the pod's object went."""
    due: dict[str, float] = field(default_factory=dict)
    """By UID: when SIGKILL is truly due in the pod, by what was posted and deleted so far."""
    taken: set[str] = field(default_factory=set)
    """Names of pods that somebody else has made."""
    unlabelled: set[str] = field(default_factory=set)
    """UIDs of pods that somebody took our label off: no watch shows them any more."""
    pod_changed: Callable[[PodView], None] = lambda pod: None
    version: int = 100

    def patch_cancellation(self, request: Cancellation | None) -> None:
        """A user's patch. Raises Refused."""
        why = rules.refusal(self.execution, request)
        if why:
            raise Refused(why)
        if request == self.execution.spec.cancellation:
            return
        spec = self.execution.spec.model_copy(update={"cancellation": request})
        generation = self.execution.metadata.generation + 1
        self._store_execution({"spec": spec}, generation)

    def put_status(self, version: str, status: WorkflowExecutionStatus) -> WorkflowExecution:
        """Replace status under a version. Raises Conflict, Refused."""
        if version != self.execution.metadata.resource_version:
            raise Conflict(f"the execution is at version {self.execution.metadata.resource_version}")
        why = rules.status_refusal(self.execution.status, status)
        if why:
            raise Refused(why)
        kept = WorkflowExecutionStatus.model_validate(status.wire())
        assert kept == status, "the status changes on the wire"
        self._store_execution({"status": kept}, self.execution.metadata.generation)
        return self.execution

    def create(self, action: CreatePod) -> PodView:
        """Create a pod. Raises Conflict where the name is taken."""
        if action.name in self.pods or action.name in self.taken:
            raise Conflict(f"there is a pod {action.name}")
        labels = action.manifest.value["metadata"]["labels"]
        operation = labels.get(OPERATION_UID_LABEL, "")
        workflow = ContainerView("workflow", ContainerKind.REGULAR)
        sidecar = (ContainerView("proxy", ContainerKind.SIDECAR),) if self.sidecar else ()
        pod = PodView(
            name=action.name,
            uid=f"uid-{self.version}",
            resource_version="",
            run_id=labels[RUN_ID_LABEL],
            attempt=int(labels[OPERATION_ATTEMPT_LABEL if operation else ATTEMPT_LABEL]),
            role=ProcessRole.OPERATION if operation else ProcessRole.WORKFLOW,
            operation=operation,
            phase="Pending",
            containers=(*sidecar, workflow),
            created_at=self.wall.at(self.clock.now),
            grace_seconds=POD_GRACE,
            push=_push_to(action.manifest.value["metadata"]["annotations"]),
        )
        return self.store(pod)

    def store_operation(self, operation: Operation) -> Operation:
        """Keep an operation's new state; a new one gets its UID."""
        uid = operation.metadata.uid or f"op-{self.version}"
        metadata = operation.metadata.replace(resource_version=self._next(), uid=uid)
        kept = self.operations[metadata.name] = operation.replace(metadata=metadata)
        self.log.append(Change("operations", kept))
        return kept

    def put_operation_status(self, judged: Operation, status: OperationStatus) -> Operation:
        """Replace an operation's status under a version. Raises Conflict."""
        held = self.operations[judged.metadata.name]
        if held.metadata.resource_version != judged.metadata.resource_version:
            raise Conflict(f"operation {held.spec.key} is at version {held.metadata.resource_version}")
        assert OperationStatus.model_validate(status.wire()) == status, "the status changes on the wire"
        return self.store_operation(held.replace(status=status))

    def find(self, name: str, uid: str, version: str = "") -> PodView:
        """The pod of that name, if it is the one. Raises Conflict, Missing."""
        pod = self.pods.get(name)
        if pod is None:
            raise Missing(name)
        if pod.uid != uid or (version and pod.resource_version != version):
            raise Conflict(f"pod {name} is {pod.uid} at version {pod.resource_version}")
        return pod

    def delete(self, pod: PodView, grace: int | None, *, disruption: str = "") -> None:
        """DELETE with a grace; None: the pod's own."""
        grace = pod.grace_seconds if grace is None else grace
        if not pod.node or pod.phase in ENDED or grace == 0:
            self.remove(pod)
            return
        due = self.wall.at(self.clock.now) + timedelta(seconds=grace)
        if pod.deletion_timestamp is not None and pod.deletion_timestamp <= due:
            return
        self.kill_by(pod.uid, self.clock.now + grace)
        reason = disruption or pod.disruption_reason
        self.store(replace(pod, deletion_timestamp=due, deletion_grace_seconds=grace, disruption_reason=reason))

    def kill_by(self, uid: str, moment: float) -> None:
        """SIGKILL is due in a pod at that moment, if it was not before."""
        self.due[uid] = min(self.due.get(uid, inf), moment)

    def store(self, pod: PodView) -> PodView:
        """Keep a pod's new state, unless nothing changed."""
        old = self.pods.get(pod.name)
        if old is not None and replace(pod, resource_version=old.resource_version) == old:
            return old
        pod = replace(pod, resource_version=self._next())
        self.pods[pod.name] = pod
        self._log(pod)
        self.pod_changed(pod)
        return pod

    def take_label_off(self, pod: PodView) -> None:
        """Somebody takes our label off a pod: to the watches, it is deleted."""
        if pod.uid not in self.unlabelled:
            self._log(replace(pod, resource_version=self._next()), deleted=True)
            self.unlabelled.add(pod.uid)

    def remove(self, pod: PodView) -> None:
        """The pod's object is gone."""
        last = replace(self.pods.pop(pod.name), resource_version=self._next())
        self.removed[pod.uid] = self.clock.now
        self._log(last, deleted=True)
        self.pod_changed(last)

    def set_node(self, node: NodeView) -> None:
        """Keep a node's new state."""
        if self.nodes.get(node.name) != node:
            self.nodes[node.name] = node
            self.log.append(Change("nodes", node))

    def remove_node(self, name: str) -> None:
        """The Node object is gone."""
        self.log.append(Change("nodes", self.nodes.pop(name), deleted=True))

    def _store_execution(self, update: dict[str, object], generation: int) -> None:
        metadata = self.execution.metadata.model_copy(
            update={"resource_version": self._next(), "generation": generation}
        )
        self.execution = self.execution.model_copy(update={**update, "metadata": metadata})
        self.log.append(Change("execution", self.execution))

    def _log(self, pod: PodView, *, deleted: bool = False) -> None:
        if pod.uid not in self.unlabelled:
            self.log.append(Change("pods", pod, deleted=deleted))

    def _next(self) -> str:
        self.version += 1
        return str(self.version)


def _push_to(annotations: dict[str, str]) -> PushTo | None:
    key = annotations.get(PUSH_KEY_ANNOTATION)
    return PushTo(key, int(annotations[PUSH_PORT_ANNOTATION])) if key else None
