"""Two controllers over the same executions: the worst that happens is a refused write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.home import home
from tests.support import programs
from tests.support.lab import Execution, Lab
from tests.support.logs import wait_until_started
from tests.support.operator_process import OperatorProcess

MODES = ("Cancel", "Kill", "Force", "Terminate")
ENDS = {"Cancel": "Cancelled", "Kill": "Cancelled", "Force": "Cancelled", "Terminate": "Terminated"}


@pytest.fixture
def second(
    host_operator: OperatorProcess, through_proxy: Path, environment: dict[str, str]
) -> Iterator[OperatorProcess]:
    """Another operator beside the first."""
    operator = OperatorProcess(through_proxy, home().log("operator-second"), environment)
    operator.start()
    yield operator
    operator.kill()


def test_each_run_is_started_once_and_stopped_once(lab: Lab, second: OperatorProcess) -> None:
    executions = {mode: [lab.start(programs.POLITE) for _ in range(2)] for mode in MODES}
    for mode, started in executions.items():
        for execution in started:
            wait_until_started(execution)
            execution.stop(mode, **({"gracePeriodSeconds": 2} if mode == "Kill" else {}))
    for mode, started in executions.items():
        for execution in started:
            _once(execution, ENDS[mode])
    assert second.alive


def _once(execution: Execution, end: str) -> None:
    status = execution.wait_for(end).object["status"]
    assert not execution.processes()
    # A starved kubelet reports the end after the backstop, which deletes the pod: then there is none left.
    assert len(execution.pods()) <= 1
    assert "lateStarts" not in status, "a second pod was made"
    assert status["attempt"] == 1
    assert [command["status"] for command in status["commands"]] == ["Accepted"]
    types = [entry["type"] for entry in status["history"]]
    assert len(types) == len(set(types)), types
