"""What is asked for while its run is being stopped, and afterwards: none of it begins, and each is accounted for."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import programs, proof
from tests.support.lab import TERMINAL, phase_of
from tests.support.logs import wait_until_started
from tests.support.operations import Author, Operation, Operations, workflow_pods

GRACE = 6
ROUNDS = 3
AT_ONCE = 6


@pytest.mark.conformance("B22", "D7", "D10")
@pytest.mark.parametrize("mode", ["Kill", "Cancel"])
def test_what_is_asked_for_after_a_kill_or_after_the_end_never_begins(operations: Operations, mode: str) -> None:
    execution = operations.lab.start(programs.DEAF if mode == "Kill" else programs.POLITE)
    wait_until_started(execution)
    author = Author.of(operations, execution)
    asked: list[Operation] = []
    if mode == "Kill":
        execution.stop("Kill", gracePeriodSeconds=GRACE)
        execution.wait_for("KillCancelling")
        asked.append(author.runs("during", programs.WORKS))
        assert asked[0].wait_until_ended()["status"].get("late") is None
    else:
        execution.stop("Cancel")
    execution.wait_for("Cancelled")
    # The token of an ended pod is good until the pod is deleted.
    if mode == "Kill" and not workflow_pods(execution):
        pytest.skip("its kubelet was so late that the backstop has deleted the pod, so that nobody can ask")
    asked.append(author.runs("after", programs.WORKS))
    asked.append(author.asks("later", timer={"delayMilliseconds": 1000}))
    asked.append(author.asks("told", local={"outcome": {"outcome": "Succeeded", "result": {"too": "late"}}}))
    for operation in asked:
        held = operation.wait_until_ended()
        assert phase_of(held) == "Cancelled", operation.describe()
        assert "result" not in held["status"]
        assert "attempt" not in held["status"]
        assert operation.pods() == []
    assert [operation.get()["status"].get("late") for operation in asked[-3:]] == [True] * 3
    counted = execution.wait_for(lambda held: held["status"].get("operations", {}).get("late") == 3)
    assert phase_of(counted.object) == "Cancelled"
    assert counted.object["status"]["operations"].get("leftOver", 0) == 0
    assert "turned up after the run had ended" in execution.wait_for_event("LateOperation")
    assert proof.gone_for_good(execution.marker)


@pytest.mark.conformance("K2", "B22", "D6")
def test_a_stop_in_the_middle_of_a_start_leaves_no_pod_or_one_that_is_deleted(operations: Operations) -> None:
    runs = [operations.lab.start(programs.POLITE) for _ in range(ROUNDS)]
    asked: list[Operation] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number, execution in enumerate(runs):
            wait_until_started(execution)
            author = Author.of(operations, execution)
            begun = [pool.submit(author.runs, f"at-once-{n}", programs.DEAF) for n in range(AT_ONCE)]
            time.sleep(0.4 * number)  # at another moment of their start in each round
            execution.stop("Kill", gracePeriodSeconds=1)
            asked += [made.result() for made in begun]
    for execution in runs:
        execution.wait_for(lambda held: phase_of(held) in TERMINAL)
        assert phase_of(execution.get()) == "Cancelled"
        assert not proof.processes(execution.marker), "it outlives its run's end"
    time.sleep(proof.STAYS_DEAD_SECONDS)  # what begins late would do it by now
    for operation in asked:
        held = operation.wait_until_ended()
        assert phase_of(held) == "Cancelled", operation.describe()
        assert len(held["status"]["commands"]) == 1
        assert len(operation.pods()) <= 1
    assert not [execution.name for execution in runs if proof.processes(execution.marker)]
