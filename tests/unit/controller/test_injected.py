"""What admission adds to a pod, or somebody changes on it, never makes the pod invisible, nor its process absent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from desist.api.base import Opaque
from desist.api.meta import ObjectMeta
from desist.controller.clock import Clock
from desist.controller.cluster import Cluster
from desist.kube.client import Client
from desist.lifecycle.observed.pods import ContainerKind, PodView
from desist.lifecycle.observed.questions import Answer, WantedPod
from desist.lifecycle.pod.launcher import LAUNCHER
from desist.lifecycle.proof.process import ended
from tests.unit.controller.test_reconcile import Setting
from tests.unit.controller.test_views import WANTED, raw_pod, record_of, wanted_of

OWN = {"name": "workflow", "command": [LAUNCHER, "run", "--", "work"]}
WRAPPED = {"name": "workflow", "command": ["/vault/env"], "args": [LAUNCHER, "run", "--", "work"]}
ADDED = {"name": "agent", "command": ["/agent"]}
STARTED, ENDED = "2026-05-01T10:00:00Z", "2026-05-01T10:00:05Z"
TERMINATED = {
    "terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": ENDED, "containerID": "containerd://1"}
}
RUNNING = {"running": {"startedAt": STARTED}}
REAL = [
    ("added behind", [OWN, ADDED]),
    ("added before", [ADDED, OWN]),
    ("added before, and before the command, too", [ADDED, WRAPPED]),
]
CONTAINERS = pytest.mark.parametrize("containers", [case[1] for case in REAL], ids=[case[0] for case in REAL])


def seen_both_ways(raw: dict[str, Any]) -> list[PodView]:
    """What the watch and a GET by name make of it."""
    record, asked = record_of(raw), wanted_of(raw, WANTED)
    assert record is not None and asked is not None
    return [record.view, asked]


@CONTAINERS
def test_a_pod_with_an_injected_container_is_seen_and_its_workflow_is_the_launchers(containers: list[Any]) -> None:
    for view in seen_both_ways(raw_pod(spec__containers=containers, spec__initContainers=[])):
        assert view.workflow.name == "workflow"
        others = [(c.name, c.kind) for c in view.containers if c is not view.workflow]
        assert others == [("agent", ContainerKind.ADDED)]


@CONTAINERS
def test_an_injected_container_has_to_end_too(containers: list[Any]) -> None:
    for state, over in ((RUNNING, False), (TERMINATED, True)):
        statuses = [{"name": "agent", "state": state}, {"name": "workflow", "state": TERMINATED}]
        raw = raw_pod(spec__containers=containers, spec__initContainers=[], status__containerStatuses=statuses)
        assert [ended(view) for view in seen_both_ways(raw)] == [over, over]


NO_ATTEMPT: list[dict[str, str]] = [
    {"desist.dev/execution-uid": "wfx-uid", "desist.dev/run-id": "RUN", "desist.dev/attempt": "two"},
    {"desist.dev/execution-uid": "wfx-uid", "desist.dev/run-id": "RUN"},
    {"desist.dev/execution-uid": "wfx-uid", "desist.dev/attempt": "2"},
]


@pytest.mark.parametrize("labels", NO_ATTEMPT)
def test_a_pod_that_does_not_say_its_attempt_is_no_late_start_and_is_found_by_its_name(labels: dict[str, str]) -> None:
    raw = raw_pod(metadata__labels=labels)
    assert record_of(raw) is None
    view = wanted_of(raw, WANTED)
    assert view is not None and (view.run_id, view.attempt) == ("RUN", 2)


async def test_a_kill_of_a_run_whose_pod_was_never_watched_does_not_end_it_while_its_process_runs() -> None:
    begun = Setting()
    await begun.reconciler.reconcile("wfx")
    status = begun.known.execution.status
    assert status is not None and status.run_id is not None
    spec = {"workflowRef": {"name": "order"}, "cancellation": {"mode": "Kill"}}
    setting = Setting(spec=spec, status=status.wire())
    raw = raw_pod(metadata__name=status.processes[0].pod, spec__containers=[ADDED, OWN], spec__initContainers=[])
    raw["status"]["containerStatuses"] = [{"name": "workflow", "state": RUNNING}, {"name": "agent", "state": RUNNING}]
    setting.fake.live = wanted_of(raw, WantedPod(status.processes[0].pod, status.run_id, 1))
    assert setting.fake.live is not None
    await setting.reconciler.reconcile("wfx")
    assert "status Cancelled" not in setting.fake.calls


@dataclass
class Admission:
    """A client whose API server adds these containers to each pod."""

    added: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    async def create(self, _: object, body: dict[str, Any], **how: Any) -> dict[str, Any]:
        self.calls.append("dry-run" if how.get("dry_run") else "create")
        return {**body, "spec": {**body["spec"], "containers": [*self.added, *body["spec"]["containers"]]}}


POD = Opaque.of({"metadata": {"name": "pod"}, "spec": {"containers": [OWN]}})
OWNER = ObjectMeta(name="order-1", namespace="shop", uid="wfx-uid")


async def test_a_dry_run_names_the_container_that_admission_adds_and_says_what_to_do() -> None:
    client = Admission([ADDED, {"name": "proxy"}])
    answer = await Cluster(cast(Client, client), "controller-1", Clock()).dry_run_pod(OWNER, POD)
    assert client.calls == ["dry-run"]
    assert answer.answer is Answer.INVALID
    assert "agent, proxy" in answer.message
    assert "exempt" in answer.message and "native sidecar" in answer.message


async def test_a_dry_run_passes_where_admission_adds_no_regular_container() -> None:
    answer = await Cluster(cast(Client, Admission()), "controller-1", Clock()).dry_run_pod(OWNER, POD)
    assert answer.answer is Answer.PASSED
