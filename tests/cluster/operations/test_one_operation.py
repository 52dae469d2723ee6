"""One operation at a time: stopped alone, tried again, drained; and what its run's history says of it."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from tests.support import programs, proof
from tests.support.lab import Execution, condition, phase_of
from tests.support.logs import wait_for_log, wait_until_started
from tests.support.operations import Author, Operations

RETRIES = {"maximumAttempts": 5, "initialIntervalSeconds": 1}
LONG = {"maximumAttempts": 5, "initialIntervalSeconds": 3600}
FAILS_WHEN_TOLD = programs.POLITE.replace("sys.exit(0)", "sys.exit(7)")
REPORTS_ITS_ATTEMPT = """
import json, os, signal, sys, time
attempt = os.environ["DESIST_ATTEMPT"]
def say(outcome):
    with open(os.environ["DESIST_OUTCOME"], "w") as report:
        json.dump({"outcome": outcome, "result": {"of": attempt}}, report)
def stop(number, frame):
    say("Failed")
    sys.exit(1)
signal.signal(signal.SIGTERM, stop)
if attempt == "2":
    say("Succeeded")
    sys.exit(0)
print("started", flush=True)
time.sleep(3600)
"""


@pytest.fixture(scope="module")
def run(operations: Operations) -> Execution:
    """A run that goes on through all of these."""
    execution = operations.lab.start(programs.WORKS)
    wait_until_started(execution)
    return execution


@pytest.fixture(scope="module")
def author(operations: Operations, run: Execution) -> Author:
    """Its workflow process."""
    return Author.of(operations, run)


@pytest.mark.conformance("A21", "D6", "H17")
def test_one_is_cancelled_alone_says_so_in_full_and_its_run_goes_on(author: Author, run: Execution) -> None:
    one, other = (author.runs(key, programs.POLITE) for key in ("one", "other"))
    for operation in (one, other):
        operation.wait_for("Running")
        wait_for_log(operation, "started")
    one.stop("Cancel", reason="too slow", requestId="ticket-7")
    held = one.wait_for("Cancelled")
    assert one.phases() == ["Pending", "Running", "Cancelling", "Cancelled"]
    (record,) = held["status"]["commands"]
    wanted = {"mode": "Cancel", "status": "Accepted", "source": "api", "reason": "too slow", "outcome": "cancelled"}
    assert record.items() >= (wanted | {"requestId": "ticket-7"}).items()
    assert record["acceptedAt"] <= held["status"]["cancellation"]["since"]
    assert condition(held, "Cancelled")["status"] == "True"
    assert held["status"]["processes"][0]["exitCode"] == 0
    assert (phase_of(other.get()), phase_of(run.get())) == ("Running", "Running")
    assert [e["type"] for e in run.get()["status"]["history"]] == ["StartAccepted", "WorkflowStarted"]
    assert one.processes() == []


@pytest.mark.conformance("E5", "A8")
def test_one_that_does_not_listen_is_told_at_once_and_killed_when_its_time_is_up(author: Author) -> None:
    operation = author.runs("deaf", programs.DEAF, stopPolicy={"gracePeriodSeconds": 1})
    operation.wait_for("Running")
    wait_for_log(operation, "started")
    operation.stop("Cancel", killAfterSeconds=3)
    wait_for_log(operation, "heard")
    assert operation.wait_until_ended()["status"]["processes"][0]["exitCode"] == 137
    assert operation.phases() == ["Pending", "Running", "Cancelling", "KillCancelling", "Cancelled"]
    assert [c["source"] for c in operation.get()["status"]["commands"]] == ["api", "escalation"]
    assert operation.processes() == []


@pytest.mark.conformance("B6")
@pytest.mark.parametrize("mode", ["Cancel", "Kill"])
def test_one_in_a_long_back_off_is_cancelled_at_once_and_not_tried_again(author: Author, mode: str) -> None:
    operation = author.runs(f"back-off-{mode}", programs.FAILS, retryPolicy=LONG)
    operation.wait_for(lambda held: "nextAttemptAt" in held["status"])
    operation.stop(mode)
    held = operation.wait_for("Cancelled", 60)
    assert operation.phases()[-2:] == ["Pending", "Cancelled"] or operation.phases()[-1] == "Cancelled"
    assert held["status"]["attempt"] == 1
    assert "nextAttemptAt" not in held["status"]
    assert len(operation.pods()) == 1


@pytest.mark.conformance("D11")
def test_one_that_fails_when_it_is_told_is_not_tried_again(author: Author) -> None:
    operation = author.runs("retried", FAILS_WHEN_TOLD, retryPolicy=RETRIES)
    operation.wait_for("Running")
    wait_for_log(operation, "started")
    operation.stop("Cancel")
    held = operation.wait_for("Cancelled")
    assert (held["status"]["attempt"], held["status"]["processes"][0]["exitCode"]) == (1, 7)
    time.sleep(proof.STAYS_DEAD_SECONDS)  # longer than the back-off would be
    assert len(operation.pods()) == 1


@pytest.mark.conformance("B16", "D10")
def test_what_a_drained_attempt_has_said_never_shows_and_the_next_one_counts(author: Author) -> None:
    operation = author.runs("drained", REPORTS_ITS_ATTEMPT)
    operation.wait_for("Running")
    wait_for_log(operation, "started")
    (pod,) = operation.pods()
    eviction = {"metadata": {"name": pod.metadata.name, "namespace": author.execution.lab.name}}
    author.execution.lab.core.create_namespaced_pod_eviction(pod.metadata.name, author.execution.lab.name, eviction)
    held = operation.wait_until_ended()
    status = held["status"]
    assert (status["phase"], status["result"], status["attempt"]) == ("Succeeded", {"of": "2"}, 2)
    assert status["disruptions"] == 1
    assert status.get("failedAttempts", 0) == 0
    results = {str(seen.object["status"].get("result")) for seen in operation.all.recorder.history(operation.uid)}
    assert results == {"None", str({"of": "2"})}


@pytest.mark.conformance("D1", "D2", "G1")
def test_order_123_tells_in_order_what_its_cancel_has_closed(operations: Operations) -> None:
    execution = operations.lab.start(programs.POLITE)
    wait_until_started(execution)
    author = Author.of(operations, execution)
    charge = author.runs("charge", programs.DEAF, stopPolicy={"gracePeriodSeconds": 2})
    charge.wait_for("Running")
    wait_for_log(charge, "started")
    # Last, as it fires by itself: on a busy machine a pod may take as long to start.
    timer = author.asks("reminder", timer={"delayMilliseconds": 15_000})
    timer.wait_for("Running")
    execution.stop("Cancel", reason="customer asked", requestId="web-1")
    history = execution.wait_for("Cancelled").object["status"]["history"]
    told = [entry for entry in history if entry["type"] not in ("CancellationPosted", "CancellationReceived")]
    assert [entry["type"] for entry in told] == [
        "StartAccepted",
        "WorkflowStarted",
        "CancelRequested",
        "TimerCancelled",
        "OperationCancelled",
        "WorkflowCancelled",
    ]
    assert [entry.get("operation") for entry in told[3:5]] == ["reminder", "charge"]
    assert len({entry["commandId"] for entry in told[2:]}) == 1
    status = charge.get()["status"]
    (record,) = status["commands"]
    assert record.items() >= {"id": told[2]["commandId"], "reason": "customer asked", "requestId": "web-1"}.items()
    process = status["processes"][0]
    assert (process["state"], bool(process["node"]), status["attempt"]) == ("gone", True, 1)
    due = datetime.fromisoformat(timer.get()["status"]["dueAt"]).timestamp()
    time.sleep(max(0.0, due + 2 - time.time()))  # it must not fire
    assert timer.phases() == ["Running", "Cancelled"]
    assert proof.gone_for_good(execution.marker)
