"""A stop is never weakened while the run is open, whoever asks: here it is the cluster's administrator."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.api.conftest import Kubectl
from tests.cluster.api.tables import execution, slug, table

CHANGES = table("changes")
REFUSED = [row for row in CHANGES if "says" in row.values[0]]
TAKEN = [row for row in CHANGES if "says" not in row.values[0]]


def stored(kubectl: Kubectl, case: dict[str, Any]) -> str:
    """Name of an execution that is as the case wants it before the change."""
    name = slug(case)
    kubectl.apply(execution(name, cancellation=case["before"]))
    if "status" in case:
        status = json.dumps({"status": case["status"]})
        kubectl("patch", "wfx", name, "--subresource=status", "--type=merge", "--patch", status)
    return name


def patch_of(case: dict[str, Any], name: str) -> tuple[str, ...]:
    """The arguments of kubectl for the case's change."""
    patch = json.dumps({"spec": {"cancellation": case["patch"]}})
    return ("patch", "wfx", name, "--type=merge", "--patch", patch)


@pytest.mark.conformance("A7")
@pytest.mark.parametrize("case", REFUSED)
def test_while_the_run_is_open(kubectl: Kubectl, case: dict[str, Any]) -> None:
    name = stored(kubectl, case)
    refusal = kubectl.refusal(*patch_of(case, name))
    assert refusal.replace(f'"{name}"', '"trial"') == case["says"]
    assert kubectl.get(name)["spec"]["cancellation"] == case["before"]


@pytest.mark.parametrize("case", TAKEN)
def test_where_nothing_is_weakened_or_nothing_is_being_stopped(kubectl: Kubectl, case: dict[str, Any]) -> None:
    name = stored(kubectl, case)
    kubectl(*patch_of(case, name))
    wanted = case["patch"] and {k: v for k, v in (case["before"] | case["patch"]).items() if v is not None}
    assert kubectl.get(name)["spec"].get("cancellation") == wanted


@pytest.mark.conformance("B13")
def test_the_same_manifest_applied_again_changes_nothing(kubectl: Kubectl) -> None:
    wanted = execution("again", cancellation={"mode": "Force", "requestId": "call-1"})
    first, second = kubectl.apply(wanted), kubectl.apply(wanted)
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


@pytest.mark.conformance("B13")
def test_an_older_request_applied_again_after_a_stronger_one_is_refused(kubectl: Kubectl) -> None:
    name = kubectl.apply(execution("older", cancellation={"mode": "Cancel", "requestId": "call-1"}))["metadata"]["name"]
    kubectl("patch", "wfx", name, "--type=merge", "--patch", '{"spec":{"cancellation":{"mode":"Kill"}}}')
    older = json.dumps(execution(name, cancellation={"mode": "Cancel", "requestId": "call-1"}))
    assert "the mode cannot become Cancel; allowed: Kill" in kubectl.refusal(
        "apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=older
    )


WAYS = {
    "kubectl apply": ("apply", ("apply",)),
    "server-side apply": ("apply --server-side", ("apply --server-side", "apply --server-side --force-conflicts")),
    "kubectl replace": ("create", ("replace",)),
}


@pytest.mark.parametrize(("first", "then"), WAYS.values(), ids=WAYS)
def test_no_way_of_writing_removes_a_request(kubectl: Kubectl, first: str, then: tuple[str, ...]) -> None:
    name = f"way-{first.replace(' --', '-')}-{len(then)}"
    request = {"mode": "Cancel"}
    kubectl(*first.split(), "--filename", "-", stdin=json.dumps(execution(name, cancellation=request)))
    for way in then:
        refusal = kubectl.refusal(*way.split(), "--filename", "-", stdin=json.dumps(execution(name)))
        assert "until it has ended the request cannot be removed" in refusal
    assert kubectl.get(name)["spec"]["cancellation"] == request
