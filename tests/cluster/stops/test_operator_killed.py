"""The operator is SIGKILLed at random times among cancels, kills and escalations: nothing is lost or done twice."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support import programs, proof
from tests.support.lab import TERMINAL, Execution, Lab, history, phase_of
from tests.support.logs import log_left, wait_until_started
from tests.support.operator_process import OperatorProcess

pytestmark = pytest.mark.long

SEED = 20
RUNS = 20
KILLS = 8
PLANS: tuple[tuple[str, list[dict[str, Any]]], ...] = (
    (programs.POLITE, [{"mode": "Cancel", "reason": "polite"}]),
    (programs.DEAF, [{"mode": "Kill", "gracePeriodSeconds": 2}]),
    (programs.DEAF, [{"mode": "Cancel", "killAfterSeconds": 2, "gracePeriodSeconds": 1}]),
    (programs.DEAF, [{"mode": "Cancel"}, {"mode": "Kill", "gracePeriodSeconds": 1}]),
    (programs.DEAF, [{"mode": "Cancel"}, {"mode": "Terminate"}]),
)


def outlives_its_end(execution: Execution) -> bool:
    """Wait for the terminal phase, and look at the nodes the moment that it is seen."""
    execution.wait_for(lambda held: phase_of(held) in TERMINAL)
    return bool(proof.processes(execution.marker))


@pytest.mark.conformance("C4", "C15", "A6", "A8", "B12", "G1", "G6")
def test_no_command_is_lost_and_nothing_is_done_twice_when_the_operator_is_killed(
    lab: Lab, host_operator: OperatorProcess
) -> None:
    chance = random.Random(SEED)
    runs = [lab.start(PLANS[number % len(PLANS)][0], stopPolicy={"gracePeriodSeconds": 1}) for number in range(RUNS)]
    for execution in runs:
        wait_until_started(execution, 120)
    witnesses = ThreadPoolExecutor(len(runs))
    outlived = [witnesses.submit(outlives_its_end, execution) for execution in runs]
    steps: list[tuple[float, Execution | None, dict[str, Any]]] = [
        (chance.uniform(0, 6) + 4 * step, execution, request)
        for number, execution in enumerate(runs)
        for step, request in enumerate(PLANS[number % len(PLANS)][1])
    ]
    steps += [(chance.uniform(0, 12), None, {}) for _ in range(KILLS)]
    began = time.monotonic()
    for at, target, request in sorted(steps, key=lambda step: step[0]):
        time.sleep(max(0.0, at - (time.monotonic() - began)))  # the times themselves are what is tried
        if target is None:
            host_operator.kill()
            host_operator.launch()
        else:
            target.patch({"cancellation": request})
    host_operator.wait_for_line("ready", 60)
    for number, execution in enumerate(runs):
        check(
            execution,
            PLANS[number % len(PLANS)][1],
            execution.wait_for(lambda held: phase_of(held) in TERMINAL).object,
        )
    assert [execution.name for execution, seen in zip(runs, outlived, strict=True) if seen.result(60)] == []
    witnesses.shutdown()
    assert proof.alive_now_or_later(*(execution.marker for execution in runs)) == []


def check(execution: Execution, requests: list[dict[str, Any]], held: dict[str, Any]) -> None:
    status = held["status"]
    strongest = requests[-1]["mode"]
    assert status["phase"] == ("Terminated" if strongest == "Terminate" else "Cancelled"), execution.describe()
    asked = [command["mode"] for command in status["commands"] if command["source"] == "api"]
    assert asked[-1] == strongest
    assert len(asked) == len(set(asked)), "a command was recorded twice"
    # On a starved machine a kubelet reports so late that the backstop deletes the pod.
    assert len(execution.pods()) <= 1
    for kind in ("CancelRequested", "KillRequested", "TerminateRequested", "WorkflowStarted", "CancellationEscalated"):
        assert history(held).count(kind) <= 1
    assert (log_left(execution) or "").count("heard") <= 1, "the process was signalled twice"
