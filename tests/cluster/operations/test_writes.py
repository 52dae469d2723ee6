"""What operations cost: the writes of the installed release's account, counted from the API server's audit log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.chart.conftest import AuditEvent, audited
from tests.support import programs
from tests.support.lab import Execution, phase_of
from tests.support.logs import wait_for_log, wait_until_started
from tests.support.operations import Author, Operation, Operations, operations_of
from tests.support.spaces import shared

__all__ = ["audited"]
P = 5
COUNTS_EVERY = 10
"""Seconds: as often the counts of an open run are written at most."""
SHOWN_AFTER = 10
"""Seconds: a start that lasts so long is shown meanwhile, which is a write more."""
NOISE = 2
"""Seconds by which the test may see the first state late."""
REPEATS = (3, 20)
"""Seconds after which a mailbox is posted once more, where a busy kubelet or launcher was not heard of."""
ENOUGH_FOR_ONE = 1.0
"""Seconds: the end of the workflow process is put off for two, from its time by the kubelet, in whole seconds."""
Audited = Callable[[], list[AuditEvent]]


@pytest.fixture(scope="module")
def operations(api: Any, release_operator: Any, request: pytest.FixtureRequest) -> Iterator[Operations]:
    """The same as elsewhere, under the release, whose account is the only one that writes by this name."""
    with shared(request, api) as lab, operations_of(lab) as made:
        yield made


@pytest.fixture
def author(operations: Operations) -> Author:
    """Of a run that has been running for a while: nothing of its start is left to be written."""
    execution = operations.lab.start(programs.POLITE)
    wait_until_started(execution)
    return Author.of(operations, execution)


def writes(events: list[AuditEvent], namespace: str) -> Counter[tuple[str, str, str]]:
    """How often each object's part was written with success: (verb, part, name)."""
    found = (event for event in events if event["objectRef"].get("namespace") == namespace)
    return Counter(_write(event) for event in found if event["responseStatus"]["code"] < 300)


def _write(event: AuditEvent) -> tuple[str, str, str]:
    asked = event["objectRef"]
    part = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
    # A create has no name in the audit log of metadata.
    return event["verb"], part, asked.get("name", "")


def of(found: Counter[tuple[str, str, str]], verb: str, part: str, name: str | None = None) -> int:
    """How many of these."""
    return sum(n for (did, what, whose), n in found.items() if (did, what) == (verb, part) and name in (None, whose))


def running(author: Author, number: int) -> list[Operation]:
    """As many operations that obey, when they run."""
    made = [author.runs(f"work-{n}", programs.POLITE) for n in range(number)]
    for operation in made:
        operation.wait_for("Running")
        wait_for_log(operation, "started")
    return made


def counts(since: float) -> int:
    """How often the counts of the run may have been written."""
    return 1 + int((time.monotonic() - since) / COUNTS_EVERY)


def shown_meanwhile(operation: Operation) -> int:
    """How often it was written while its start went on, beside the first time."""
    seen = operation.all.recorder.history(operation.uid)
    begun = next(state.at for state in seen if phase_of(state.object))
    late = begun + SHOWN_AFTER - NOISE
    return sum(state.at > late and phase_of(state.object) == "Pending" for state in seen)


def test_a_pod_costs_three_writes_of_its_status_a_timer_two_and_a_local_one(author: Author, audited: Audited) -> None:
    since = time.monotonic()
    execution = author.execution
    pods = [author.runs(f"pod-{number}", programs.FINISHES) for number in range(P)]
    timer = author.asks("timer", timer={"delayMilliseconds": 1500})
    local = author.asks("local", local={"outcome": {"outcome": "Succeeded"}})
    for operation in (*pods, timer, local):
        assert operation.wait_until_ended()["status"]["phase"] == "Succeeded"
    found = writes(audited(), execution.lab.name)
    cost = {
        operation.key: of(found, "update", "operations/status", operation.name) for operation in (*pods, timer, local)
    }
    # A pod that starts and ends between two looks of the operator costs one less.
    assert all(2 <= cost[operation.key] <= 3 + shown_meanwhile(operation) for operation in pods), cost
    assert (cost["timer"], cost["local"]) == (2, 1)
    assert of(found, "create", "pods") == P
    assert of(found, "patch", "pods") == of(found, "delete", "pods") == 0
    assert of(found, "update", "workflowexecutions/status", execution.name) <= counts(since)


def test_a_kill_of_some_costs_each_a_mailbox_and_a_status_and_the_run_two(author: Author, audited: Audited) -> None:
    execution: Execution = author.execution
    made = running(author, P)
    before = writes(audited(), execution.lab.name)
    since = time.monotonic()
    execution.stop("Kill", gracePeriodSeconds=30)
    execution.wait_for("Cancelled")
    lasted = time.monotonic() - since
    found = writes(audited(), execution.lab.name)
    found.subtract(before)
    assert of(found, "create", "pods") == of(found, "delete", "pods") == 0
    posted = {name: n for (verb, part, name), n in found.items() if (verb, part) == ("patch", "pods") and n}
    # One for each process, the workflow's too; repeats where it lasted long enough for them.
    assert set(posted) == {pod.metadata.name for pod in execution.pods()}
    assert max(posted.values()) <= 1 + sum(lasted > after for after in REPEATS), posted
    for operation in made:
        cost = of(found, "update", "operations/status", operation.name)
        # What lasts longer than two seconds is shown meanwhile.
        assert cost == (2 if "KillCancelling" in operation.phases() else 1), operation.phases()
    # The end of the workflow process is written by itself where operations take longer than that more. By its name: the
    # counts of another test's run may be written as late as now.
    most = 2 + int(lasted > ENOUGH_FOR_ONE) + int(lasted / COUNTS_EVERY)
    assert of(found, "update", "workflowexecutions/status", execution.name) <= most
