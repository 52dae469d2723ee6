"""Builders of the records that the core looks at, and a small world that carries plans out.

`make_execution()` and `make_pod()` are fluent: each call returns a new value, and `.obj()` gives the record. Times are
given as seconds from `T0`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from desist.api.base import Opaque, rfc3339
from desist.api.cancellation import Cancellation
from desist.api.execution import WorkflowExecution, WorkflowExecutionSpec, WorkflowRef
from desist.api.meta import ObjectMeta
from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import Mode
from desist.api.workflow import StopPolicy, Workflow, WorkflowSpec
from desist.lifecycle.observed.pods import ContainerKind, ContainerPhase, ContainerView, NodeView, PodView

T0 = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TEMPLATE: dict[str, Any] = {
    "spec": {
        "terminationGracePeriodSeconds": 30,
        "containers": [{"name": "workflow", "image": "example.test/job:1", "command": ["run-job"]}],
    }
}
UID = "0b2c1e5e-6f0f-4f3c-9a7e-3f1f5f6e7a01"


def at(seconds: float) -> datetime:
    """A time, in seconds after T0."""
    return T0 + timedelta(seconds=seconds)


def make_spec(**fields: Any) -> WorkflowSpec:
    """A Workflow's spec; `grace`, `max_grace`, `kill_after` and `signal` are its stop policy's."""
    names = {
        "grace": "grace_period_seconds",
        "max_grace": "max_grace_period_seconds",
        "kill_after": "kill_after_seconds",
        "signal": "signal",
    }
    policy = {names[name]: fields.pop(name) for name in list(fields) if name in names}
    fields.setdefault("template", Opaque.of(TEMPLATE))
    return WorkflowSpec(stop_policy=StopPolicy(**policy), **fields)


def make_workflow(name: str = "job", **fields: Any) -> Workflow:
    """A Workflow."""
    return Workflow(metadata=ObjectMeta(name=name, namespace="test", uid="workflow-uid"), spec=make_spec(**fields))


@dataclass(frozen=True)
class ExecutionBuilder:
    """Builds a WorkflowExecution."""

    metadata: ObjectMeta
    spec: WorkflowExecutionSpec
    status: WorkflowExecutionStatus | None = None

    def obj(self) -> WorkflowExecution:
        """The execution."""
        return WorkflowExecution(metadata=self.metadata, spec=self.spec, status=self.status)

    def with_status(self, status: WorkflowExecutionStatus | None) -> Self:
        """With this status."""
        return replace(self, status=status)

    def changed(self, **fields: Any) -> Self:
        """With other fields of the spec, and the next generation."""
        metadata = self.metadata.model_copy(update={"generation": self.metadata.generation + 1})
        return replace(self, metadata=metadata, spec=self.spec.model_copy(update=fields))

    def cancelled(self, mode: Mode, **fields: Any) -> Self:
        """With a request of this mode in `spec.cancellation`."""
        return self.changed(cancellation=Cancellation(mode=mode, **fields))

    def deleting(self) -> Self:
        """With a deletionTimestamp."""
        return replace(self, metadata=self.metadata.model_copy(update={"deletion_timestamp": T0}))


def make_execution(name: str = "order-1", **fields: Any) -> ExecutionBuilder:
    """An execution of the Workflow `job`, or of `workflow_spec` where that is given."""
    if "workflow_spec" not in fields:
        fields.setdefault("workflow_ref", WorkflowRef(name="job"))
    metadata = ObjectMeta(name=name, namespace="test", uid=UID, resource_version="1", generation=1)
    return ExecutionBuilder(metadata, WorkflowExecutionSpec(**fields))


WORKFLOW = ContainerView(name="workflow", kind=ContainerKind.REGULAR)


@dataclass(frozen=True)
class PodBuilder:
    """Builds a PodView, from Pending and unbound on."""

    pod: PodView
    others: tuple[ContainerView, ...] = field(default=())

    def obj(self) -> PodView:
        """The pod."""
        return self.pod

    def having(self, **fields: Any) -> Self:
        """With these fields of PodView."""
        return replace(self, pod=replace(self.pod, **fields))

    def bound(self, node: str = "node-1") -> Self:
        """Bound to a node."""
        return self.having(node=node)

    def container(self, name: str, **fields: Any) -> Self:
        """With another state of one container."""
        containers = tuple(replace(c, **fields) if c.name == name else c for c in self.pod.containers)
        return self.having(containers=containers)

    def with_init(self, name: str = "prepare", **fields: Any) -> Self:
        """With an init container."""
        return self._before(ContainerView(name=name, kind=ContainerKind.INIT, **fields))

    def with_sidecar(self, name: str = "proxy", **fields: Any) -> Self:
        """With a sidecar, which runs."""
        running = {"phase": ContainerPhase.RUNNING, "container_id": f"containerd://{name}", "started_at": T0, **fields}
        return self._before(ContainerView(name=name, kind=ContainerKind.SIDECAR, **running))

    def running(self, started: float = 1) -> Self:
        """Bound, its workflow container running."""
        builder = self if self.pod.node else self.bound()
        fields = {"phase": ContainerPhase.RUNNING, "container_id": "containerd://w", "started_at": at(started)}
        return builder.having(phase="Running").container("workflow", **fields)

    def exited(self, code: int = 0, message: str = "", reason: str = "", finished: float = 2) -> Self:
        """Its workflow container terminated; the pod's phase as it was."""
        builder = self if self.pod.workflow.started_at else self.running()
        return builder.container(
            "workflow",
            phase=ContainerPhase.TERMINATED,
            exit_code=code,
            message=message,
            reason=reason or ("Completed" if code == 0 else "Error"),
            finished_at=at(finished),
        )

    def over(self) -> Self:
        """Its phase terminal, as the kubelet writes it when all containers have ended."""
        return self.having(phase="Succeeded" if self.pod.workflow.exit_code == 0 else "Failed")

    def deleting(self, grace: int = 30, since: float = 1) -> Self:
        """With a deletionTimestamp."""
        due, seen = at(since + grace), at(since)
        return self.having(deletion_timestamp=due, deletion_grace_seconds=grace, deletion_seen_at=seen)

    def _before(self, container: ContainerView) -> Self:
        return self.having(containers=(container, *self.pod.containers))


def make_pod(name: str = "pod", *, run_id: str = "", attempt: int = 1, uid: str = "") -> PodBuilder:
    """A pod of an attempt, not bound yet."""
    return PodBuilder(
        PodView(
            name=name,
            uid=uid or f"uid-of-{name}",
            resource_version="10",
            run_id=run_id,
            attempt=attempt,
            phase="Pending",
            containers=(WORKFLOW,),
            created_at=T0,
        )
    )


def make_node(name: str = "node-1", *, ready: bool = True, since: float = -3600, **fields: Any) -> NodeView:
    """A node that is Ready, or not, since so many seconds after T0."""
    return NodeView(name=name, boot_id=fields.pop("boot_id", "boot-1"), ready=ready, ready_since=at(since), **fields)


def receipt(
    *, started: bool = True, stop: str = "", sigterm: float | None = None, passed: float | None = None, **more: str
) -> str:
    """The launcher's receipt; `stop` is the id of the command that it read, `passed` when a SIGQUIT came."""
    found: dict[str, Any] = {"receipt": 1, "started": started, "outcome": "absent"}
    if stop:
        found["stop"] = {"sequence": 1, "commandId": stop, "mode": "Cancel", "at": rfc3339(at(1.5))}
    if sigterm is not None:
        found["sigterm"] = rfc3339(at(sigterm))
    if passed is not None:
        found["passed"] = {"signal": "SIGQUIT", "at": rfc3339(at(passed))}
    return json.dumps(found | more)
