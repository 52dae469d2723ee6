"""Only the operator makes a pod one of an execution's, or changes what makes it one, by whatever verb."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import watch

from tests.cluster.admission.accounts import Account, pods_path, refused
from tests.cluster.admission.conftest import pod
from tests.support.lab import Execution, Lab, phase_of

pytestmark = pytest.mark.conformance("I6")

OWNER = {"apiVersion": "desist.dev/v1alpha1", "kind": "WorkflowExecution", "name": "other", "uid": "other"}
MARKS: dict[str, dict[str, Any]] = {
    "label": {"labels": {"desist.dev/execution-uid": "x"}},
    "annotation": {"annotations": {"desist.dev/stop": "x"}},
    "owner": {"ownerReferences": [OWNER]},
}


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("how", ["create", "apply"])
def test_nobody_else_makes_a_pod_that_looks_like_an_executions(
    mallory: Account, room: Lab, mark: str, how: str
) -> None:
    forged = pod("forged", **MARKS[mark])
    if how == "create":
        assert refused(mallory.ask("POST", pods_path(room), forged), mark)
    else:
        assert refused(mallory.ask("PATCH", pods_path(room, "forged"), forged, "apply"), mark)


def test_no_controller_makes_one_from_somebodys_template(mallory: Account, room: Lab) -> None:
    marked = {"app": "forged", "desist.dev/execution-uid": "x"}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "forged"}},
        "template": {"metadata": {"labels": marked}, "spec": pod("a")["spec"] | {"terminationGracePeriodSeconds": 1}},
    }
    body = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "forged"}, "spec": spec}
    path = f"/apis/apps/v1/namespaces/{room.name}/replicasets"
    assert mallory.ask("POST", path, body).status == 201
    events = _events_about(room, "forged", "FailedCreate")
    assert "replicaset-controller may not" in next(events)
    mallory.ask("DELETE", f"{path}/forged")


def _events_about(lab: Lab, name: str, reason: str) -> Iterator[str]:
    selector = f"involvedObject.name={name},reason={reason}"
    stream: Any = watch.Watch().stream(
        lab.core.list_namespaced_event, lab.name, field_selector=selector, timeout_seconds=60
    )
    return (event["object"].message for event in stream)


def changed(held: dict[str, Any], change: str) -> tuple[str, str, Any]:
    """What is marked, the field of the metadata, and its new value."""
    metadata = copy.deepcopy(held["metadata"])
    labels, annotations = metadata["labels"], metadata["annotations"]
    changes: dict[str, tuple[str, str, Any]] = {
        "a stop is posted": ("annotation", "annotations", annotations | {"desist.dev/stop": "forged"}),
        "an annotation is changed": ("annotation", "annotations", annotations | {"desist.dev/tried": "2"}),
        "an annotation is taken off": ("annotation", "annotations", _without(annotations, "desist.dev/tried")),
        "a label is put on": ("label", "labels", labels | {"desist.dev/new": "x"}),
        "a label is changed": ("label", "labels", labels | {"desist.dev/execution-uid": "x"}),
        "a label is taken off": ("label", "labels", _without(labels, "desist.dev/execution-uid")),
        "an owner is put on": ("owner", "ownerReferences", [*metadata["ownerReferences"], OWNER]),
        "the owner is taken off": ("owner", "ownerReferences", []),
    }
    return changes[change]


def _without(held: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in held.items() if key != name}


def request_body(held: dict[str, Any], field: str, value: Any, how: str) -> Any:
    """The change as a request of that kind."""
    before = held["metadata"][field]
    if how == "json":
        return [{"op": "add", "path": f"/metadata/{field}", "value": value}]
    if how == "put":
        # Without the version it is no matter of who came first.
        kept = {name: one for name, one in held["metadata"].items() if name not in ("resourceVersion", "managedFields")}
        return held | {"metadata": kept | {field: value}}
    if isinstance(value, dict):
        value = {**dict.fromkeys(before.keys() - value.keys()), **value}
    elif how == "strategic":
        removed = [{"$patch": "delete", "uid": one["uid"]} for one in before if one not in value]
        value = [*value, *removed]
    if how == "apply":
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": held["metadata"]["name"], field: value}}
    return {"metadata": {field: value}}


CHANGES = (
    "a stop is posted",
    "an annotation is changed",
    "an annotation is taken off",
    "a label is put on",
    "a label is changed",
    "a label is taken off",
    "an owner is put on",
    "the owner is taken off",
)
HOW = ("put", "json", "merge", "strategic", "apply")
# The API server keeps the owners by itself where status is written; an apply takes nothing off that is another's.
IDLE = {("the owner is taken off", "/status"), ("an owner is put on", "/status")}
TRIED = [(change, where) for change in CHANGES for where in ("", "/status") if (change, where) not in IDLE]
NOT_APPLIED = {"an annotation is taken off", "a label is taken off", "the owner is taken off"}


@pytest.mark.parametrize(("change", "subresource"), TRIED)
def test_nobody_else_changes_what_makes_it_one(
    mallory: Account, running: Execution, attacked: dict[str, Any], change: str, subresource: str
) -> None:
    what, field, value = changed(attacked, change)
    path = pods_path(running.lab, attacked["metadata"]["name"]) + subresource
    for how in HOW:
        if how == "apply" and change in NOT_APPLIED:
            continue
        body = request_body(attacked, field, value, how)
        answer = mallory.ask("PUT" if how == "put" else "PATCH", path, body, how)
        assert refused(answer, what), how
    held = running.lab.api.sanitize_for_serialization(
        running.lab.core.read_namespaced_pod(attacked["metadata"]["name"], running.lab.name)
    )
    assert all(held["metadata"][name] == attacked["metadata"][name] for name in ("labels", "annotations"))
    assert held["metadata"]["ownerReferences"] == attacked["metadata"]["ownerReferences"]
    assert phase_of(running.get()) == "Running"
