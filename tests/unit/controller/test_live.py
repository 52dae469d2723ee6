"""What the core wants to know of a node as it is now: asked once, and its answer takes the cached one's place."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from desist.api.base import Opaque
from desist.api.meta import OPERATION_ATTEMPT_LABEL, OPERATION_UID_LABEL, ObjectMeta
from desist.controller.ask import Asker
from desist.controller.caches import Caches
from desist.controller.clock import Clock
from desist.controller.cluster import Cluster
from desist.controller.memory import Memory
from desist.controller.views import NodeRecord, PodRecord
from desist.kube.client import Client
from desist.kube.errors import AlreadyExists, NotFound
from desist.kube.resource import Address
from desist.lifecycle.observed.pods import NodeView
from desist.lifecycle.observed.questions import Answer, Questions
from desist.lifecycle.observed.sight import Observed
from desist.lifecycle.settings import Settings
from tests.support.builders import make_execution, make_node, make_pod
from tests.unit.controller.fakes import NOW, FakeCluster, record
from tests.unit.controller.test_injected import OWN, WRAPPED
from tests.unit.controller.test_reconcile import Setting
from tests.unit.controller.test_views import owner, raw_pod
from tests.unit.kube.server import Handler, Server, page_answer, status_answer

CACHED, LIVE, OTHER = make_node(), make_node(boot_id="boot-2"), make_node("node-2")
ASKED = Questions(live_nodes=("node-1",))


async def nothing_else(_: Questions, __: Any, seen: Observed) -> Observed:
    return seen


@pytest.mark.parametrize(("found", "nodes"), [(LIVE, {OTHER, LIVE}), (None, {OTHER})])
async def test_a_live_node_takes_the_place_of_the_cached_one(found: NodeView | None, nodes: set[NodeView]) -> None:
    fake = FakeCluster(node=found)
    asker: Asker[Observed] = Asker(fake.cluster, Caches(), Memory(), lambda: NOW, nothing_else)
    seen = Observed(execution=make_execution().obj(), settings=Settings(), nodes=(CACHED, OTHER))
    answered = await asker.answer(ASKED, record(), seen)
    assert fake.calls == ["node node-1"]
    assert (set(answered.nodes), answered.live_nodes) == (nodes, ("node-1",))
    assert await asker.answer(Questions(), record(), seen) == seen


async def test_a_pod_that_is_found_live_and_runs_has_its_node_asked_for_in_the_same_reconcile() -> None:
    setting = Setting()
    await setting.reconciler.reconcile("wfx")
    status = setting.known.execution.status
    assert status is not None and status.run_id is not None
    setting.memory.forget("wfx")
    spec = {"workflowRef": {"name": "order"}, "cancellation": {"mode": "Kill"}}
    begun = Setting(spec=spec, status=status.wire())
    pod = make_pod(status.processes[0].pod, run_id=status.run_id).running().obj()
    begun.fake.live, begun.fake.node = pod, LIVE
    begun.caches.node_changed(NodeRecord(CACHED, "containerd://2.3.4"))
    await begun.reconciler.reconcile("wfx")
    assert [call.split()[0] for call in begun.fake.calls[:3]] == ["live", "node", "status"]
    written = begun.known.execution.status
    assert written is not None and written.processes[0].boot_id == "boot-2"
    begun.caches.pod_changed(PodRecord("shop", "wfx", replace(pod, resource_version="9")))
    await begun.reconciler.reconcile("wfx")
    assert begun.fake.calls.count("node node-1") == 1


@dataclass
class Nodes:
    """A client that knows these nodes, as the API server has them."""

    stored: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def get(self, address: Address, **_: object) -> dict[str, Any]:
        if address.path() not in self.stored:
            raise NotFound(404, "NotFound", address.path())
        return self.stored[address.path()]


async def test_a_node_is_read_under_its_name_and_may_be_absent() -> None:
    raw = {"metadata": {"name": "node-1", "uid": "node-uid"}, "status": {"nodeInfo": {"bootID": "boot-2"}}}
    cluster = Cluster(cast(Client, Nodes({"/api/v1/nodes/node-1": raw})), "controller-1", Clock())
    found = await cluster.live_node("node-1")
    assert found is not None and (found.name, found.boot_id, found.out_of_service) == ("node-1", "boot-2", False)
    assert await cluster.live_node("node-2") is None


@dataclass
class Taken:
    """A client of an API server that has a pod of the wanted name already."""

    pod: dict[str, Any]
    calls: list[str] = field(default_factory=list)

    async def create(self, *_: object, **__: object) -> dict[str, Any]:
        self.calls.append("create")
        raise AlreadyExists(409, "AlreadyExists", "pods already exists")

    async def get(self, *_: object, **__: object) -> dict[str, Any]:
        self.calls.append("get")
        return self.pod


OWNER = ObjectMeta(name="order-1", namespace="shop", uid="wfx-uid")
LAUNCHED: dict[str, Any] = {"spec__containers": [OWN]}


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        (LAUNCHED, Answer.PASSED),
        (LAUNCHED | {"metadata__labels": {}}, Answer.PASSED),
        (LAUNCHED | {"spec__containers": [WRAPPED]}, Answer.PASSED),
        (LAUNCHED | {"metadata__ownerReferences": []}, Answer.TAKEN),
        (LAUNCHED | {"metadata__ownerReferences": [owner(controller=False)]}, Answer.TAKEN),
        ({}, Answer.TAKEN),
    ],
    ids=["its own", "without labels", "wrapped by admission", "nobody's", "not its controller", "without launcher"],
)
async def test_a_name_that_is_taken_is_as_good_as_made_where_the_pod_is_the_attempts(
    changes: dict[str, Any], answer: Answer
) -> None:
    client = Taken(raw_pod(**changes))
    labels = {"desist.dev/run-id": "RUN", "desist.dev/attempt": "2"}
    manifest = Opaque.of({"metadata": {"name": "order-1-abc", "labels": labels}})
    answered = await Cluster(cast(Client, client), "controller-1", Clock()).create_pod(OWNER, manifest)
    assert (answered.answer, client.calls) == (answer, ["create", "get"])
    assert answered.pod_uid == ("pod-uid" if answer is Answer.PASSED else "")
    assert ("pod order-1-abc exists and is not this run's" in answered.message) == (answer is Answer.TAKEN)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (status_answer(400, "BadRequest"), Answer.INVALID),
        (status_answer(422, "Invalid"), Answer.INVALID),
        (page_answer(400), Answer.REFUSED),
        (page_answer(422), Answer.REFUSED),
    ],
)
async def test_a_pod_is_invalid_only_where_the_api_server_itself_says_so(said: Handler, answer: Answer) -> None:
    manifest = Opaque.of({"metadata": {"name": "p", "labels": {"desist.dev/run-id": "RUN", "desist.dev/attempt": "1"}}})
    async with Server() as server, Client(server.connection) as client:
        server.answers("/api/v1/namespaces/shop/pods", said)
        assert (await Cluster(client, "controller-1", Clock()).create_pod(OWNER, manifest)).answer is answer


async def test_a_name_that_is_taken_by_the_pod_of_an_operation_is_as_good_as_made_where_it_is_the_same_one() -> None:
    labels = {OPERATION_UID_LABEL: "op", OPERATION_ATTEMPT_LABEL: "2", "desist.dev/run-id": "RUN"}
    manifest = Opaque.of({"metadata": {"name": "order-1-abc-2", "labels": labels}})
    for held, answer in (("op", Answer.PASSED), ("before", Answer.TAKEN)):
        client = Taken(raw_pod(**LAUNCHED, metadata__labels=labels | {OPERATION_UID_LABEL: held}))
        answered = await Cluster(cast(Client, client), "controller-1", Clock()).create_pod(OWNER, manifest)
        assert answered.answer is answer
