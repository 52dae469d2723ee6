"""What the other ways to a pod carry: subresources, bindings, the kubelet, accounts that take others on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from hack.image.release import NAMESPACE
from tests.cluster.admission.accounts import DRY, Account, acting_as, pods_path, refused
from tests.cluster.admission.conftest import pod, wait_for_right
from tests.cluster.chart.conftest import ACCOUNT
from tests.support.lab import Execution, Lab, template

pytestmark = pytest.mark.conformance("I6")


@pytest.mark.parametrize("subresource", ["ephemeralcontainers", "resize"])
def test_a_subresource_that_keeps_the_metadata_carries_no_mark(
    mallory: Account, running: Execution, attacked: dict[str, Any], subresource: str
) -> None:
    path = f"{pods_path(running.lab, attacked['metadata']['name'])}/{subresource}"
    body: dict[str, Any] = {"metadata": {"annotations": {"desist.dev/stop": "forged"}}}
    if subresource == "ephemeralcontainers":
        body["spec"] = {"ephemeralContainers": [{"name": "debug", "image": "busybox"}]}
    answer = mallory.ask("PATCH", path, body, "strategic", **DRY)
    assert answer.status == 200, answer.message
    assert "desist.dev/stop" not in answer.body["metadata"]["annotations"]


def test_the_kubelets_account_cannot_post_a_stop(running: Execution, attacked: dict[str, Any]) -> None:
    node = attacked["spec"]["nodeName"]
    kubelet = acting_as(f"system:node:{node}", group="system:nodes")
    path = f"{pods_path(running.lab, attacked['metadata']['name'])}/status"
    forged = {"metadata": {"annotations": {"desist.dev/stop": "forged"}}}
    assert refused(kubelet.ask("PATCH", path, forged, "strategic", **DRY), "annotation", f"system:node:{node}")
    other = {"metadata": {"annotations": {"cni.example.com/address": "10.0.0.1"}}}
    assert kubelet.ask("PATCH", path, other, "strategic", **DRY).status == 200


EVERYBODYS: dict[str, tuple[str, str, Any]] = {
    "a label of another": ("", "merge", {"metadata": {"labels": {"team": "a"}}}),
    "an annotation of another": ("", "merge", {"metadata": {"annotations": {"cni.example.com/address": "10.0.0.1"}}}),
    "the same by status": ("/status", "merge", {"metadata": {"annotations": {"cni.example.com/address": "10.0.0.1"}}}),
    "a finalizer": ("", "merge", {"metadata": {"finalizers": ["example.com/held"]}}),
    "a toleration": ("", "strategic", {"spec": {"tolerations": [{"key": "a", "operator": "Exists"}]}}),
    "a condition": ("/status", "strategic", {"status": {"conditions": [{"type": "example.com/x", "status": "True"}]}}),
    "a label by apply": (
        "",
        "apply",
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"team": "a"}}},
    ),
}


@pytest.mark.parametrize("change", EVERYBODYS)
def test_all_else_of_such_a_pod_stays_everybodys(
    mallory: Account, running: Execution, attacked: dict[str, Any], change: str
) -> None:
    subresource, how, body = EVERYBODYS[change]
    path = pods_path(running.lab, attacked["metadata"]["name"]) + subresource
    if change == "a toleration":
        body = {"spec": {"tolerations": [*attacked["spec"]["tolerations"], *body["spec"]["tolerations"]]}}
        how = "merge"
    answer = mallory.ask("PATCH", path, body, how, **DRY)
    assert answer.status == 200, answer.message


def test_everybody_may_delete_and_evict_it(mallory: Account, running: Execution, attacked: dict[str, Any]) -> None:
    name = attacked["metadata"]["name"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name},
        "deleteOptions": {"dryRun": ["All"]},
    }
    assert mallory.ask("POST", f"{pods_path(running.lab, name)}/eviction", eviction, **DRY).status == 201
    assert mallory.ask("DELETE", pods_path(running.lab, name), **DRY).status == 200


def test_a_pod_of_nobodys_is_not_looked_at(mallory: Account, room: Lab) -> None:
    plain = pod("plain", labels={"app": "a", "not-desist.dev/x": "y"}, annotations={"example.com/desist.dev": "z"})
    assert mallory.ask("POST", pods_path(room), plain, **DRY).status == 201


@pytest.mark.parametrize("by", ["pods", "bindings"])
def test_a_binding_carries_no_mark_and_is_else_everybodys(mallory: Account, room: Lab, by: str) -> None:
    waits = room.create({"workflowSpec": {"template": template(["sleep", "60"], schedulerName="nobody")}})
    waits.wait_for(lambda held: any(p.get("podUid") for p in held.get("status", {}).get("processes", ())))
    (held,) = waits.pods()
    name = held.metadata.name
    path = f"{pods_path(room, name)}/binding" if by == "pods" else f"/api/v1/namespaces/{room.name}/bindings"
    body = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "annotations": {"desist.dev/stop": "forged"}},
        "target": {"kind": "Node", "name": "desist-worker"},
    }
    assert refused(mallory.ask("POST", path, body), "annotation")
    labelled = body | {"metadata": {"name": name, "labels": {"desist.dev/execution-uid": "x"}}}
    assert refused(mallory.ask("POST", path, labelled), "label")
    plain = body | {"metadata": {"name": name, "annotations": {"example.com/by": "hand"}}}
    assert mallory.ask("POST", path, plain).status == 201
    bound = room.core.read_namespaced_pod(name, room.name)
    assert (bound.spec.node_name, bound.metadata.annotations["example.com/by"]) == ("desist-worker", "hand")
    assert "desist.dev/stop" not in bound.metadata.annotations


@pytest.fixture
def climber(room: Lab) -> Iterator[str]:
    """The token of an account that may patch pods, and take on the operator's account."""
    subject = {"kind": "ServiceAccount", "name": "climber", "namespace": room.name}
    room.core.create_namespaced_service_account(room.name, {"metadata": {"name": "climber"}})
    pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "patch"]}
    climb = {"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["desist"], "verbs": ["impersonate"]}
    rbac: Any = client.RbacAuthorizationV1Api(room.api)
    outside = f"climber-{room.name}"
    for namespace, name, rule in ((room.name, "climber", pods), (NAMESPACE, outside, climb)):
        rbac.create_namespaced_role(namespace, {"metadata": {"name": name}, "rules": [rule]})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        body = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
        rbac.create_namespaced_role_binding(namespace, body)
    user = f"system:serviceaccount:{room.name}:climber"
    wait_for_right(room.api, {"namespace": room.name, "verb": "patch", "resource": "pods"}, user=user)
    taken_on = {"verb": "impersonate", "resource": "serviceaccounts", "name": "desist"}
    wait_for_right(room.api, {"namespace": NAMESPACE, **taken_on}, user=user)
    made = room.core.create_namespaced_service_account_token("climber", room.name, {"spec": {"audiences": []}})
    yield made.status.token
    rbac.delete_namespaced_role_binding(outside, NAMESPACE)
    rbac.delete_namespaced_role(outside, NAMESPACE)


def test_it_goes_by_the_account_that_was_taken_on(climber: str, room: Lab, attacked: dict[str, Any]) -> None:
    # That the admin, who is an operator here, is refused when he is taken for another, all other tests show.
    path = pods_path(room, attacked["metadata"]["name"])
    mark = {"metadata": {"annotations": {"desist.dev/tried": "2"}}}
    own = f"system:serviceaccount:{room.name}:climber"
    assert refused(Account({}, climber).ask("PATCH", path, mark, "merge", **DRY), "annotation", own)
    taken_on = Account({"Impersonate-User": ACCOUNT}, climber)
    assert taken_on.ask("PATCH", path, mark, "merge", **DRY).status == 200


def test_the_policies_expressions_fit_the_types_that_they_are_for(kubectl: Any, mallory: Account) -> None:
    # By the chart's label: modules beside this one have policies of their own, whose names begin with desist-, too.
    chart = "app.kubernetes.io/part-of=desist"
    held = json.loads(kubectl("get", "validatingadmissionpolicies", "-l", chart, "-o", "json").stdout)["items"]
    ours = {it["metadata"]["name"]: it.get("status", {}) for it in held}
    operations = {f"desist-operations-{what}-by" for what in ("created", "changed", "deleted")}
    assert ours.keys() == {"desist-pods", "desist-status", *operations}
    assert not [name for name, status in ours.items() if "expressionWarnings" in json.dumps(status)]
