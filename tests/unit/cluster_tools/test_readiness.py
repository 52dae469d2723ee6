"""A cluster counts as ready by what its nodes did since they started, not by what the API server remembers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from hack.cluster import kind
from hack.cluster.images import Build
from hack.cluster.readiness import nodes_lacking, parse_time, pods_lacking

BOOT = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
STARTED = {"n1": BOOT}


def node(ready: str = "True") -> dict[str, Any]:
    return {"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def lease(renewed: str) -> dict[str, Any]:
    return {"metadata": {"name": "n1", "namespace": "kube-node-lease"}, "spec": {"renewTime": renewed}}


def pod(ready: bool = True, started: str = "2026-01-01T12:00:00Z", name: str = "coredns-1") -> dict[str, Any]:
    status = {"ready": ready, "state": {"running": {"startedAt": started}}}
    return {
        "metadata": {"name": name, "namespace": "kube-system"},
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
    ],
)
def test_a_ready_pod_must_have_started_after_its_node(pods: list[dict[str, Any]], lacking: list[str]) -> None:
    assert list(pods_lacking(pods, STARTED)) == lacking


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
