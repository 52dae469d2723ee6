"""A cluster counts as ready by what its nodes did since they started, not by what the API server remembers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from hack.cluster import kind
from hack.cluster.images import Build, dockerfile
from hack.cluster.readiness import NODES, nodes_lacking, parse_time, pods_lacking, to_mend

BOOT = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
STARTED = {"n1": BOOT}


def node(ready: str = "True") -> dict[str, Any]:
    return {"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def lease(renewed: str) -> dict[str, Any]:
    return {"metadata": {"name": "n1", "namespace": "kube-node-lease"}, "spec": {"renewTime": renewed}}


DNS = {"k8s-app": "kube-dns"}


def pod(
    ready: bool = True,
    started: str = "2026-01-01T12:00:00Z",
    name: str = "coredns-1",
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    status = {"ready": ready, "state": {"running": {"startedAt": started}}}
    return {
        "metadata": {"name": name, "namespace": "kube-system", "labels": DNS if labels is None else labels},
        "spec": {"nodeName": "n1"},
        "status": {"containerStatuses": [status]},
    }


@pytest.mark.parametrize(
    ("nodes", "leases", "lacking"),
    [
        ([node()], [lease("2026-01-01T12:00:01.000000Z")], []),
        ([node()], [lease("2026-01-01T11:59:59.000000Z")], ["a sign of life from n1"]),
        ([node()], [], ["a sign of life from n1"]),
        ([node("Unknown")], [lease("2026-01-01T12:00:01.000000Z")], ["n1 to be Ready"]),
    ],
)
def test_a_ready_node_must_have_shown_life_since_it_started(
    nodes: list[dict[str, Any]], leases: list[dict[str, Any]], lacking: list[str]
) -> None:
    assert list(nodes_lacking(nodes, leases, STARTED)) == lacking


@pytest.mark.parametrize(
    ("pods", "lacking"),
    [
        ([pod()], []),
        ([pod(started="2026-01-01T11:00:00Z")], ["coredns-1"]),
        ([pod(ready=False)], ["coredns-1"]),
        ([], ["CoreDNS to be created"]),
        ([pod(), {**pod(name="new"), "spec": {}, "status": {}}], ["new"]),
        ([pod(), pod(ready=False, name="routes", labels={"app": "node-routes"})], ["routes"]),
        ([pod(), pod(ready=False, name="api", labels={"tier": "control-plane"})], ["api"]),
    ],
)
def test_a_ready_pod_must_have_started_after_its_node(pods: list[dict[str, Any]], lacking: list[str]) -> None:
    assert list(pods_lacking(pods, STARTED)) == lacking


ENDED = {"phase": "Succeeded", "containerStatuses": []}


@pytest.mark.parametrize(
    "other",
    [
        pod(ready=False, name="an add-on", labels={"app": "metrics"}),
        pod(ready=False, name="no labels", labels={}),
        {**pod(name="a job", labels={"job-name": "j"}), "status": ENDED},
        {**pod(name="evicted"), "status": {"phase": "Failed"}},
        {**pod(ready=False), "metadata": {**pod()["metadata"], "deletionTimestamp": "2026-01-01T12:00:00Z"}},
    ],
    ids=["an add-on that fails", "a pod without labels", "a job that ended", "an evicted pod", "a pod on its way out"],
)
def test_what_the_cluster_does_not_need_is_not_judged(other: dict[str, Any]) -> None:
    assert list(pods_lacking([pod(), other], STARTED)) == []


def test_an_evicted_dns_server_is_none() -> None:
    evicted = {**pod(), "status": {"phase": "Failed"}}
    assert list(pods_lacking([evicted], STARTED)) == ["CoreDNS to be created"]


def member(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}


OUT_OF_SERVICE = {"key": "node.kubernetes.io/out-of-service", "effect": "NoSchedule"}
USERS_TAINT = {"key": "example.com/mine", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("worker", "wrong"),
    [
        ([member(NODES[1])], []),
        ([member(NODES[1], taints=[USERS_TAINT])], []),
        ([member(NODES[1], taints=[USERS_TAINT, OUT_OF_SERVICE])], [f"{NODES[1]} to be in service"]),
        ([member(NODES[1], unschedulable=True)], [f"{NODES[1]} to take pods"]),
        ([], [f"{NODES[1]} to join"]),
    ],
    ids=["well", "a taint of its user", "out of service", "cordoned", "removed"],
)
def test_what_a_killed_test_of_lost_nodes_leaves_is_to_be_mended(
    worker: list[dict[str, Any]], wrong: list[str]
) -> None:
    nodes = [member(NODES[0]), *worker, member(NODES[2]), member("simulated", taints=[OUT_OF_SERVICE])]
    assert [what for what, _ in to_mend([node for node in nodes if node["metadata"]["name"] in NODES])] == wrong


@pytest.mark.parametrize(
    ("states", "stored", "why"),
    [
        (dict.fromkeys(NODES, "exited"), "wanted", None),
        (dict.fromkeys(NODES, "running"), "old", "another node image or with other settings"),
        (dict.fromkeys(NODES, "running"), None, "interrupted"),
        ({NODES[0]: "running"}, "wanted", NODES[0]),
        ({}, "wanted", "(none)"),
    ],
)
def test_a_cluster_that_does_not_fit_is_told_why(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, states: dict[str, str], stored: str | None, why: str | None
) -> None:
    monkeypatch.setenv("DESIST_HOME", str(tmp_path))
    if stored is not None:
        (tmp_path / "cluster").mkdir()
        (tmp_path / "cluster" / "key").write_text(stored)
    said = kind.misfit("wanted", states)
    assert said is None if why is None else said is not None and why in said


def test_where_docker_can_pull_the_packages_are_installed_by_it() -> None:
    first, second = dockerfile(("bash", "procps")).splitlines()
    assert first == "FROM debian:bookworm-slim"
    assert "apt-get install --yes --no-install-recommends bash procps &&" in second


@pytest.mark.parametrize("text", ["2026-01-01T12:00:00.123456789Z", "2026-01-01T12:00:00Z"])
def test_times_of_docker_and_kubernetes_are_read_alike(text: str) -> None:
    assert parse_time(text) == BOOT


@pytest.mark.parametrize("cgroup_v1", [False, True])
def test_the_configuration_of_kind_is_valid_with_and_without_the_part_for_cgroup_v1(cgroup_v1: bool) -> None:
    settings = yaml.safe_load(kind.configuration(cgroup_v1))
    assert [part["role"] for part in settings["nodes"]] == ["control-plane", "worker", "worker"]
    assert ("containerdConfigPatches" in settings) is cgroup_v1
    patch = yaml.safe_load(settings["kubeadmConfigPatchesJSON6902"][0]["patch"])
    assert {"name": "node-monitor-grace-period", "value": "20s"} in [step["value"] for step in patch]


def test_an_images_key_depends_on_its_arguments_and_inputs(tmp_path: Any) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    plain = Build("localhost/x:1", tmp_path, tmp_path / "Dockerfile")
    keys = {
        plain.image().key,
        Build("localhost/x:1", tmp_path, tmp_path / "Dockerfile", {"BASE": "a"}).image().key,
        Build("localhost/x:1", tmp_path, tmp_path / "Dockerfile", {"BASE": "b"}).image().key,
        Build("localhost/x:1", tmp_path, tmp_path / "Dockerfile", inputs=["base key"]).image().key,
    }
    assert len(keys) == 4
    assert Build("localhost/x:2", tmp_path, tmp_path / "Dockerfile").image().key not in keys
    assert plain.image().archive.name == f"image-x-{plain.image().key}.tar"
