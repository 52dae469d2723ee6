"""A cluster that answers what it is told to, and remembers what was asked of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from desist.api.base import Opaque
from desist.api.meta import ObjectMeta
from desist.controller.cluster import Cluster, Outdated, Vanished
from desist.controller.creates import Creates
from desist.controller.events import Notice, Subject
from desist.controller.kinds import OPERATION, Key, Kind, Managed
from desist.controller.operation_records import OperationRecord, operation_record
from desist.controller.operations import Operations
from desist.controller.push import Push
from desist.controller.records import ExecutionRecord, execution_record
from desist.controller.store import Listed
from desist.kube.errors import ApiError
from desist.kube.lanes import Budget, Passage
from desist.lifecycle.observed.pods import NodeView, PodView
from desist.lifecycle.observed.questions import Answer, CreateAnswer, WantedPod
from desist.lifecycle.plan import DeletePod, PostMailbox, PushStop
from desist.lifecycle.pod.manifest import pod_name
from desist.lifecycle.settings import Settings

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PASSED = CreateAnswer(Answer.PASSED)


def _as_it_is(status: dict[str, Any]) -> dict[str, Any]:
    return status


def _nothing_against(_: dict[str, Any]) -> ApiError | None:
    return None


@dataclass
class FakeCluster:
    """Stands in for `Cluster`; every call is a line in `calls`."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name: what `get` gives, and what a status is written to."""
    dry_run: CreateAnswer = PASSED
    create: CreateAnswer = PASSED
    live: PodView | None = None
    node: NodeView | None = None
    outdated: set[str] = field(default_factory=set)
    """Calls that end as Outdated."""
    vanished: set[str] = field(default_factory=set)
    fails: set[str] = field(default_factory=set)
    """Calls to which no answer comes."""
    refuses: dict[str, Callable[[dict[str, Any]], ApiError | None]] = field(default_factory=dict)
    """By call: what the API server says to what is written; None: nothing against it."""
    stores: Callable[[dict[str, Any]], dict[str, Any]] = _as_it_is
    """What the API server makes of a status that is written."""
    calls: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    """Of the writes of a status, in their order."""
    patience: list[float | None] = field(default_factory=list)
    """Of the same: seconds in which the answer had to be there."""
    woken: list[Key] = field(default_factory=list)
    list_version: int = 1000
    time: datetime | None = None
    """By the API server's clock."""
    busy: bool = False
    """Whether stops are being written."""

    @property
    def push(self) -> Push:
        return cast(Push, _Pushes(self))

    @property
    def cluster(self) -> Cluster:
        return cast(Cluster, self)

    def creates(self, clock: Callable[[], float] = lambda: 0.0, slots: int = 4) -> Creates:
        """Creates of pods at this cluster; whom they wake is added to `woken`."""
        return Creates(self.cluster, Settings(), slots, self.woken.append, clock)

    def busy_with_stops(self) -> bool:
        return self.busy

    def burst_of_stops(self) -> bool:
        return self.busy

    def _call(self, verb: str, rest: str = "") -> None:
        self.calls.append(f"{verb} {rest}".strip())
        if verb in self.outdated:
            raise Outdated(verb)
        if verb in self.vanished:
            raise Vanished(verb)
        if verb in self.fails:
            raise ApiError(0, "Unreachable", verb)

    async def get(self, kind: Kind[Any], namespace: str, name: str, budget: Budget = Budget.STOP) -> dict[str, Any]:
        self._call("get", name)
        if name not in self.objects:
            raise Vanished(name)
        return self.objects[name]

    async def metadata(self, kind: Kind[Any], namespace: str, name: str) -> ObjectMeta:
        self._call("metadata", name)
        if name not in self.objects:
            raise Vanished(name)
        return ObjectMeta.model_validate(self.objects[name]["metadata"])

    async def list_metadata(
        self, kind: Kind[Any], namespace: str = "", fields: str = "", budget: Budget = Budget.START
    ) -> tuple[dict[str, Listed], int]:
        self._call("list", f"{kind.resource.plural} {namespace} {fields}")
        found = [each["metadata"] for each in self.objects.values() if each.get("kind") == kind.name]
        listed = {m["uid"]: Listed(m["namespace"], m["name"], int(m["resourceVersion"])) for m in found}
        return listed, self.list_version

    def server_time(self) -> datetime | None:
        return self.time

    async def replace_status(
        self,
        kind: Kind[Any],
        metadata: ObjectMeta,
        status: dict[str, Any],
        budget: Budget = Budget.STOP,
        answer_within: float | None = None,
        passage: Passage | None = None,
    ) -> dict[str, Any]:
        self._call("status", str(status.get("phase", "")))
        self.budgets.append(budget)
        self.patience.append(answer_within)
        if (refused := self.refuses.get("status", _nothing_against)(status)) is not None:
            raise refused
        held = self.objects[metadata.name]
        held["metadata"] = {**held["metadata"], "resourceVersion": str(int(held["metadata"]["resourceVersion"]) + 1)}
        held["status"] = self.stores(status)
        return held

    async def dry_run_pod(self, owner: ObjectMeta, manifest: Opaque) -> CreateAnswer:
        self._call("dry-run", manifest.value["metadata"]["name"])
        return self.dry_run

    async def create_pod(self, owner: ObjectMeta, manifest: Opaque, passage: Passage | None = None) -> CreateAnswer:
        self._call("create")
        return self.create

    async def live_pod(self, owner: ObjectMeta, wanted: WantedPod) -> PodView | None:
        self._call("live", wanted.name)
        return self.live

    async def live_node(self, name: str) -> NodeView | None:
        self._call("node", name)
        return self.node

    async def post_mailbox(self, namespace: str, action: PostMailbox) -> str:
        self._call("post", f"{action.pod} under {action.resource_version}")
        if (refused := self.refuses.get("post", _nothing_against)({})) is not None:
            raise refused
        return str(int(action.resource_version) + 1)

    async def delete_pod(self, namespace: str, action: DeletePod, resource_version: str) -> None:
        self._call("delete", f"{action.pod} under {resource_version}")

    def record_event(self, subject: Subject, notice: Notice) -> None:
        self.notices.append(notice)
        self._call("event", f"{notice.reason} of version {subject.metadata.resource_version}")


@dataclass
class _Pushes:
    """Stands in for `Push`: what is sent is a line among the cluster's calls."""

    fake: FakeCluster

    def send(self, of: Key, stop: PushStop) -> None:
        self.fake.calls.append(f"push {stop.pod} {stop.sequence} for {of.uid}")


def body(**parts: Any) -> dict[str, Any]:
    """An execution that refers to the workflow `order`; `parts` replace spec or status."""
    metadata = {"name": "order-1", "namespace": "shop", "uid": "wfx", "resourceVersion": "7", "generation": 1}
    return {"metadata": metadata, "spec": {"workflowRef": {"name": "order"}}, **parts}


def record(**parts: Any) -> ExecutionRecord:
    return execution_record(body(**parts))


async def _nothing(_: str) -> None:
    return None


def no_operations() -> Managed[Any]:
    """A row of the table, for tests that have to do with other kinds."""
    return Managed(OPERATION, Operations(), _nothing)


RUN = "01HZZZZZZZZZZZZZZZZZZZZZZZ"


def operation_body(uid: str = "op", version: int = 5, **parts: Any) -> dict[str, Any]:
    """An operation of the execution `order-1`, in a pod; `parts` replace fields of its spec, or its status."""
    metadata = {
        "name": f"order-1-{uid}",
        "namespace": "shop",
        "uid": uid,
        "resourceVersion": str(version),
        "generation": 1,
        "creationTimestamp": "2026-05-01T00:00:00Z",
    }
    spec: dict[str, Any] = {
        "executionRef": {"name": "order-1", "uid": "wfx"},
        "runId": RUN,
        "key": uid,
        "pod": {},
        "createdBy": {"podName": pod_name("order-1", "wfx", RUN, 1), "podUid": "pod-uid"},
    }
    status = {"status": parts.pop("status")} if "status" in parts else {}
    metadata |= parts.pop("metadata", {})
    wanted = {name: value for name, value in {**spec, **parts}.items() if value is not None}
    return {"kind": OPERATION.name, "metadata": metadata, "spec": wanted, **status}


def operation(uid: str = "op", version: int = 5, **parts: Any) -> OperationRecord:
    return operation_record(operation_body(uid, version, **parts))


SUCCEEDED: dict[str, Any] = {"phase": "Succeeded", "observedGeneration": 1, "endTime": "2026-05-01T00:01:00.000000Z"}
