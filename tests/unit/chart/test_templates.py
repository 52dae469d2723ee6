from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import yaml

from tests.unit.chart.conftest import CHART, Find, Helm, Manifest

READ = {"get", "list", "watch"}
WRITE = READ | {"create", "patch", "update"}
ALL = WRITE | {"delete", "deletecollection"}


def test_helm_lint_finds_nothing(helm: Helm) -> None:
    done = helm.run("lint", "--strict", str(CHART), "--kube-version", "1.36.0")
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_installs_with_no_values(helm: Helm) -> None:
    assert Counter(manifest["kind"] for manifest in helm.rendered()) == {
        "CustomResourceDefinition": 2,
        "ClusterRole": 4,
        "ClusterRoleBinding": 1,
        "ServiceAccount": 1,
        "Deployment": 1,
    }


def test_the_definitions_are_those_of_the_repository_and_are_kept(helm: Helm) -> None:
    rendered = {it["metadata"]["name"]: it for it in helm.rendered() if it["kind"] == "CustomResourceDefinition"}
    files = [yaml.safe_load(file.read_text()) for file in (CHART / "files" / "crds").glob("*.yaml")]
    assert rendered.keys() == {file["metadata"]["name"] for file in files}
    for file in files:
        made = rendered[file["metadata"]["name"]]
        # As text: 3.1536e+07 equals 31536000 in Python, but not in a schema.
        assert json.dumps(made["spec"]) == json.dumps(file["spec"])
        assert made["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize(
    ("value", "annotations"),
    [
        ("crds.keep=false", None),
        ("crds.annotations.a=b", {"helm.sh/resource-policy": "keep", "a": "b"}),
    ],
)
def test_the_definitions_carry_the_annotations_of_the_values(find: Find, value: str, annotations: Any) -> None:
    made = find("CustomResourceDefinition", "workflows.desist.dev", value)
    assert made["metadata"].get("annotations") == annotations


def test_the_definitions_can_be_left_to_others(helm: Helm) -> None:
    assert all(manifest["kind"] != "CustomResourceDefinition" for manifest in helm.rendered("crds.install=false"))


def verbs(role: Manifest) -> dict[str, set[str]]:
    """Each "group/resource" with its verbs."""
    return {
        f"{group}/{resource}": set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


STATUS_READ = {"desist.dev/workflows/status": {"get"}, "desist.dev/workflowexecutions/status": {"get"}}
ROLES: dict[str, dict[str, set[str]]] = {
    "desist-controller": {
        "desist.dev/workflows": READ,
        "desist.dev/workflowexecutions": READ,
        "desist.dev/workflows/status": {"update"},
        "desist.dev/workflowexecutions/status": {"update"},
        "/pods": READ | {"create", "patch", "delete"},
        "/nodes": READ,
        "events.k8s.io/events": {"create"},
    },
    "desist-viewer": {"desist.dev/workflows": READ, "desist.dev/workflowexecutions": READ, **STATUS_READ},
    "desist-operator": {"desist.dev/workflows": READ, "desist.dev/workflowexecutions": WRITE, **STATUS_READ},
    "desist-admin": {"desist.dev/workflows": ALL, "desist.dev/workflowexecutions": ALL, **STATUS_READ},
}


@pytest.mark.parametrize("name", ROLES)
def test_each_role_grants_its_table_and_nothing_else(find: Find, name: str) -> None:
    assert verbs(find("ClusterRole", name)) == ROLES[name]


@pytest.mark.parametrize(("name", "part_of"), [("viewer", "view"), ("operator", "edit"), ("admin", "admin")])
def test_the_roles_for_people_are_part_of_kubernetes_own(find: Find, name: str, part_of: str) -> None:
    label = f"rbac.authorization.k8s.io/aggregate-to-{part_of}"
    assert find("ClusterRole", f"desist-{name}")["metadata"]["labels"][label] == "true"
    alone = find("ClusterRole", f"desist-{name}", "userRoles.aggregate=false")["metadata"]["labels"]
    assert label not in alone


def test_the_roles_for_people_can_be_left_away(helm: Helm) -> None:
    left = [it["metadata"]["name"] for it in helm.rendered("userRoles.create=false") if it["kind"] == "ClusterRole"]
    assert left == ["desist-controller"]


def test_the_binding_names_the_service_account_of_the_pod(find: Find) -> None:
    values = ("serviceAccount.create=false", "serviceAccount.name=mine")
    binding = find("ClusterRoleBinding", "desist-controller", *values)
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "mine", "namespace": "desist-system"}]
    assert find("Deployment", "desist", *values)["spec"]["template"]["spec"]["serviceAccountName"] == "mine"


@pytest.mark.parametrize(
    ("release", "value", "name"),
    [
        ("desist", "image.tag=v1", "desist"),
        ("stops", "image.tag=v1", "stops-desist"),
        ("stops", "nameOverride=x", "stops-x"),
        ("stops", "fullnameOverride=y", "y"),
    ],
)
def test_objects_are_named_after_the_release(helm: Helm, release: str, value: str, name: str) -> None:
    rendered = helm.rendered(value, release=release)
    names = {it["kind"]: it["metadata"]["name"] for it in rendered if it["kind"] in ("Deployment", "ServiceAccount")}
    assert names == {"Deployment": name, "ServiceAccount": name}


def test_labels_of_the_values_are_on_every_object(helm: Helm) -> None:
    assert all(it["metadata"]["labels"]["team"] == "a" for it in helm.rendered("commonLabels.team=a"))
