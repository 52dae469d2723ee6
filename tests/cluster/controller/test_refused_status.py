"""A status that the API server refuses is said, tried rarely, and holds nobody else up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from tests.support import programs
from tests.support.lab import Execution, Lab, template
from tests.support.logs import wait_until_started
from tests.support.operator_process import OperatorProcess
from tests.support.watching import GROUP, PLURAL, VERSION

WORDS = "status is frozen for an audit"
ROOM = 1_572_864
"""Bytes that etcd takes in one request."""


class Policy:
    """Refuses every status of one execution, until it is taken away."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._api: Any = client.AdmissionregistrationV1Api(lab.api)

    def refuse(self, execution: Execution) -> None:
        """Make it, and wait until the API server goes by it."""
        rule = {"apiGroups": [GROUP], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": [f"{PLURAL}/status"]}
        here = {"matchLabels": {"kubernetes.io/metadata.name": self._lab.name}}
        spec = {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
            "validations": [
                {
                    "expression": f"object.metadata.name != '{execution.name}'",
                    "message": "status is frozen for an audit",
                }
            ],
        }
        binding = {"policyName": self._lab.name, "validationActions": ["Deny"]}
        metadata = {"name": self._lab.name}
        self._api.create_validating_admission_policy({"metadata": metadata, "spec": spec})
        self._api.create_validating_admission_policy_binding({"metadata": metadata, "spec": binding})
        end = time.monotonic() + 30
        while not self._refuses(execution):
            assert time.monotonic() < end, "the policy does not come into force"
            time.sleep(0.1)  # admission's own caches cannot be watched

    def take_away(self) -> None:
        """Remove it, if it is there."""
        for delete in (
            self._api.delete_validating_admission_policy_binding,
            self._api.delete_validating_admission_policy,
        ):
            try:
                delete(self._lab.name)
            except ApiException as error:
                if error.status != 404:
                    raise

    def _refuses(self, execution: Execution) -> bool:
        try:
            self._lab.custom.patch_namespaced_custom_object_status(
                GROUP, VERSION, self._lab.name, PLURAL, execution.name, {"status": {}}, dry_run="All"
            )
        except ApiException as error:
            return WORDS in str(error.body)
        return False


@pytest.fixture
def policy(lab: Lab) -> Iterator[Policy]:
    made = Policy(lab)
    yield made
    made.take_away()


def refusals(operator: OperatorProcess, execution: Execution) -> int:
    """How often the operator met a refusal, as its log tells."""

    def fits(line: dict[str, Any]) -> bool:
        return line.get("execution") == execution.name and "the status is refused" in line["message"]

    return len(operator.lines(fits))


@pytest.mark.conformance("J5")
def test_a_refused_status_is_said_and_tried_rarely_and_the_stop_is_obeyed_when_it_is_taken(
    lab: Lab, host_operator: OperatorProcess, policy: Policy
) -> None:
    frozen, other = lab.start(programs.POLITE), lab.start(programs.POLITE)
    for execution in (frozen, other):
        wait_until_started(execution)
    policy.refuse(frozen)
    frozen.stop("Kill", gracePeriodSeconds=2)
    assert WORDS in frozen.wait_for_event("StatusRefused")
    other.stop("Kill", gracePeriodSeconds=2)
    other.wait_for("Cancelled", 60)
    assert frozen.processes(), "nothing is done about a stop that is not in status"
    assert refusals(host_operator, frozen) <= 6
    policy.take_away()
    frozen.wait_for("Cancelled")
    assert not frozen.processes()


@pytest.mark.conformance("J5")
def test_an_object_that_has_no_room_for_a_status_is_told_so_and_holds_nobody_up(
    lab: Lab, host_operator: OperatorProcess
) -> None:
    full = largest(lab)
    assert "too large" in full.wait_for_event("StatusRefused")
    other = lab.start(programs.POLITE)
    wait_until_started(other)
    other.stop("Force")
    other.wait_for("Cancelled", 60)
    assert refusals(host_operator, full) <= 8
    full.delete()
    full.wait_until_deleted()


def largest(lab: Lab) -> Execution:
    """An execution to which nothing can be added."""
    workflow = {"template": template(["true"])}
    for size in range(ROOM - 500, ROOM - 20_000, -200):
        try:
            return lab.create({"workflowSpec": workflow, "arguments": {"x": "a" * size}})
        except ApiException as error:
            assert "too large" in str(error.body), error.body
    raise AssertionError("no size is small enough")
