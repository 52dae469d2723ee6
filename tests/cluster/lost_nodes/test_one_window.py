"""One window with a stopped kubelet: everything that is no proof, at the true times (30 s).

While the kubelet is stopped the node's processes run on, as /proc of the node shows; whatever happens to their pods,
no run may end. Then one request after another gives a process up, the operator is killed, the node returns, and each
run ends as it should. All executions share the window, which costs two minutes; the tests look at what was seen in it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from tests.cluster.lost_nodes.conftest import LOST
from tests.cluster.lost_nodes.window import (
    AGAIN,
    CASES,
    FORGOTTEN,
    MARGIN,
    POD_GRACE,
    SWEPT,
    Window,
    look_through,
)
from tests.support import proof
from tests.support.lab import TERMINAL, Lab, condition, phase_of
from tests.support.operator_process import OperatorProcess
from tests.support.watching import Object

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def window(place: Lab, host_operator: OperatorProcess, stopped_kubelet: Callable[[], None]) -> Window:
    return look_through(place, host_operator, stopped_kubelet)


OPEN = [*CASES, "given up", "given up, vanished"]


@pytest.mark.conformance("C7", "C15")
@pytest.mark.parametrize("name", [*OPEN, "given up from the start", *SWEPT])
def test_while_nobody_has_noticed_the_process_is_taken_for_alive(name: str, window: Window) -> None:
    case = (CASES | FORGOTTEN | SWEPT)[name]
    early = window.early[name]
    assert early.processes, "it lives in the node's /proc"
    if name in SWEPT:
        return
    assert phase_of(early.held) == case.phase
    assert early.process["state"] == "alive"
    assert "unconfirmed" not in early.held["status"]
    assert not condition(early.held, "NodeLost")


@pytest.mark.conformance("C7", "C14", "C15", "A3")
@pytest.mark.parametrize("name", OPEN)
def test_on_a_lost_node_the_process_is_listed_and_the_phase_stays_open(name: str, window: Window) -> None:
    case = (CASES | FORGOTTEN)[name]
    lost = window.lost[name]
    assert lost.processes, "it lives in the node's /proc"
    assert {process.node for process in lost.processes} == {LOST}
    assert phase_of(lost.held) == case.phase
    assert lost.process["state"] == "unconfirmed"
    (entry,) = lost.held["status"]["unconfirmed"]
    assert (entry["pod"], entry["podUid"]) == (lost.process["pod"], lost.process["podUid"])
    assert (entry["node"], entry["reason"]) == (LOST, "NodeLost")
    node_lost = condition(lost.held, "NodeLost")
    assert node_lost["status"] == "True"
    assert LOST in node_lost["message"]
    assert any(LOST in text for text in lost.held["status"]["waitingOn"])
    assert "endTime" not in lost.held["status"]


@pytest.mark.conformance("C6", "C7", "C15")
def test_a_container_that_waits_on_a_lost_node_is_no_proof_either(window: Window) -> None:
    lost = window.lost["waiting"]
    assert phase_of(lost.held) == "KillCancelling"
    assert lost.process["state"] == "unconfirmed"
    assert "startTime" not in lost.held["status"]
    assert window.deletion["waiting"], "it was deleted, as its container had not started"
    assert phase_of(window.end["waiting"].held) == "Cancelled"
    assert not proof.processes(window.runs["waiting"].marker)


@pytest.mark.conformance("C7")
def test_a_deletion_is_no_proof(window: Window) -> None:
    deleted = {name for name, moment in window.deletion.items() if moment}
    assert {"deleted", "deleted and killed"} <= deleted
    assert {"killed", "forced", "terminated"} <= deleted, "their SIGKILL was due 5 s before"
    assert not deleted & {"running", "cancelled", "vanished", "vanished and killed"}


@pytest.mark.conformance("C7")
@pytest.mark.parametrize("name", OPEN)
def test_a_node_counts_as_lost_once_it_was_not_ready_for_30_seconds(name: str, window: Window) -> None:
    assert window.unready_since is not None
    since = datetime.fromisoformat(window.lost[name].held["status"]["unconfirmed"][0]["since"])
    # The API server's times are whole seconds; the operator learns of them later, on a busy machine some seconds.
    assert 29 <= (since - window.unready_since).total_seconds() < 45


@pytest.mark.conformance("C7", "C14", "H6")
@pytest.mark.parametrize("name", FORGOTTEN)
def test_forget_ends_the_run_and_marks_the_process_unproven(name: str, window: Window) -> None:
    case, given_up = FORGOTTEN[name], window.given_up[name]
    assert given_up.processes, "it lives in the node's /proc, and nobody claims otherwise"
    assert phase_of(given_up.held) == case.end
    assert (given_up.process["state"], given_up.process["reason"]) == ("unproven", "Forgotten")
    assert "was given up without proof of its end" in given_up.held["status"]["failure"]["message"]
    assert "unconfirmed" not in given_up.held["status"]
    statuses = [command["status"] for command in given_up.held["status"]["commands"]]
    assert statuses == (["Accepted"] if name == "given up from the start" else ["Accepted", "Duplicate"])


@pytest.mark.conformance("C4", "C14")
@pytest.mark.parametrize("name", [*CASES, "waiting"])
def test_a_killed_operator_comes_back_to_the_same_open_entries(name: str, window: Window) -> None:
    before, later = window.lost[name], window.later[name]
    assert phase_of(later.held) == phase_of(before.held)
    assert later.held["status"]["unconfirmed"] == before.held["status"]["unconfirmed"]
    assert later.held["status"]["history"] == before.held["status"]["history"]
    assert bool(later.processes) is (name != "waiting")


@pytest.mark.conformance("C8", "C15", "G1", "G9")
@pytest.mark.parametrize("name", CASES)
def test_when_the_node_is_back_each_run_ends_as_it_should(name: str, window: Window) -> None:
    case, end = CASES[name], window.end[name]
    states = [
        seen.object["status"]["processes"][0]["state"]
        for seen in window.runs[name].history()
        if attempt(seen.object) == 1
    ]
    if case.end in TERMINAL:
        assert end.process["state"] == ("gone" if case.proven else "unproven")
        assert end.held["status"]["attempt"] == 1
        assert "unconfirmed" not in end.held["status"]
        assert condition(end.held, "NodeLost")["status"] == "False"
    if case.end == AGAIN:
        types = [entry["type"] for entry in end.held["status"]["history"]]
        assert ("PodDisrupted" if case.proven else "PodVanished") in types
        assert ("unproven" in states) is not case.proven
        assert phase_of(end.held) == "Running"
    if case.end == "Running":
        assert attempt(end.held) == 1
        assert end.held["status"].get("disruptions", 0) == 0


def attempt(held: Object) -> int:
    number: int = held.get("status", {}).get("attempt", 0)
    return number


@pytest.mark.conformance("C7", "C14")
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.proven])
def test_a_vanished_process_is_closed_once_its_node_was_ready_for_its_grace_and_30_seconds(
    name: str, window: Window
) -> None:
    assert window.ready_since is not None
    waited = window.ended_at[name] - window.ready_since.timestamp()
    assert POD_GRACE + MARGIN - 1 <= waited < POD_GRACE + MARGIN + 20


@pytest.mark.parametrize("name", SWEPT)
def test_a_pod_that_vanished_from_a_node_that_is_well_is_closed_as_unproven_after_the_same_time(
    name: str, window: Window
) -> None:
    recorded = [seen for seen in window.runs[name].history() if attempt(seen.object) == 1]
    processes = [seen.object["status"]["processes"][0] for seen in recorded]
    missed = next(process for process in processes if process.get("reason") == "PodMissed")
    closed = next(process for process in processes if process["state"] == "unproven")
    assert {process["state"] for process in processes} == {"alive", "unproven"}
    # By the operator's clock: the test may see the one late, and the other in time.
    waited = (datetime.fromisoformat(closed["since"]) - datetime.fromisoformat(missed["since"])).total_seconds()
    assert POD_GRACE + MARGIN - 1 <= waited < POD_GRACE + MARGIN + 20
    types = [entry["type"] for entry in window.end[name].held["status"]["history"]]
    assert "PodVanished" in types or SWEPT[name].end == "Cancelled"


@pytest.mark.conformance("C8", "C15", "B22")
def test_nothing_is_left_on_any_node(window: Window) -> None:
    left = {name: found for name, run in window.runs.items() if (found := proof.processes(run.marker))}
    assert not left
    assert proof.gone_for_good(window.runs["running"].lab.name), "every marker has the namespace's name in it"
