from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
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
        "CustomResourceDefinition": 3,
        "ClusterRole": 5,
        "ClusterRoleBinding": 1,
        "Role": 1,
        "RoleBinding": 1,
        "Secret": 1,
        "ServiceAccount": 1,
        "Deployment": 1,
        "ValidatingAdmissionPolicy": 5,
        "ValidatingAdmissionPolicyBinding": 5,
    }


@pytest.mark.parametrize("release", ["123", "true", "null", "1e3", "1.0", "0x1f"])
def test_a_release_and_a_namespace_may_have_names_that_yaml_takes_for_something_else(helm: Helm, release: str) -> None:
    rendered = helm.rendered(
        "networkPolicy.enabled=true", f"controller.priorityClassName={release}", release=release, namespace=release
    )
    assert not [path for manifest in rendered for path in _no_text(manifest)]
    assert {it["metadata"]["namespace"] for it in rendered if "namespace" in it["metadata"]} == {release}
    assert {it["metadata"]["labels"]["app.kubernetes.io/instance"] for it in rendered} == {release}


TEXTS = {
    "name",
    "namespace",
    "serviceAccountName",
    "priorityClassName",
    "image",
    "imagePullPolicy",
    "policyName",
    "value",
}


def _no_text(held: Any, path: str = "", under: str = "") -> Iterator[str]:
    """Where something is no text that has to be."""
    if isinstance(held, dict):
        for key, inner in held.items():
            wanted = key in TEXTS or under in ("labels", "annotations", "matchLabels")
            # In the schemas of the definitions, a property may be called anything.
            if under != "properties" and wanted and not isinstance(inner, str):
                yield f"{path}.{key}: {inner!r}"
            yield from _no_text(inner, f"{path}.{key}", key)
    elif isinstance(held, list):
        for number, inner in enumerate(held):
            yield from _no_text(inner, f"{path}[{number}]")


def test_a_name_that_is_cut_ends_in_a_letter_or_digit(helm: Helm) -> None:
    release = "a" * 48 + "--desist"[:5]
    (made,) = (it for it in helm.rendered(release=release) if it["kind"] == "Deployment")
    assert made["metadata"]["name"] == "a" * 48


def test_the_network_policy_lets_the_controller_speak_to_the_api_server_and_the_kubelet_to_it(
    helm: Helm, find: Find
) -> None:
    assert all(manifest["kind"] != "NetworkPolicy" for manifest in helm.rendered())
    values = ("networkPolicy.enabled=true", "controller.probePort=9000", "push.enabled=false")
    spec = find("NetworkPolicy", "desist", *values)["spec"]
    labels = find("Deployment", "desist")["spec"]["selector"]["matchLabels"]
    assert spec == {
        "podSelector": {"matchLabels": labels},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"protocol": "TCP", "port": 9000}]}],
        "egress": [{"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}]}],
    }
    narrow = ('networkPolicy.apiServerCidrs=["10.0.0.1/32"]', 'networkPolicy.probeCidrs=["10.1.0.0/16","fd00::/8"]')
    spec = find("NetworkPolicy", "desist", *values, *narrow, "networkPolicy.apiServerPorts=[8443]")["spec"]
    assert spec["egress"] == [
        {"ports": [{"protocol": "TCP", "port": 8443}], "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}
    ]
    assert [rule["ipBlock"]["cidr"] for rule in spec["ingress"][0]["from"]] == ["10.1.0.0/16", "fd00::/8"]


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


STATUS_READ = {f"desist.dev/{kind}/status": {"get"} for kind in ("workflows", "workflowexecutions", "operations")}
READS: dict[str, set[str]] = {"desist.dev/operations": READ, **STATUS_READ}
STOPS = READS | {"desist.dev/operations": READ | {"patch", "cancel", "kill"}}
ROLES: dict[str, dict[str, set[str]]] = {
    "desist-controller": {
        "desist.dev/workflows": READ,
        "desist.dev/workflowexecutions": READ,
        "desist.dev/operations": READ,
        "desist.dev/workflows/status": {"update"},
        "desist.dev/workflowexecutions/status": {"update"},
        "desist.dev/operations/status": {"update"},
        "/pods": READ | {"create", "patch", "delete"},
        "/nodes": READ,
        "events.k8s.io/events": {"create"},
    },
    "desist-workflow": {"desist.dev/operations": READ | {"create", "patch"}},
    "desist-viewer": {"desist.dev/workflows": READ, "desist.dev/workflowexecutions": READ, **READS},
    "desist-operator": {"desist.dev/workflows": READ, "desist.dev/workflowexecutions": WRITE, **STOPS},
    "desist-admin": {
        "desist.dev/workflows": ALL,
        "desist.dev/workflowexecutions": ALL,
        "rbac.authorization.k8s.io/clusterroles": {"bind"},
        **STOPS,
    },
}


@pytest.mark.parametrize("name", ROLES)
def test_each_role_grants_its_table_and_nothing_else(find: Find, name: str) -> None:
    assert verbs(find("ClusterRole", name)) == ROLES[name]


def test_an_admin_binds_the_role_for_workflow_processes_and_no_other(find: Find) -> None:
    (binds,) = (rule for rule in find("ClusterRole", "desist-admin")["rules"] if "bind" in rule["verbs"])
    assert binds["resourceNames"] == ["desist-workflow"]


def test_the_role_for_workflow_processes_is_bound_in_the_namespaces_that_are_named(helm: Helm, find: Find) -> None:
    assert not [it for it in helm.rendered("push.enabled=false") if it["kind"] == "RoleBinding"]
    rendered = helm.rendered('workflowNamespaces=["team-a","123"]', "push.enabled=false", release="stops")
    bindings = {it["metadata"]["namespace"]: it for it in rendered if it["kind"] == "RoleBinding"}
    assert bindings.keys() == {"team-a", "123"}
    for namespace, binding in bindings.items():
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "stops-desist-workflow"}
        assert (binding["metadata"]["name"], binding["roleRef"]) == ("stops-desist-workflow", role)
        group = f"system:serviceaccounts:{namespace}"
        assert binding["subjects"] == [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}]


def test_the_role_for_workflow_processes_is_part_of_no_other(find: Find) -> None:
    labels = find("ClusterRole", "desist-workflow")["metadata"]["labels"]
    assert not [label for label in labels if "aggregate" in label]


COMMAND = "kubectl create rolebinding desist-workflow --clusterrole=desist-workflow"


@pytest.mark.parametrize("page", ["../../docs/permission.md", "README.md"])
def test_the_documents_name_the_command_that_binds_it(page: str) -> None:
    words = " ".join((CHART / page).read_text().replace("\\\n", " ").split())
    assert f"{COMMAND} --group=system:serviceaccounts:team-a --namespace=team-a" in words


def test_the_notes_name_it_too() -> None:
    # As text: Helm renders notes only with a cluster at hand.
    notes = (CHART / "templates" / "NOTES.txt").read_text().replace('{{ include "desist.fullname" . }}', "desist")
    words = " ".join(notes.replace("\\\n", " ").split())
    assert f"{COMMAND} --group=system:serviceaccounts:NAMESPACE --namespace=NAMESPACE" in words


@pytest.mark.parametrize(("name", "part_of"), [("viewer", "view"), ("operator", "edit"), ("admin", "admin")])
def test_the_roles_for_people_are_part_of_kubernetes_own(find: Find, name: str, part_of: str) -> None:
    label = f"rbac.authorization.k8s.io/aggregate-to-{part_of}"
    assert find("ClusterRole", f"desist-{name}")["metadata"]["labels"][label] == "true"
    alone = find("ClusterRole", f"desist-{name}", "userRoles.aggregate=false")["metadata"]["labels"]
    assert label not in alone


def test_the_roles_for_people_can_be_left_away(helm: Helm) -> None:
    left = [it["metadata"]["name"] for it in helm.rendered("userRoles.create=false") if it["kind"] == "ClusterRole"]
    assert left == ["desist-controller", "desist-workflow"]


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
