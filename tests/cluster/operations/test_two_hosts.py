"""A run whose operations run on two hosts: each stop reaches both, or leaves both, and results in flight are kept.

This is Cloudify's case: tasks on hosts that the workflow process is not on. The node that other modules lose is none of
the two.
"""

from __future__ import annotations

import pytest

from hack.cluster.api import node_names
from tests.support import programs, proof
from tests.support.lab import Execution, condition, phase_of, template
from tests.support.logs import wait_for_log, wait_until_started
from tests.support.operations import Author, Operation, Operations
from tests.support.sight import HOSTNAME, STEADY_NODE

HOSTS = (STEADY_NODE, node_names()[0])
GRACE = 5
REPORTS = """
import json, os, signal, sys, time
def stop(number, frame):
    with open(os.environ["DESIST_OUTCOME"], "w") as report:
        json.dump({"outcome": "Succeeded", "result": {"charged": 12}}, report)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("started", flush=True)
while True:
    time.sleep(3600)
"""
MODES = ("Cancel", "Force", "Kill")


@pytest.fixture(scope="module")
def runs(operations: Operations) -> dict[str, tuple[Execution, dict[str, Operation]]]:
    """A run for each mode, and its operations, of which each host has one that is deaf and one that reports."""
    made = {}
    for mode in MODES:
        marker = f"mark-{mode.lower()}-{operations.lab.name}"
        pod = template(
            programs.command(programs.POLITE, marker),
            nodeSelector={HOSTNAME: HOSTS[0]},
            tolerations=[{"operator": "Exists"}],
        )
        spec = {"template": pod, "stopPolicy": {"gracePeriodSeconds": GRACE}}
        made[mode] = operations.lab.create({"workflowSpec": spec}, marker)
    return {mode: (execution, _asked(operations, execution)) for mode, execution in made.items()}


def _asked(operations: Operations, execution: Execution) -> dict[str, Operation]:
    wait_until_started(execution, 120)
    author = Author.of(operations, execution)
    found = {}
    for number, host in enumerate(HOSTS):
        for name, source in (("deaf", programs.DEAF), ("reports", REPORTS)):
            found[f"{name}-{number}"] = author.runs(f"{name}-{number}", source, {"nodeSelector": {HOSTNAME: host}})
    return found


def running(runs: dict[str, tuple[Execution, dict[str, Operation]]], mode: str) -> tuple[Execution, list[Operation]]:
    """That run, when all of its operations run, on both hosts."""
    execution, found = runs[mode]
    for operation in found.values():
        operation.wait_for("Running", 120)
        wait_for_log(operation, "started")
    hosts = {process.node for key in found for process in proof.workflow_processes(found[key].marker)}
    assert hosts == set(HOSTS)
    return execution, list(found.values())


@pytest.mark.conformance("A3", "C12", "D8", "D1", "E5")
@pytest.mark.parametrize("mode", ["Cancel", "Kill"])
def test_a_stop_ends_the_processes_on_both_and_keeps_results_in_flight(
    runs: dict[str, tuple[Execution, dict[str, Operation]]], mode: str
) -> None:
    execution, found = running(runs, mode)
    execution.stop(mode, reason="customer asked")
    held = execution.wait_for("Cancelled").object
    assert not proof.processes(execution.marker), "something outlives the end of the run"
    for operation in found:
        status = operation.get()["status"]
        if operation.key.startswith("reports"):
            assert (status["phase"], status["result"]) == ("Succeeded", {"charged": 12})
        else:
            assert (status["phase"], status["processes"][0]["exitCode"]) == ("Cancelled", 137)
    closed = {e["operation"] for e in held["status"]["history"] if e["type"] == "OperationCancelled"}
    assert closed == {"deaf-0", "deaf-1"}
    assert proof.gone_for_good(execution.marker)


@pytest.mark.conformance("A2", "A9", "A10", "C12")
def test_force_leaves_both_running_and_a_kill_of_the_ended_run_reaps_them(
    runs: dict[str, tuple[Execution, dict[str, Operation]]],
) -> None:
    execution, found = running(runs, "Force")
    execution.stop("Force")
    ended = execution.wait_for("Cancelled")
    assert ended.object["status"]["operations"]["leftOver"] == len(found)
    alive = proof.workflow_processes(execution.marker)
    assert sorted(process.arguments[-1] for process in alive) == sorted(operation.marker for operation in found)
    assert {process.node for process in alive} == set(HOSTS)
    execution.stop("Kill", gracePeriodSeconds=2)
    held = execution.wait_for(
        lambda seen: seen["status"]["commands"][-1].get("outcome") == "reaped", after=ended
    ).object
    assert not proof.processes(execution.marker)
    for field in ("phase", "closedReason", "endTime"):
        assert held["status"][field] == ended.object["status"][field]
    assert held["status"]["operations"].get("leftOver", 0) == 0
    assert condition(held, "Cancelled")["status"] == "True"
    phases = {operation.key: phase_of(operation.get()) for operation in found}
    assert {key for key, phase in phases.items() if phase == "Cancelled"} == {"deaf-0", "deaf-1"}
    assert proof.gone_for_good(execution.marker)
