"""What each end and each stop of a run does to each of its operations: the table, on real processes.

The table is written out here as the design has it, so that no table of the code proves itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.cluster.operations import stories
from tests.cluster.operations.stories import ENDS, WAYS, Sight, Story
from tests.support.lab import TERMINAL, phase_of
from tests.support.operations import STOP_ANNOTATION, Operations

pytestmark = pytest.mark.long

CLOSED, DELETED, STOPPED = "closed, no pod", "deleted before it started", "stop signal, then SIGKILL"
WAITED, LEFT, KEPT = "waited for", "left over", "keeps its outcome"
COLUMNS = ("not_begun", "back_off", "unstarted", "running", "timer")
ALL_CLOSED = (CLOSED, CLOSED, DELETED, STOPPED, CLOSED)
FORCED = (CLOSED, CLOSED, DELETED, LEFT, CLOSED)
TABLE: Mapping[tuple[str, str], tuple[str | None, ...]] = {
    **{(way, "Stop"): ALL_CLOSED for way in (*ENDS, "Terminate", "Kill", "deadline")},
    **{(way, "Wait"): (None, WAITED, WAITED, WAITED, WAITED) for way in ENDS},
    **{(way, "Abandon"): (None, LEFT, LEFT, LEFT, CLOSED) for way in ENDS},
    ("Force", "Stop"): FORCED,
    **{("Force", policy): (None, None, None, LEFT, CLOSED) for policy in ("Wait", "Abandon")},
    **{
        (way, policy): (None, None, None, STOPPED, CLOSED)
        for way in ("Terminate", "Kill", "deadline")
        for policy in ("Wait", "Abandon")
    },
}
CELLS = [
    (way, f"{policy}-{column}", expected)
    for (way, policy), row in TABLE.items()
    for column, expected in zip(COLUMNS, row, strict=True)
    if expected is not None
] + [(way, f"Stop-{done}", KEPT) for way in WAYS for done in ("done", "local")]
END = {
    "natural": "Succeeded",
    "Cancel": "Cancelled",
    "Force": "Cancelled",
    "Terminate": "Terminated",
    "Kill": "Cancelled",
    "deadline": "TimedOut",
}
SOURCE = {"natural": "closed"}
"""Of the record that an operation gets; else it is the run's command."""


@pytest.fixture(scope="module")
def told(operations: Operations) -> Iterator[Mapping[str, Future[Story]]]:
    """The story of each way, all at the same time."""
    # The one with the deadline first, and the other ones' pods after its own: it does not wait.
    runs = {way: stories.start(way, operations) for way in reversed(WAYS)}
    begun = {way: threading.Event() for way in WAYS}
    with ThreadPoolExecutor(len(WAYS)) as pool:
        first = pool.submit(stories.tell, "deadline", operations, runs.pop("deadline"), begun["deadline"])
        begun["deadline"].wait(stories.DEADLINE_SECONDS)
        others = {way: pool.submit(stories.tell, way, operations, run, begun[way]) for way, run in runs.items()}
        yield {"deadline": first, **others}


@pytest.mark.conformance("A27", "B22", "C12", "D1", "D2", "D6", "D7", "D9", "E5", "A3")
@pytest.mark.parametrize(("way", "key", "expected"), CELLS, ids=[f"{way}-{key}" for way, key, _ in CELLS])
def test_each_operation_is_treated_as_the_table_says(
    told: Mapping[str, Future[Story]], way: str, key: str, expected: str
) -> None:
    CHECKS[expected](way, key, told[way].result())


def closed_without_a_pod(way: str, key: str, story: Story) -> None:
    sight = story["closed"]
    cancelled_once(way, key, sight)
    # One in back-off has the pod of the attempt before.
    assert len(sight.pods[key]) == len(story["working"].pods[key])
    assert sight.running[key] == 0
    if key.endswith("not_begun"):
        assert sight.pods[key] == []
        assert "attempt" not in sight.operations[key]["status"]


def deleted_before_it_started(way: str, key: str, story: Story) -> None:
    sight = story["closed"]
    cancelled_once(way, key, sight)
    assert not any(c.state.running or c.started for pod in sight.pods[key] for c in pod.status.container_statuses or ())
    assert "startTime" not in sight.operations[key]["status"]
    assert sight.running[key] == 0


def stopped(way: str, key: str, story: Story) -> None:
    sight = story["closed"]
    assert story["working"].running[key] == 1
    cancelled_once(way, key, sight)
    assert sight.running[key] == 0
    log = sight.logs.get(key)
    assert log is None or log.count("heard") == 1
    (process,) = sight.operations[key]["status"]["processes"]
    assert (process["state"], process.get("exitCode", 137)) == ("gone", 137)
    assert sight.operations[key]["status"]["cancellation"]["gracePeriodSeconds"] == stories.OWN_GRACE
    assert len(sight.pods[key]) <= 1


def waited_for(way: str, key: str, story: Story) -> None:
    sight = story["ended"]
    goes_on(key, story["working"], sight)
    assert phase_of(sight.run) not in TERMINAL
    (waits,) = sight.run["status"]["waitingOn"]
    assert waits.startswith("4 operations, which are open and which the run waits for; a Kill ends them: Wait-")
    after = story["closed"].operations[key]["status"]
    if key.endswith("running"):
        assert after["phase"] == "Succeeded"
        assert "heard" not in (story["closed"].logs[key] or "")
    else:
        assert after["phase"] == "Cancelled"
        assert [command["source"] for command in after["commands"]] == ["api"]


def left_over(way: str, key: str, story: Story) -> None:
    goes_on(key, story["working"], story["closed"])


def keeps_its_outcome(way: str, key: str, story: Story) -> None:
    first, last = story["working"], story["reaped" if "reaped" in story else "closed"]
    assert phase_of(last.operations[key]) == "Succeeded"
    assert last.operations[key]["status"]["endTime"] == first.operations[key]["status"]["endTime"]
    assert last.operations[key]["status"].get("commands", []) == []
    assert sum(1 for c in last.operations[key]["status"]["history"]) == len(first.operations[key]["status"]["history"])


CHECKS: Mapping[str, Callable[[str, str, Story], None]] = {
    CLOSED: closed_without_a_pod,
    DELETED: deleted_before_it_started,
    STOPPED: stopped,
    WAITED: waited_for,
    LEFT: left_over,
    KEPT: keeps_its_outcome,
}


def goes_on(key: str, before: Sight, after: Sight) -> None:
    """Nothing has been done to it."""
    status = after.operations[key]["status"]
    assert phase_of(after.operations[key]) == phase_of(before.operations[key])
    assert status.get("commands", []) == []
    assert after.running[key] == before.running[key] == (1 if key.endswith("running") else 0)
    assert names(after.pods[key]) == names(before.pods[key])
    assert not any(STOP_ANNOTATION in pod.metadata.annotations for pod in after.pods[key])
    assert not any(pod.metadata.deletion_timestamp for pod in after.pods[key])
    for field in ("nextAttemptAt", "dueAt", "attempt"):
        assert status.get(field) == before.operations[key]["status"].get(field)


def names(pods: list[Any]) -> list[str]:
    """Which pods these are."""
    return sorted(pod.metadata.name for pod in pods)


def cancelled_once(way: str, key: str, sight: Sight) -> None:
    """It is Cancelled by one command, which is its run's, and one entry of the run's history says so."""
    status = sight.operations[key]["status"]
    assert status["phase"] == "Cancelled"
    (record,) = status["commands"]
    assert (record["source"], record["mode"], record["status"]) == (SOURCE.get(way, "run"), "Kill", "Accepted")
    run = sight.run["status"]
    if way != "natural":
        assert record["id"] == next(c["id"] for c in run["commands"] if c["status"] == "Accepted")
    kind = "TimerCancelled" if key.endswith("timer") else "OperationCancelled"
    entries = [e for e in run["history"] if e.get("operation") == key]
    assert [(e["type"], e["commandId"]) for e in entries] == [(kind, record["id"])]
    assert run["history"][-1]["type"] == f"Workflow{ENTRY[way]}"


ENTRY = {way: "Completed" if phase == "Succeeded" else phase for way, phase in END.items()}


@pytest.mark.conformance("D9")
@pytest.mark.parametrize("way", WAYS)
def test_the_run_ends_as_it_should_and_counts_what_it_has_left(told: Mapping[str, Future[Story]], way: str) -> None:
    story = told[way].result()
    sight = story["closed"]
    left = {key for cell, key, expected in CELLS if cell == way and expected == LEFT}
    status = sight.run["status"]
    assert status["phase"] == END[way]
    counts = status["operations"]
    assert (counts.get("open", 0), counts.get("leftOver", 0), counts.get("late", 0)) == (0, len(left), 0)
    assert status["canKill"] is bool(left)
    assert {key for key, count in sight.running.items() if count} == {key for key in left if key.endswith("running")}
    times = [entry["time"] for entry in status["history"] if entry["type"] in ("OperationCancelled", "TimerCancelled")]
    assert times == sorted(times)


def test_cancel_tells_the_workflow_process_and_leaves_its_operations_to_it(told: Mapping[str, Future[Story]]) -> None:
    story = told["Cancel"].result()
    for key in story["working"].operations:
        if not key.endswith(("done", "local")):
            goes_on(key, story["working"], story["told"])


@pytest.mark.conformance("A9", "A10")
@pytest.mark.parametrize("way", [*ENDS, "Force"])
def test_a_kill_of_the_ended_run_reaps_what_was_left_and_changes_nothing_of_its_end(
    told: Mapping[str, Future[Story]], way: str
) -> None:
    story = told[way].result()
    before, after = story["closed"].run["status"], story["reaped"].run["status"]
    for field in ("phase", "closedReason", "endTime", "failure"):
        assert after.get(field) == before.get(field)
    assert after["commands"][-1]["mode"] == "Kill"
    assert (after["operations"].get("leftOver", 0), after["canKill"]) == (0, False)
    assert not any(story["reaped"].running.values())
    for cell, key, expected in CELLS:
        if cell == way and expected == LEFT:
            status = story["reaped"].operations[key]["status"]
            assert status["phase"] == "Cancelled"
            assert [command["id"] for command in status["commands"]] == [after["commands"][-1]["id"]]
    reaped = {
        e["operation"]
        for e in after["history"]
        if e.get("commandId") == after["commands"][-1]["id"] and "operation" in e
    }
    assert reaped == {key for cell, key, expected in CELLS if cell == way and expected == LEFT}
