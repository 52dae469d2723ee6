"""What is on record: reasons, runs that were named, rejections, conditions, Events, times that are set once."""

from __future__ import annotations

import json
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest
from kubernetes import client

from tests.support import programs, proof
from tests.support.lab import Lab, condition, history, phase_of, record
from tests.support.logs import wait_until_started

pytestmark = pytest.mark.usefixtures("release_operator")
OTHER_RUN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
Kubectl = Callable[..., CompletedProcess[str]]


@pytest.mark.conformance("A11", "A12", "A13", "G7", "G4")
def test_reason_and_details_are_in_record_history_and_event(lab: Lab) -> None:
    given, empty, absent = (lab.start(programs.POLITE) for _ in range(3))
    for execution in (given, empty, absent):
        wait_until_started(execution)
    given.stop("Terminate", reason="customer asked", details="ticket 4711: refund")
    empty.stop("Cancel", reason="")
    absent.stop("Cancel")
    held = given.wait_for("Terminated").object
    assert record(held)["reason"] == "customer asked"
    assert record(held)["details"] == "ticket 4711: refund"
    assert held["status"]["history"][-1]["reason"] == "customer asked"
    assert "customer asked" in given.wait_for_event("TerminateRequested")
    for reason in ("WorkflowStarted", "WorkflowTerminated"):
        assert given.wait_for_event(reason)
    assert record(empty.wait_for("Cancelled").object)["reason"] == ""
    assert "reason" not in record(absent.wait_for("Cancelled").object)


@pytest.mark.conformance("A14", "A15", "H6")
def test_a_command_that_names_another_run_is_rejected_and_one_that_names_this_run_is_not(lab: Lab) -> None:
    execution = lab.start(programs.POLITE)
    current = execution.wait_for("Running").object["status"]["runId"]
    wait_until_started(execution)
    execution.stop("Kill", runId=OTHER_RUN)
    held = execution.wait_for(lambda seen: bool(seen.get("status", {}).get("commands"))).object
    rejected = record(held)
    assert (rejected["status"], rejected["rejectionReason"]) == ("Rejected", "selected_run_not_current")
    assert (rejected["requestedRunId"], rejected["resolvedRunId"]) == (OTHER_RUN, current)
    assert rejected["targetScope"] == "run"
    assert phase_of(held) == "Running"
    assert proof.workflow_processes(execution.marker)
    execution.stop("Cancel", runId=current)
    held = execution.wait_for("Cancelled").object
    assert record(held)["status"] == "Accepted"
    assert record(held)["targetScope"] == "run"


@pytest.mark.conformance("A16")
def test_a_new_execution_of_the_same_name_is_never_hit(lab: Lab) -> None:
    old = lab.start(programs.POLITE)
    run = old.wait_for("Running").object["status"]["runId"]
    old.delete()
    old.wait_until_deleted()
    spec = old.history()[0].object["spec"]
    new = lab.create(spec, old.marker, old.name)
    wait_until_started(new)
    assert new.uid != old.uid
    new.stop("Kill", runId=run)
    held = new.wait_for(lambda seen: bool(seen.get("status", {}).get("commands"))).object
    assert record(held)["rejectionReason"] == "selected_run_not_current"
    assert phase_of(held) == "Running"
    assert [pod.metadata.deletion_timestamp for pod in new.pods()] == [None]


@pytest.mark.conformance("B10")
def test_a_patch_of_an_execution_that_is_not_there_says_so_and_makes_nothing(lab: Lab, kubectl: Kubectl) -> None:
    body = json.dumps({"spec": {"cancellation": {"mode": "Kill"}}})
    answer = kubectl("-n", lab.name, "patch", "wfx", "no-such-run", "--type", "merge", "-p", body)
    assert answer.returncode == 1
    assert "not found" in answer.stderr
    assert kubectl("-n", lab.name, "get", "wfx", "-o", "name").stdout == ""


@pytest.mark.conformance("B12", "B13")
def test_the_same_request_again_has_no_second_effect(lab: Lab) -> None:
    execution = lab.start(programs.DEAF)
    wait_until_started(execution)
    for _ in range(3):
        execution.stop("Cancel", requestId="ticket-1", reason="once")
    execution.wait_for("Cancelling")
    execution.stop("Cancel", requestId="ticket-2", reason="twice")
    held = execution.wait_for(lambda seen: len(seen.get("status", {}).get("commands", ())) > 1).object
    assert [c["status"] for c in held["status"]["commands"]] == ["Accepted", "Duplicate"]
    assert record(held, 0)["id"] == record(held, 1)["id"]
    assert history(held).count("CancelRequested") == 1
    execution.stop("Kill", gracePeriodSeconds=1, requestId="ticket-2", reason="twice")
    with pytest.raises(client.ApiException) as refused:
        execution.stop("Cancel", requestId="ticket-1", reason="once", gracePeriodSeconds=1)
    assert refused.value.status == 422
    execution.wait_for("Cancelled")


@pytest.mark.conformance("G7", "G9", "H14", "H15", "G3")
def test_conditions_flags_and_bucket_tell_where_the_run_is(lab: Lab, kubectl: Kubectl) -> None:
    execution = lab.start(programs.POLITE)
    running = execution.wait_for("Running").object
    status = running["status"]
    assert status["bucket"] == "running"
    assert [status[f"can{mode}"] for mode in ("Cancel", "Force", "Terminate", "Kill")] == [True] * 4
    assert condition(running, "Started")["status"] == "True"
    assert condition(running, "Reconciling")["status"] == "True"
    execution.stop("Kill")
    held = execution.wait_for("Cancelled").object
    status = held["status"]
    assert (status["bucket"], status["closedReason"]) == ("failed", "cancelled")
    assert [status[f"can{mode}"] for mode in ("Cancel", "Force", "Terminate", "Kill")] == [False] * 4
    assert {b["action"]: b["reason"] for b in status["blockedReasons"]} == dict.fromkeys(
        ("Cancel", "Force", "Terminate", "Kill"), "run_not_active"
    )
    for kind, value in (("Finished", "True"), ("Cancelled", "True"), ("Reconciling", "False")):
        assert condition(held, kind)["status"] == value
        assert condition(held, kind)["observedGeneration"] == held["metadata"]["generation"]
    assert status["observedGeneration"] == held["metadata"]["generation"]
    assert status["failure"]["category"] == status["failure"]["propagation"] == "cancelled"
    waited = kubectl("-n", lab.name, "wait", "--for=condition=Finished", "wfx", execution.name, "--timeout=30s")
    assert waited.returncode == 0
    listed = kubectl("-n", lab.name, "get", "wfx", "--field-selector", "status.bucket=failed", "-o", "name")
    assert execution.name in listed.stdout
    ends = {
        seen.object["status"]["endTime"] for seen in execution.history() if seen.object.get("status", {}).get("endTime")
    }
    assert len(ends) == 1


@pytest.mark.conformance("K6", "G9")
def test_requests_that_meet_the_terminal_write_leave_it_as_it_is(lab: Lab) -> None:
    execution = lab.start(programs.POLITE)
    wait_until_started(execution)
    execution.stop("Cancel", reason="first")
    for number in range(20):
        execution.stop("Cancel", reason=f"again {number}")
    held = execution.wait_for("Cancelled").object
    last = execution.stop("Cancel", reason="after the end")
    seen = execution.wait_for(
        lambda h: h.get("status", {}).get("observedGeneration") == last["metadata"]["generation"]
    ).object
    for name in ("phase", "endTime", "failure", "runId"):
        assert seen["status"][name] == held["status"][name]
    terminal = [entry for entry in history(seen) if entry == "WorkflowCancelled"]
    assert len(terminal) == 1
