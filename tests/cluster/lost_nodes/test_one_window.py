"""One window with a stopped kubelet: everything that is no proof, at the true times (30 s).

While the kubelet is stopped the node's processes run on, as /proc of the node shows; whatever happens to their pods,
no run may end. Then one request after another gives a process up, the operator is killed, the node returns, and each
run ends as it should. All executions share the window, which costs two minutes; the tests look at what was seen in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from hack.cluster.api import Process, start_kubelet
from tests.cluster.lost_nodes import deeds
from tests.cluster.lost_nodes.conftest import LOST, OTHER
from tests.support import programs, proof
from tests.support.lab import TERMINAL, Execution, Lab, condition, phase_of, template
from tests.support.nodes import wait_for_ready
from tests.support.operator_process import OperatorProcess
from tests.support.spaces import shared
from tests.support.watching import Object

POD_GRACE = 2
MARGIN = 30
PHASE_OF = {
    None: "Running",
    "Cancel": "Cancelling",
    "Force": "ForceCancelling",
    "Terminate": "Terminating",
    "Kill": "KillCancelling",
}
AGAIN = "run again"


@dataclass(frozen=True)
class Case:
    """What happens to one execution while its node is lost, and what becomes of it when the node is back."""

    mode: str | None
    deed: deeds.Deed
    end: str
    """Its terminal phase, or AGAIN: another attempt; or Running: as if nothing had been."""
    proven: bool = True
    source: str = programs.DEAF

    @property
    def phase(self) -> str:
        """While nothing is proven."""
        return PHASE_OF[self.mode]


CASES = {
    "running": Case(None, deeds.nothing, "Running"),
    "cancelled": Case("Cancel", deeds.nothing, "Cancelled", source=programs.POLITE),
    "forced": Case("Force", deeds.nothing, "Cancelled"),
    "terminated": Case("Terminate", deeds.nothing, "Terminated"),
    "killed": Case("Kill", deeds.nothing, "Cancelled"),
    "deleted": Case(None, deeds.delete, AGAIN),
    "deleted and killed": Case("Kill", deeds.delete, "Cancelled"),
    "vanished": Case(None, deeds.force_delete, AGAIN, proven=False),
    "vanished and cancelled": Case("Cancel", deeds.force_delete, "Cancelled", proven=False),
    "vanished and killed": Case("Kill", deeds.force_delete, "Cancelled", proven=False),
    "collected": Case(None, deeds.collect, AGAIN),
    # The API server removes a pod of a terminal phase at once when it is deleted.
    "collected and terminated": Case("Terminate", deeds.collect, "Terminated", proven=False),
    "out of sight": Case("Kill", deeds.lose_sight, "Cancelled"),
}
FORGOTTEN = {
    "given up": Case("Kill", deeds.nothing, "Cancelled", proven=False),
    "given up, vanished": Case("Terminate", deeds.force_delete, "Terminated", proven=False),
    "given up from the start": Case("Kill", deeds.nothing, "Cancelled", proven=False),
}
SWEPT = {
    "swept": Case(None, deeds.force_delete, AGAIN, proven=False),
    "swept and killed": Case("Kill", deeds.force_delete, "Cancelled", proven=False),
}
"""Force-deleted on a node that is well: its kubelet ends what it finds, and nobody says so any more."""


@dataclass(frozen=True)
class Shot:
    """One execution at one time: the object, and its live processes on the node."""

    held: Object
    processes: tuple[Process, ...]

    @property
    def process(self) -> dict[str, Any]:
        """Its entry in status.processes."""
        found: dict[str, Any] = self.held["status"]["processes"][0]
        return found


@dataclass
class Window:
    """All that was seen."""

    runs: dict[str, Execution] = field(default_factory=dict)
    early: dict[str, Shot] = field(default_factory=dict)
    """The kubelet is stopped, and nobody has noticed yet."""
    lost: dict[str, Shot] = field(default_factory=dict)
    """The node counts as lost."""
    given_up: dict[str, Shot] = field(default_factory=dict)
    later: dict[str, Shot] = field(default_factory=dict)
    """After the operator was killed and started again."""
    end: dict[str, Shot] = field(default_factory=dict)
    ended_at: dict[str, float] = field(default_factory=dict)
    deletion: dict[str, Any] = field(default_factory=dict)
    """The pods' deletionTimestamps while the node was lost."""
    unready_since: datetime | None = None
    ready_since: datetime | None = None


def shot(execution: Execution) -> Shot:
    return Shot(execution.get(), tuple(proof.workflow_processes(execution.marker)))


@pytest.fixture(scope="module")
def place(host_operator: OperatorProcess, api: Any, request: pytest.FixtureRequest) -> Iterator[Lab]:
    with shared(request, api, host_operator) as lab:
        yield lab


@pytest.fixture(scope="module")
def window(place: Lab, host_operator: OperatorProcess, stopped_kubelet: Callable[[], None]) -> Window:
    seen = Window()
    open_(place, seen, stopped_kubelet)
    lose(place, seen)
    host_operator.kill()
    host_operator.start()
    seen.later = {name: shot(seen.runs[name]) for name in (*CASES, "waiting")}
    give_back(place, seen)
    return seen


def start(lab: Lab, name: str, case: Case, node: str = LOST) -> Execution:
    marker = f"mark-{name.replace(' ', '-').replace(',', '')}-{lab.name}"
    command = programs.command(case.source, marker)
    made = template(command, nodeSelector={"kubernetes.io/hostname": node}, terminationGracePeriodSeconds=POD_GRACE)
    return lab.create({"workflowSpec": {"template": made, "stopPolicy": {"gracePeriodSeconds": 1}}}, marker)


def open_(lab: Lab, seen: Window, stop: Callable[[], None]) -> None:
    """Everything runs; the kubelet is stopped; everything is asked and done at once."""
    seen.runs = {name: start(lab, name, case) for name, case in (CASES | FORGOTTEN).items()}
    seen.runs |= {name: start(lab, name, case, OTHER) for name, case in SWEPT.items()}
    for execution in seen.runs.values():
        execution.wait_for("Running", 120)
    stop()
    seen.runs["waiting"] = start(lab, "waiting", Case("Kill", deeds.nothing, "Cancelled"))
    seen.runs["waiting"].wait_for(lambda held: bool(held["status"].get("processes", [{}])[0].get("node")))
    for name, case in SWEPT.items():
        case.deed(seen.runs[name])
        seen.early[name] = shot(seen.runs[name])
    for name, case in (CASES | FORGOTTEN).items():
        case.deed(seen.runs[name])
    for name, case in (CASES | FORGOTTEN | SWEPT).items():
        if case.mode:
            forget = {"onLostNode": "Forget"} if name == "given up from the start" else {}
            seen.runs[name].stop(case.mode, reason=name, **forget)
    seen.runs["waiting"].stop("Kill")
    for name, case in (CASES | FORGOTTEN | SWEPT).items():
        seen.runs[name].wait_for(lambda held, case=case: settled(held, case))  # type: ignore[misc]  # case is bound
    seen.runs["waiting"].wait_for("KillCancelling")
    for name in (*CASES, *FORGOTTEN, "waiting"):
        seen.early[name] = shot(seen.runs[name])


def settled(held: Object, case: Case) -> bool:
    """Whether the request was judged, and a pod that has vanished is missed."""
    vanished = case.deed is deeds.force_delete
    return phase_of(held) == case.phase and (
        not vanished or held["status"]["processes"][0].get("reason") == "PodMissed"
    )


def lose(lab: Lab, seen: Window) -> None:
    """The node counts as lost; what is to be given up is given up."""
    seen.unready_since = wait_for_ready(lab.core, LOST, ready=False)
    for name in (*CASES, "given up", "given up, vanished", "waiting"):
        seen.runs[name].wait_for(lambda held: bool(held["status"].get("unconfirmed")), 45)
        seen.lost[name] = shot(seen.runs[name])
    for name in (*CASES, "waiting"):
        pods = seen.runs[name].pods()
        seen.deletion[name] = pods[0].metadata.deletion_timestamp if pods else None
    for name, case in FORGOTTEN.items():
        if name != "given up from the start":
            seen.runs[name].stop(case.mode or "", reason=name, onLostNode="Forget")
    for name, case in FORGOTTEN.items():
        seen.runs[name].wait_for(case.end)
        seen.given_up[name] = shot(seen.runs[name])


def give_back(lab: Lab, seen: Window) -> None:
    """The node returns; everything ends as it should."""
    start_kubelet(LOST)
    seen.ready_since = wait_for_ready(lab.core, LOST, ready=True)
    for name, case in (CASES | SWEPT | {"waiting": CASES["killed"]}).items():
        came = seen.runs[name].wait_for(lambda held, case=case: became(held, case.end), 90)  # type: ignore[misc]  # case is bound
        seen.end[name], seen.ended_at[name] = Shot(came.object, ()), came.at
    for name, case in (CASES | SWEPT).items():
        if case.end not in TERMINAL:
            seen.runs[name].stop("Kill", reason="tidy up")
            seen.runs[name].wait_for("Cancelled", 60)


def became(held: Object, end: str) -> bool:
    """Whether it is what it should become when the node is back."""
    status = held.get("status", {})
    if end == "Running":
        lost = condition(held, "NodeLost")
        return lost.get("status") == "False" and status["processes"][0]["state"] == "alive"
    return status.get("attempt") == 2 if end == AGAIN else phase_of(held) == end


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
    # The API server's times are whole seconds.
    assert 29 <= (since - window.unready_since).total_seconds() < 36


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
    assert POD_GRACE + MARGIN - 1 <= waited < POD_GRACE + MARGIN + 10


@pytest.mark.parametrize("name", SWEPT)
def test_a_pod_that_vanished_from_a_node_that_is_well_is_closed_as_unproven_after_the_same_time(
    name: str, window: Window
) -> None:
    recorded = [seen for seen in window.runs[name].history() if attempt(seen.object) == 1]
    missed = next(seen for seen in recorded if seen.object["status"]["processes"][0].get("reason") == "PodMissed")
    closed = next(seen for seen in recorded if seen.object["status"]["processes"][0]["state"] == "unproven")
    assert {seen.object["status"]["processes"][0]["state"] for seen in recorded} == {"alive", "unproven"}
    assert POD_GRACE + MARGIN - 1 <= closed.at - missed.at < POD_GRACE + MARGIN + 10
    types = [entry["type"] for entry in window.end[name].held["status"]["history"]]
    assert "PodVanished" in types or SWEPT[name].end == "Cancelled"


@pytest.mark.conformance("C8", "C15", "B22")
def test_nothing_is_left_on_any_node(window: Window) -> None:
    left = {name: found for name, run in window.runs.items() if (found := proof.processes(run.marker))}
    assert not left
    assert proof.gone_for_good(window.runs["running"].lab.name), "every marker has the namespace's name in it"
