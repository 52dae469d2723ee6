"""Admission puts a regular container beside the workflow's: the trial says so, and where it could not, nothing is lost.

A policy of the API server itself stands in for the webhook of a service mesh; it holds for the test's namespace alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from desist.lifecycle.pod.manifest import DRY_RUN_ID
from tests.support import programs, proof
from tests.support.lab import Execution, Lab, condition, phase_of
from tests.support.logs import wait_until_started

pytestmark = pytest.mark.usefixtures("release_operator")

ADMISSION = ("admissionregistration.k8s.io", "v1")
POLICIES, BINDINGS = "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"
SECONDS = 60
"""Until a policy that was made is in force."""
NAME = "injected"
MUTATION = f"""
[JSONPatch{{
  op: "add",
  path: "/spec/containers/-",
  value: Object.spec.containers{{name: "{NAME}", image: "{programs.WORKLOAD}", command: ["sleep", "3600"]}}
}}]
"""
RUN_ID = "desist.dev/run-id"
RUNS = f"object.metadata.?labels['{RUN_ID}']"
NOT_IN_A_TRIAL = f"{RUNS}.orValue('') != '{DRY_RUN_ID}'"


@contextmanager
def injecting(lab: Lab, *conditions: str) -> Iterator[None]:
    """Each pod that is made in the namespace gets the container, where the conditions (CEL) hold."""
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": lab.name}},
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ],
        },
        "matchConditions": [{"name": f"c{number}", "expression": text} for number, text in enumerate(conditions)],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": MUTATION}}],
    }
    name = f"desist-test-{lab.name}"
    lab.custom.create_cluster_custom_object(*ADMISSION, POLICIES, _object("", name, spec))
    try:
        binding = _object("Binding", name, {"policyName": name})
        lab.custom.create_cluster_custom_object(*ADMISSION, BINDINGS, binding)
        try:
            _wait_until_in_force(lab)
            yield
        finally:
            lab.custom.delete_cluster_custom_object(*ADMISSION, BINDINGS, name)
    finally:
        lab.custom.delete_cluster_custom_object(*ADMISSION, POLICIES, name)


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    kind = f"MutatingAdmissionPolicy{kind}"
    return {"apiVersion": "/".join(ADMISSION), "kind": kind, "metadata": {"name": name}, "spec": spec}


def _wait_until_in_force(lab: Lab) -> None:
    """A policy says nowhere that it is in force; only a create shows it."""
    probe: dict[str, Any] = {
        "metadata": {"generateName": "probe-"},
        "spec": {"containers": [{"name": "a", "image": "a"}]},
    }
    deadline = time.monotonic() + SECONDS
    while len(lab.core.create_namespaced_pod(lab.name, probe, dry_run="All").spec.containers) == 1:
        assert time.monotonic() < deadline, f"the policy is not in force after {SECONDS} s"
        time.sleep(0.2)  # there is nothing to watch


def test_a_run_whose_pod_would_get_another_container_does_not_begin_and_is_told_what_to_do(lab: Lab) -> None:
    with injecting(lab):
        execution = lab.start(programs.WORKS)
        held = execution.wait_for(lambda seen: condition(seen, "Stalled").get("status") == "True").object
        assert phase_of(held) == "Pending"
        stalled = condition(held, "Stalled")
        assert stalled["reason"] == "TemplateInvalid"
        for words in (NAME, "exempt", "native sidecar"):
            assert words in stalled["message"]
        assert execution.pods() == []
        execution.stop("Kill")
        execution.wait_for("Cancelled")
        assert not execution.processes()


@pytest.mark.conformance("C15", "C19")
def test_a_container_that_no_dry_run_has_shown_is_named_and_ended_past_the_deadline(lab: Lab) -> None:
    with injecting(lab, NOT_IN_A_TRIAL):
        execution = lab.start(programs.WORKS)
        wait_until_started(execution)
    execution.wait_for("Running")
    # The pod is deleted five seconds past the grace: the kubelet must have reported the program's end before.
    execution.stop("Kill", gracePeriodSeconds=5)
    held = execution.wait_for(_waits_for_it).object
    assert phase_of(held) == "KillCancelling", "it has ended while a container of its pod runs"
    ended = execution.wait_for("Cancelled").object["status"]
    assert proof.gone_for_good(execution.marker)
    assert (ended["attempt"], ended["processes"][0]["state"]) == (1, "gone")
    assert _states(execution) == []


def _waits_for_it(held: dict[str, Any]) -> bool:
    return any(NAME in text for text in held["status"].get("waitingOn", ()))


def _states(execution: Execution) -> list[str]:
    """Phases of the pods that are left and not ended."""
    return [pod.status.phase for pod in execution.pods() if pod.status.phase not in ("Succeeded", "Failed")]
