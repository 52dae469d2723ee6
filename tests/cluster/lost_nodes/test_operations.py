"""A node is lost while operations run on it, or while their workflow process does: nothing is claimed, nothing is lost.

One window with a stopped kubelet, through which all runs go at once. The processes on the node run on meanwhile, as its
/proc shows. One run is killed and waits for the node; of two others what was on the node is given up; one has lost its
workflow process alone; one is not stopped at all. What was given up reports its result while nobody can hear it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from hack.cluster.api import start_kubelet
from tests.cluster.lost_nodes.conftest import LOST, OTHER
from tests.support import programs, proof
from tests.support.lab import TERMINAL, Execution, condition, phase_of, template
from tests.support.logs import wait_for_log, wait_until_started
from tests.support.nodes import wait_for_ready
from tests.support.operations import Author, Operation, Operations, signal_user
from tests.support.sight import HOSTNAME
from tests.support.watching import Object

REPORTS_WHEN_ASKED = """
import json, os, signal, sys, time
def report(number, frame):
    with open(os.environ["DESIST_OUTCOME"], "w") as file:
        json.dump({"outcome": "Succeeded", "result": {"charged": 12}}, file)
    sys.exit(0)
signal.signal(signal.SIGUSR1, report)
signal.signal(signal.SIGTERM, lambda *_: None)
print("started", flush=True)
while True:
    time.sleep(3600)
"""
PATIENCE = 120.0
LOST_AFTER = 8
"""Seconds that the node is not Ready before it counts as lost."""
COUNTED_LATE = 45.0
"""Seconds until it counts as lost, as counts are written once in ten."""


@dataclass(frozen=True)
class Case:
    """One run, what runs where, and what is asked of it."""

    far: int = 1
    """Operations on the lost node."""
    near: int = 0
    mode: str | None = "Kill"
    node: str = OTHER
    """Of the workflow process."""
    source: str = programs.DEAF
    """Of the operations on the lost node."""
    close_policy: str = "Stop"
    forgets: bool = False


CASES = {
    "killed": Case(far=2, near=1),
    "forgotten": Case(source=REPORTS_WHEN_ASKED, forgets=True),
    "waited for": Case(mode="Cancel", close_policy="Wait", forgets=True),
    "own node": Case(far=0, near=1, node=LOST),
    "running": Case(mode=None),
}
FORGOTTEN = [name for name, case in CASES.items() if case.forgets]


@dataclass(frozen=True)
class Sight:
    """What there is of one run at one moment."""

    run: Object
    operations: dict[str, Object]
    alive: dict[str, str]
    """The node of each live process, by the operation's key; the workflow process's is the empty one."""


@dataclass
class Window:
    """All that was seen."""

    runs: dict[str, Execution] = field(default_factory=dict)
    asked: dict[str, dict[str, Operation]] = field(default_factory=dict)
    lost: dict[str, Sight] = field(default_factory=dict)
    given_up: dict[str, Sight] = field(default_factory=dict)
    end: dict[str, Sight] = field(default_factory=dict)
    said: str = ""
    """The Event about the result that came too late."""


@pytest.fixture(scope="module")
def operator_environment() -> dict[str, str]:
    """The node counts as lost sooner than by default; the default itself is held by test_one_window.py."""
    return {"DESIST_NODE_LOST_AFTER_SECONDS": str(LOST_AFTER)}


@pytest.fixture(scope="module")
def window(operations: Operations, stopped_kubelet: Callable[[], None]) -> Window:
    """From the start of all runs to their ends; the node is back when it returns."""
    seen = Window()
    seen.runs = {name: start(operations, name, case) for name, case in CASES.items()}
    seen.asked = {name: ask(operations, seen.runs[name], case) for name, case in CASES.items()}
    for asked in seen.asked.values():
        for operation in asked.values():
            operation.wait_for("Running", PATIENCE)
            wait_for_log(operation, "started")
    stopped_kubelet()
    lose(seen)
    give_up(seen)
    start_kubelet(LOST)
    wait_for_ready(operations.lab.core, LOST, ready=True)
    come_back(seen)
    return seen


def start(operations: Operations, name: str, case: Case) -> Execution:
    marker = f"mark-{name.replace(' ', '-')}-{operations.lab.name}"
    made = template(programs.command(programs.POLITE, marker), nodeSelector={HOSTNAME: case.node})
    spec = {"template": made, "stopPolicy": {"gracePeriodSeconds": 1}}
    return operations.lab.create({"workflowSpec": spec}, marker)


def ask(operations: Operations, execution: Execution, case: Case) -> dict[str, Operation]:
    wait_until_started(execution, 120)
    author = Author.of(operations, execution)
    wanted = [(f"far-{n}", LOST, case.source) for n in range(case.far)]
    wanted += [(f"near-{n}", OTHER, programs.DEAF) for n in range(case.near)]
    return {
        key: author.runs(key, source, {"nodeSelector": {HOSTNAME: node}}, closePolicy=case.close_policy)
        for key, node, source in wanted
    }


def look(seen: Window, name: str) -> Sight:
    marker = seen.runs[name].marker
    alive = {p.arguments[-1].removeprefix(marker).removeprefix("-"): p.node for p in proof.workflow_processes(marker)}
    return Sight(seen.runs[name].get(), {key: op.get() for key, op in seen.asked[name].items()}, alive)


def lose(seen: Window) -> None:
    """Everything is asked, the node counts as lost, and each run says so."""
    for name, case in CASES.items():
        if case.mode:
            seen.runs[name].stop(case.mode, reason=name)
    for name, case in CASES.items():
        wanted = case.far or 1
        seen.runs[name].wait_for(lambda held, n=wanted: unconfirmed(held) == n, COUNTED_LATE + 60)  # type: ignore[misc]  # n is bound
        seen.lost[name] = look(seen, name)


def give_up(seen: Window) -> None:
    """What is not waited for ends without proof; then one of them reports."""
    for name in FORGOTTEN:
        seen.runs[name].stop(CASES[name].mode or "", reason=name, onLostNode="Forget")
    for name in FORGOTTEN:
        seen.runs[name].wait_for("Cancelled")
        seen.given_up[name] = look(seen, name)
    marker = seen.asked["forgotten"]["far-0"].marker
    signal_user(marker)
    proof.wait_until_gone(marker)


def come_back(seen: Window) -> None:
    """Each run ends as it should, and the late result is told."""
    for name in ("killed", "own node"):
        seen.runs[name].wait_for("Cancelled")
    seen.said = seen.asked["forgotten"]["far-0"].wait_for_event("LateResult", 60)
    running = seen.asked["running"]["far-0"]
    running.wait_for(lambda held: condition(held, "NodeLost").get("status") == "False")
    for name in CASES:
        seen.end[name] = look(seen, name)
    seen.runs["running"].stop("Kill", gracePeriodSeconds=1)
    seen.runs["running"].wait_for("Cancelled")


def unconfirmed(held: Object) -> int:
    """How many processes are listed."""
    return sum(entry.get("count", 1) for entry in held["status"].get("unconfirmed", ()))


def process(held: Object) -> dict[str, Any]:
    """The current attempt's."""
    found: dict[str, Any] = held["status"]["processes"][0]
    return found


@pytest.mark.conformance("C7", "C14", "C15", "A3")
def test_a_killed_run_waits_for_its_operations_on_a_lost_node_and_names_node_and_count(window: Window) -> None:
    lost = window.lost["killed"]
    status = lost.run["status"]
    assert lost.alive == {"far-0": LOST, "far-1": LOST}, "what is elsewhere has ended, the workflow process too"
    assert phase_of(lost.run) == "KillCancelling"
    (entry,) = status["unconfirmed"]
    assert (entry["node"], entry["reason"], entry["count"]) == (LOST, "NodeLost", 2)
    assert any(text.startswith("2 operations, which are open") for text in status["waitingOn"])
    assert any(f"on node {LOST}, which does not answer" in text for text in status["waitingOn"])
    assert condition(lost.run, "NodeLost")["status"] == "True"
    assert phase_of(lost.operations["near-0"]) == "Cancelled"
    for key in ("far-0", "far-1"):
        assert phase_of(lost.operations[key]) == "KillCancelling"
        assert process(lost.operations[key])["state"] == "unconfirmed"


@pytest.mark.conformance("C7", "C14", "E11")
def test_a_run_that_nobody_stops_goes_on_and_says_that_its_operation_is_on_a_lost_node(window: Window) -> None:
    lost, end = window.lost["running"], window.end["running"]
    assert phase_of(lost.run) == phase_of(end.run) == "Running"
    (entry,) = lost.run["status"]["unconfirmed"]
    assert (entry["node"], entry["count"]) == (LOST, 1)
    assert process(lost.operations["far-0"])["state"] == "unconfirmed"
    assert process(end.operations["far-0"])["state"] == "alive"
    assert (end.alive["far-0"], end.operations["far-0"]["status"]["attempt"]) == (LOST, 1)


@pytest.mark.conformance("C7", "C15", "A3")
def test_a_kill_ends_operations_while_the_node_of_their_workflow_process_is_lost(window: Window) -> None:
    lost, end = window.lost["own node"], window.end["own node"]
    assert phase_of(lost.run) == "KillCancelling"
    assert lost.alive == {"": LOST}
    (entry,) = lost.run["status"]["unconfirmed"]
    assert (entry["node"], entry["pod"]) == (LOST, process(lost.run)["pod"])
    assert "count" not in entry
    assert "endTime" not in lost.run["status"]
    assert phase_of(lost.operations["near-0"]) == "Cancelled"
    assert (phase_of(end.run), process(end.run)["state"]) == ("Cancelled", "gone")


@pytest.mark.conformance("C7", "C14", "H6")
@pytest.mark.parametrize("name", FORGOTTEN)
def test_the_forget_of_a_run_counts_for_its_operations(name: str, window: Window) -> None:
    given_up = window.given_up[name]
    assert given_up.alive == {"far-0": LOST}, "it lives in the node's /proc, and nobody claims otherwise"
    assert phase_of(given_up.run) == "Cancelled"
    held = given_up.operations["far-0"]
    assert (phase_of(held), process(held)["state"], process(held)["reason"]) == ("Cancelled", "unproven", "Forgotten")
    (record,) = held["status"]["commands"]
    assert (record["source"], record["id"]) == ("run", given_up.run["status"]["commands"][0]["id"])
    entries = [entry for entry in given_up.run["status"]["history"] if entry.get("operation") == "far-0"]
    assert [entry["type"] for entry in entries] == ["OperationCancelled"]


@pytest.mark.conformance("C7", "C14")
def test_a_cancelled_run_that_waits_for_an_operation_on_a_lost_node_says_what_ends_the_wait(window: Window) -> None:
    lost = window.lost["waited for"]
    assert phase_of(lost.run) == "Cancelling"
    assert lost.run["status"]["endTime"]
    assert phase_of(lost.operations["far-0"]) == "Running"
    assert any("onLostNode: Forget" in text for text in lost.run["status"]["waitingOn"])


@pytest.mark.conformance("D10", "D9")
def test_a_result_that_turns_up_after_the_close_is_not_recorded_and_said_in_an_event(window: Window) -> None:
    before, after = (sights["forgotten"] for sights in (window.given_up, window.end))
    status = after.operations["far-0"]["status"]
    assert status["phase"] == "Cancelled"
    assert "result" not in status
    for kept in ("endTime", "failure", "history", "commands"):
        assert status[kept] == before.operations["far-0"]["status"][kept]
    found = process(after.operations["far-0"])
    assert (found["state"], found["reason"], found["exitCode"]) == ("gone", "EndedAfterClose", 0)
    assert found["pod"] in window.said
    assert "not recorded" in window.said
    assert after.run["status"]["history"] == before.run["status"]["history"]


@pytest.mark.conformance("C8", "C15", "D1", "A3")
def test_when_the_node_is_back_the_killed_run_ends_with_proof(window: Window) -> None:
    end = window.end["killed"]
    assert phase_of(end.run) == "Cancelled"
    assert "unconfirmed" not in end.run["status"]
    assert end.alive == {}
    for held in end.operations.values():
        assert phase_of(held) in TERMINAL
        assert process(held)["state"] == "gone"
    closed = {e["operation"] for e in end.run["status"]["history"] if e["type"] == "OperationCancelled"}
    assert closed == {"far-0", "far-1", "near-0"}


@pytest.mark.conformance("C15", "B22")
def test_nothing_is_left_on_any_node(window: Window) -> None:
    for name in FORGOTTEN:
        # Nobody in the API tells of the end of what was given up.
        proof.wait_until_gone(window.runs[name].marker)
    assert proof.gone_for_good(window.runs["killed"].lab.name), "every marker has the namespace's name in it"
