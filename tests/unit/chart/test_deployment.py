from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from desist.controller.settings import from_environment
from tests.unit.chart.conftest import CHART, Find


def pod(find: Find, *values: str) -> dict[str, Any]:
    spec: dict[str, Any] = find("Deployment", "desist", *values)["spec"]["template"]["spec"]
    return spec


def container(find: Find, *values: str) -> dict[str, Any]:
    containers = pod(find, *values)["containers"]
    assert len(containers) == 1
    made: dict[str, Any] = containers[0]
    return made


def environment(find: Find, *values: str) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container(find, *values)["env"]}


def test_the_pod_fits_level_restricted(find: Find) -> None:
    assert pod(find)["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(find)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & pod(find).keys()


def test_only_the_pod_asks_for_a_token(find: Find) -> None:
    assert find("ServiceAccount", "desist")["automountServiceAccountToken"] is False
    assert pod(find)["automountServiceAccountToken"] is True


def test_a_new_version_is_ready_before_the_old_one_goes(find: Find) -> None:
    strategy = find("Deployment", "desist")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_the_probes_ask_the_port_that_the_controller_is_told(find: Find) -> None:
    made = container(find, "controller.probePort=9000")
    assert made["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "probes"}
    assert made["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "probes"}
    assert made["ports"] == [{"name": "probes", "containerPort": 9000}]
    assert environment(find, "controller.probePort=9000")["DESIST_PROBE_PORT"] == "9000"


def test_the_images_are_those_of_this_version_unless_the_values_say_more(find: Find) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert container(find)["image"] == f"desist-operator:{version}"
    assert environment(find)["DESIST_LAUNCHER_IMAGE"] == f"desist-launcher:{version}"
    values = ("image.repository=r.example:5000/a/op", "image.tag=v7", "launcher.image.repository=r.example/l")
    assert container(find, *values)["image"] == "r.example:5000/a/op:v7"
    assert environment(find, *values)["DESIST_LAUNCHER_IMAGE"] == f"r.example/l:{version}"


def test_a_digest_is_used_instead_of_the_tag(find: Find) -> None:
    digest = f"sha256:{'0a' * 32}"
    values = (f"image.digest={digest}", "image.tag=v7", f"launcher.image.digest={digest}")
    assert container(find, *values)["image"] == f"desist-operator@{digest}"
    assert environment(find, *values)["DESIST_LAUNCHER_IMAGE"] == f"desist-launcher@{digest}"


@pytest.mark.parametrize(
    ("value", "variable", "held"),
    [
        ("launcher.delivery=InitContainer", "DESIST_LAUNCHER_DELIVERY", "InitContainer"),
        ("launcher.image.pullPolicy=Always", "DESIST_LAUNCHER_PULL_POLICY", "Always"),
        ("push.port=7000", "DESIST_PUSH_PORT", "7000"),
        ("push.rotateAfterDays=0", "DESIST_PUSH_ROTATE_AFTER_DAYS", "0"),
        ("controller.logging.level=DEBUG", "DESIST_LOG_LEVEL", "DEBUG"),
        ("controller.logging.format=Text", "DESIST_LOG_FORMAT", "Text"),
        ('controller.extraEnv=[{"name":"DESIST_WORKERS","value":"3"}]', "DESIST_WORKERS", "3"),
    ],
)
def test_values_reach_the_controller(find: Find, value: str, variable: str, held: str) -> None:
    assert environment(find, value)[variable] == held


class Asked(Mapping[str, str]):
    """An environment that remembers what was read of it."""

    def __init__(self, held: Mapping[str, str]) -> None:
        self.held, self.names = held, set[str]()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self.held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


def test_the_controller_reads_what_the_chart_sets_and_what_its_readme_lists(find: Find) -> None:
    asked = Asked(environment(find))
    from_environment(asked)
    listed = {
        line.split("`")[1] for line in (CHART / "README.md").read_text().splitlines() if line.startswith("| `DESIST_")
    }
    assert asked.held.keys() <= asked.names
    assert asked.names - asked.held.keys() == listed | {"DESIST_PROBE_HOST"}


PLACED = {
    "nodeSelector": ('{"a":"b"}', {"a": "b", "kubernetes.io/os": "linux"}),
    "tolerations": ('[{"operator":"Exists"}]', [{"operator": "Exists"}]),
    "affinity": ('{"nodeAffinity":{}}', {"nodeAffinity": {}}),
    "topologySpreadConstraints": ('[{"maxSkew":1}]', [{"maxSkew": 1}]),
    "volumes": ('[{"name":"v","emptyDir":{}}]', [{"name": "v", "emptyDir": {}}]),
}


@pytest.mark.parametrize("field", PLACED)
def test_the_pod_is_placed_as_the_values_say(find: Find, field: str) -> None:
    value, held = PLACED[field]
    assert pod(find, f"controller.{field}={value}")[field] == held


def test_names_for_scheduling_and_pulling_reach_the_pod(find: Find) -> None:
    made = pod(find, 'imagePullSecrets=[{"name":"s"}]', "controller.priorityClassName=system-cluster-critical")
    assert (made["imagePullSecrets"], made["priorityClassName"]) == ([{"name": "s"}], "system-cluster-critical")
