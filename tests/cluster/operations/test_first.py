"""An operation's whole life: asked for by the run's process, run in a pod of its own, and stopped with its run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.operations.asked import Asking
from tests.support import programs, proof
from tests.support.lab import Lab

pytestmark = pytest.mark.usefixtures("host_operator")

REPORTS = """
import json, os
arguments = json.load(open("/desist/arguments.json"))
with open(os.environ["DESIST_OUTCOME"], "w") as report:
    json.dump({"outcome": "Succeeded", "result": {"asked": arguments}}, report)
"""


def works(marker: str, source: str = programs.WORKS) -> dict[str, Any]:
    """Work in a pod, by a program of the tests."""
    return {"command": programs.command(source, marker)}


def test_an_operation_runs_in_a_pod_of_its_own_and_succeeds_with_what_it_reports(lab: Lab) -> None:
    asking = Asking.of(lab.start(programs.WORKS))
    asked = asking.ask("charge/1", pod=works("charge", REPORTS), arguments={"order": 1})
    held = asked.wait_for("Succeeded")
    assert held["status"]["result"] == {"asked": {"order": 1}}
    (pod,) = asked.pods()
    labels, (owner,) = pod.metadata.labels, pod.metadata.owner_references
    assert (owner.kind, owner.uid, owner.controller) == ("WorkflowExecution", asking.execution.uid, True)
    assert (labels["desist.dev/role"], labels["desist.dev/operation-attempt"]) == ("operation", "1")
    assert "desist.dev/attempt" not in labels
    assert json.loads(pod.metadata.annotations["desist.dev/arguments"]) == {"order": 1}
    assert asking.execution.wait_for("Running").object["status"].get("failure") is None


@pytest.mark.conformance("A3")
def test_a_kill_of_the_run_ends_its_operations_and_no_process_is_left(lab: Lab) -> None:
    execution = lab.start(programs.WORKS)
    asking = Asking.of(execution)
    marker = f"{execution.marker}-op"
    asked = asking.ask("long", pod=works(marker))
    asked.wait_for("Running")
    asking.ask("timer", timer={"delayMilliseconds": 3_600_000}).wait_for(lambda held: "dueAt" in held.get("status", {}))
    execution.stop("Kill", reason="wrong data", gracePeriodSeconds=2)
    held = execution.wait_for("Cancelled").object
    assert proof.processes(marker) == [] == execution.processes(), "the run has ended, and so has all of it"
    assert asked.get()["status"]["phase"] == "Cancelled"
    assert held["status"]["operations"] == {"open": 0, "leftOver": 0, "late": 0}
    assert {entry["type"] for entry in held["status"]["history"]} >= {"OperationCancelled", "TimerCancelled"}
