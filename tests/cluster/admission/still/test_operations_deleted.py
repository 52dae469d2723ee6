"""What has ended may be deleted; what is open goes with its execution, its namespace, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes import watch

from tests.cluster.admission.accounts import API, DRY, Account, acting_as, delete_execution
from tests.cluster.admission.conftest import allow_workflows, bind, process_of
from tests.cluster.admission.processes import COLLECTORS, Body, Process, denied, path_of, with_status
from tests.cluster.admission.still.conftest import operator_back
from tests.support import programs
from tests.support.lab import Execution, Lab
from tests.support.operator_process import OperatorProcess
from tests.support.spaces import shared

pytestmark = pytest.mark.usefixtures("operator_still")

OPEN = ("deleted only when it has ended", "spec.cancellation", "delete its execution")
NAMESPACES = "system:serviceaccount:kube-system:namespace-controller"


@pytest.fixture(scope="module")
def held(process: Process, running: Execution) -> Body:
    return process.creates(process.asks_for(running, "deleted"))


def test_nobody_deletes_one_that_is_open(process: Process, mallory: Account, held: Body) -> None:
    path = path_of(process.lab, held)
    assert denied(mallory.ask("DELETE", path), "deleted-by", *OPEN)
    assert denied(mallory.ask("DELETE", f"{API}/{process.lab.name}/operations"), "deleted-by", *OPEN)
    for phase in ("Pending", "Running", "Cancelling", "KillCancelling"):
        with_status(process, held, phase=phase)
        assert denied(mallory.ask("DELETE", path), "deleted-by", *OPEN)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "TimedOut", "Cancelled"])
def test_one_that_has_ended_is_deleted_like_any_object(
    process: Process, mallory: Account, running: Execution, phase: str
) -> None:
    ended = process.creates(process.asks_for(running, f"ended as {phase}"))
    with_status(process, ended, phase=phase)
    assert mallory.ask("DELETE", path_of(process.lab, ended)).status == 200


@pytest.mark.parametrize("name", [*COLLECTORS, NAMESPACES])
def test_those_who_clear_away_delete_open_ones(process: Process, held: Body, name: str) -> None:
    assert acting_as(name).ask("DELETE", path_of(process.lab, held), **DRY).status == 200


@pytest.mark.parametrize("role", ["edit", "admin", "desist-admin"])
def test_no_role_holds_the_right_to_delete_one(process: Process, held: Body, role: str) -> None:
    user = f"deleter-{role}"
    bind(process.lab, user, role)
    answer = Account({"Impersonate-User": user}).ask("DELETE", path_of(process.lab, held))
    assert answer.status == 403
    assert 'cannot delete resource "operations"' in answer.message


def test_no_process_deletes_its_own(process: Process, held: Body) -> None:
    answer = process.account.ask("DELETE", path_of(process.lab, held))
    assert 'cannot delete resource "operations"' in answer.message


def opened(kubectl: Any, lab: Lab, operator: OperatorProcess) -> tuple[Execution, Body]:
    """A run with an open operation that has begun."""
    allow_workflows(kubectl, lab)
    with operator_back(operator):
        execution = lab.start(programs.WORKS)
        process = process_of(execution)
    made = process.creates(process.asks_for(execution, "open"))
    return execution, with_status(process, made, phase="Running", attempt=1)


def wait_until_gone(lab: Lab, held: Body) -> None:
    """Until its DELETED event."""
    stream: Any = watch.Watch().stream(
        lab.custom.list_namespaced_custom_object,
        "desist.dev",
        "v1alpha1",
        lab.name,
        "operations",
        resource_version=held["metadata"]["resourceVersion"],
        timeout_seconds=60,
    )
    uid = held["metadata"]["uid"]
    gone = any(event["type"] == "DELETED" and event["object"]["metadata"]["uid"] == uid for event in stream)
    assert gone, "the operation has not gone within 60 s"


@pytest.mark.conformance("F15")
@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_a_deletion_of_the_execution_takes_open_ones_along(
    lab: Lab, kubectl: Any, mallory: Account, host_operator: OperatorProcess, propagation: str
) -> None:
    execution, held = opened(kubectl, lab, host_operator)
    delete_execution(execution, propagation)
    wait_until_gone(lab, held)
    execution.wait_until_deleted()


@pytest.mark.conformance("F15")
def test_a_deletion_that_orphans_leaves_open_ones_which_anybody_then_clears_away(
    lab: Lab, kubectl: Any, mallory: Account, host_operator: OperatorProcess
) -> None:
    execution, held = opened(kubectl, lab, host_operator)
    path = path_of(lab, held)
    assert denied(mallory.ask("DELETE", path), "deleted-by", *OPEN)
    delete_execution(execution, "Orphan")
    execution.wait_until_deleted()
    orphan = mallory.ask("GET", path).body
    assert "ownerReferences" not in orphan["metadata"]
    assert orphan["spec"] == held["spec"]
    assert mallory.ask("DELETE", path, **DRY).status == 200
    assert mallory.ask("DELETE", path, propagationPolicy="Foreground").status == 200
    wait_until_gone(lab, orphan)


@pytest.mark.conformance("F15")
def test_a_namespace_ends_with_open_ones_in_it(
    api: Any, kubectl: Any, mallory: Account, host_operator: OperatorProcess, request: pytest.FixtureRequest
) -> None:
    with shared(request, api) as ends:
        _, held = opened(kubectl, ends, host_operator)
        ends.core.delete_namespace(ends.name)
        wait_until_gone(ends, held)
        removed = kubectl("wait", f"namespace/{ends.name}", "--for=delete", "--timeout=60s")
        assert removed.returncode == 0, removed.stderr
