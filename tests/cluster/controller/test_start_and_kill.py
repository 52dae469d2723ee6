"""The whole way, with the operator as a process here: a run starts, runs, ends, or is stopped by one patch."""

from __future__ import annotations

import pytest

from tests.support import programs
from tests.support.lab import Lab, condition
from tests.support.logs import wait_until_started
from tests.support.operator_process import Line, OperatorProcess

pytestmark = pytest.mark.usefixtures("host_operator")


def test_a_program_that_ends_by_itself_is_succeeded(lab: Lab) -> None:
    execution = lab.start(programs.FINISHES)
    ended = execution.wait_for("Succeeded").object["status"]
    assert execution.phases()[0] == "Pending"
    assert ended["processes"][0]["exitCode"] == 0
    assert condition(execution.get(), "Finished")["status"] == "True"


def test_a_program_that_fails_is_failed_with_its_code(lab: Lab) -> None:
    ended = lab.start(programs.FAILS).wait_for("Failed").object["status"]
    assert ended["failure"]["category"] == "application"
    assert ended["processes"][0]["exitCode"] == 7


def test_one_patch_kills_a_deaf_program_and_the_node_proves_it(lab: Lab) -> None:
    execution = lab.start(programs.DEAF)
    wait_until_started(execution)
    assert execution.processes()
    execution.stop("Kill", gracePeriodSeconds=1, reason="enough")
    execution.wait_for("KillCancelling")
    ended = execution.wait_for("Cancelled")
    assert not execution.processes(), "the phase was terminal before the process was gone"
    assert ended.object["status"]["processes"][0]["exitCode"] == 137
    assert execution.phases() == ["Pending", "Running", "KillCancelling", "Cancelled"]
    command = ended.object["status"]["commands"][0]
    assert (command["reason"], command["fieldManager"]) == ("enough", "kubectl-patch")
    for reason in ("KillRequested", "WorkflowCancelled"):
        assert execution.wait_for_event(reason)


def test_the_log_tells_execution_run_command_and_pass(lab: Lab, host_operator: OperatorProcess) -> None:
    execution = lab.start(programs.POLITE)
    wait_until_started(execution)
    execution.stop("Cancel")
    ended = execution.wait_for("Cancelled").object["status"]
    said = [_line(host_operator, lab, f"phase {phase}") for phase in ("Cancelling", "Cancelled")]
    for line in said:
        assert (line["execution"], line["run"]) == (execution.name, ended["runId"])
        assert line["command"] == ended["commands"][0]["id"]
    assert said[0]["reconcile"] != said[1]["reconcile"]


def _line(operator: OperatorProcess, lab: Lab, message: str) -> Line:
    return operator.wait_for_line(lambda line: (line.get("namespace"), line["message"]) == (lab.name, message), 30)
