"""An operation's whole life: asked for by the run's process, run in a pod of its own, and stopped with its run."""

from __future__ import annotations

import json

import pytest

from tests.support import programs
from tests.support.lab import phase_of
from tests.support.operations import Author, Operations

REPORTS = """
import json, os
arguments = json.load(open("/desist/arguments.json"))
with open(os.environ["DESIST_OUTCOME"], "w") as report:
    json.dump({"outcome": "Succeeded", "result": {"asked": arguments}}, report)
"""


def test_an_operation_runs_in_a_pod_of_its_own_and_succeeds_with_what_it_reports(operations: Operations) -> None:
    execution = operations.lab.start(programs.WORKS)
    asked = Author.of(operations, execution).runs("charge-1", REPORTS, arguments={"order": 1})
    held = asked.wait_for("Succeeded")
    assert held["status"]["result"] == {"asked": {"order": 1}}
    (pod,) = asked.pods()
    labels, (owner,) = pod.metadata.labels, pod.metadata.owner_references
    assert (owner.kind, owner.uid, owner.controller) == ("WorkflowExecution", execution.uid, True)
    assert (labels["desist.dev/role"], labels["desist.dev/operation-attempt"]) == ("operation", "1")
    assert "desist.dev/attempt" not in labels
    assert json.loads(pod.metadata.annotations["desist.dev/arguments"]) == {"order": 1}
    execution.wait_for("Running")  # its own pod was made first, and may start last
    assert phase_of(execution.get()) == "Running"


@pytest.mark.conformance("A3")
def test_a_kill_of_the_run_ends_its_operations_and_no_process_is_left(operations: Operations) -> None:
    execution = operations.lab.start(programs.WORKS)
    author = Author.of(operations, execution)
    asked, timer = author.runs("long", programs.WORKS), author.asks("timer", timer={"delayMilliseconds": 3_600_000})
    asked.wait_for("Running")
    timer.wait_for(lambda held: "dueAt" in held.get("status", {}))
    execution.stop("Kill", reason="wrong data", gracePeriodSeconds=2)
    held = execution.wait_for("Cancelled").object
    assert execution.processes() == [], "the run has ended, and so has all of it"
    assert [phase_of(each.get()) for each in (asked, timer)] == ["Cancelled", "Cancelled"]
    assert held["status"]["operations"] == {"open": 0, "leftOver": 0, "late": 0}
    assert {entry["type"] for entry in held["status"]["history"]} >= {"OperationCancelled", "TimerCancelled"}
