"""The operator is SIGKILLed at random times among stops of runs with ten operations each: none is lost or done twice.

DESIST_TEST_RUNS says with how many runs; a whole suite has no room for many.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support import programs, proof
from tests.support.lab import TERMINAL, Execution, phase_of
from tests.support.logs import log_left, wait_until_started
from tests.support.operations import Author, Operation, Operations
from tests.support.operator_process import OperatorProcess
from tests.support.watching import Object

pytestmark = pytest.mark.long

SEED = 23
RUNS = int(os.environ.get("DESIST_TEST_RUNS", "6"))
KILLS = 6
STORM_SECONDS = 12.0
PATIENCE = 150.0
GRACE = {"stopPolicy": {"gracePeriodSeconds": 1}}
PLANS: tuple[list[dict[str, Any]], ...] = (
    [{"mode": "Cancel", "reason": "polite"}],
    [{"mode": "Kill", "gracePeriodSeconds": 1}],
    [{"mode": "Cancel"}, {"mode": "Kill", "gracePeriodSeconds": 1}],
    [{"mode": "Terminate"}],
    [{"mode": "Force"}, {"mode": "Kill", "gracePeriodSeconds": 1}],
    [{"mode": "Cancel", "killAfterSeconds": 2}, {"mode": "Terminate"}],
)
HARD = ("Force", "Terminate", "Kill")


@pytest.mark.conformance("C4", "C15", "D1", "D2", "D6", "B22", "A9")
def test_no_operation_is_lost_or_stopped_twice_when_the_operator_is_killed(
    operations: Operations, host_operator: OperatorProcess
) -> None:
    chance = random.Random(SEED)
    runs = [operations.lab.start(programs.POLITE, **GRACE) for _ in range(RUNS)]
    authors = []
    for execution in runs:
        wait_until_started(execution, 120)
        authors.append(Author.of(operations, execution))
    with ThreadPoolExecutor(2 * RUNS) as pool:
        asked = [[*found] for found in pool.map(ask_at_first, authors)]
        for found in asked:
            for operation in found:
                operation.wait_for(_begun, PATIENCE)
        ends = [pool.submit(outlives_its_end, execution) for execution in runs]
        steps: list[tuple[float, Any]] = [
            (chance.uniform(0, STORM_SECONDS / 3) + step * STORM_SECONDS / 2, (execution, request))
            for number, execution in enumerate(runs)
            for step, request in enumerate(PLANS[number % len(PLANS)])
        ]
        steps += [(chance.uniform(0, STORM_SECONDS), None) for _ in range(KILLS)]
        steps += [(chance.uniform(0, STORM_SECONDS / 2), author) for author in authors for _ in range(2)]
        storm(steps, asked, runs, host_operator)
        for execution in runs:
            execution.wait_for(lambda held: phase_of(held) in TERMINAL, PATIENCE)
        # Force leaves processes running, until its run is killed.
        plans = [PLANS[number % len(PLANS)] for number in range(RUNS)]
        outlived = [end.result(PATIENCE) for end in ends]
    assert [e.name for e, plan, seen in zip(runs, plans, outlived, strict=True) if seen and len(plan) < 2] == []
    for execution, plan, found in zip(runs, plans, asked, strict=True):
        if plan[0]["mode"] == "Force":
            execution.wait_for(_nothing_left, PATIENCE)
        for operation in found:
            operation.wait_until_ended(PATIENCE)
        check(execution, found)
    assert proof.alive_now_or_later(*(execution.marker for execution in runs)) == []


def ask_at_first(author: Author) -> list[Operation]:
    """Eight: five that run, deaf and polite in turn, one in back-off, two timers."""
    sources = (programs.DEAF, programs.POLITE)
    retry = {"maximumAttempts": 3, "initialIntervalSeconds": 3600}
    return [
        *(author.runs(f"pod-{number}", sources[number % 2], **GRACE) for number in range(5)),
        author.runs("back-off", programs.FAILS, retryPolicy=retry),
        *(author.asks(f"timer-{number}", timer={"delayMilliseconds": 3_600_000}) for number in range(2)),
    ]


def storm(
    steps: list[tuple[float, Any]], asked: list[list[Operation]], runs: list[Execution], operator: OperatorProcess
) -> None:
    """Do each at its time: kill the operator, stop a run, or ask for two more operations."""
    began = time.monotonic()
    for at, what in sorted(steps, key=lambda step: step[0]):
        time.sleep(max(0.0, at - (time.monotonic() - began)))  # the times themselves are what is tried
        if what is None:
            operator.kill()
            operator.launch()
        elif isinstance(what, Author):
            found = asked[runs.index(what.execution)]
            found.append(what.runs(f"late-{len(found)}", programs.DEAF, **GRACE))
        else:
            execution, request = what
            execution.patch({"cancellation": request})
    operator.wait_for_line("ready", 60)


def outlives_its_end(execution: Execution) -> bool:
    """Wait for the terminal phase, and look at the nodes the moment that it is seen."""
    execution.wait_for(lambda held: phase_of(held) in TERMINAL, PATIENCE)
    return bool(proof.processes(execution.marker))


def check(execution: Execution, operations: list[Operation]) -> None:
    """Each has ended, by one command at most, in one pod at most, and is told of once."""
    held = execution.get()
    told = Counter(e["operation"] for e in held["status"]["history"] if "operation" in e)
    assert all(count == 1 for count in told.values()), told
    hard = [c["acceptedAt"] for c in held["status"]["commands"] if c["mode"] in HARD and c["status"] == "Accepted"]
    for operation in operations:
        found = operation.get()
        assert phase_of(found) in TERMINAL, operation.describe()
        ids = [c["id"] for c in found["status"].get("commands", ()) if c["status"] == "Accepted"]
        assert len(ids) == len(set(ids)), "a command was recorded twice"
        pods = operation.pods()
        assert len(pods) <= 1, operation.describe()
        late = found["status"].get("late", False)
        assert told[operation.key] == (1 if phase_of(found) == "Cancelled" and not late else 0), operation.key
        for pod in pods:
            assert not hard or pod.metadata.creation_timestamp <= datetime.fromisoformat(min(hard)) + timedelta(
                seconds=1
            )
            if _ran(pod):
                assert (log_left(operation) or "").count("heard") <= 1, "the process was signalled twice"


def _begun(held: Object) -> bool:
    return phase_of(held) == "Running" or "nextAttemptAt" in held["status"]


def _nothing_left(held: Object) -> bool:
    return not held["status"].get("operations", {}).get("leftOver", 0)


def _ran(pod: Any) -> bool:
    return any(c.container_id for c in pod.status.container_statuses or ())
