"""Every cell of the acceptance table, tried with kubectl on the real cluster.

The phases in between are short, so they are held open: the processes run on a node whose kubelet is stopped, so that
nothing can be proven and no run may end. When it runs again, each run must end as its strongest mode says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from subprocess import CompletedProcess
from typing import Any

import pytest

from hack.cluster.api import start_kubelet
from tests.cluster.stops.conftest import LOST, on_lost_node
from tests.support import programs, proof
from tests.support.lab import Execution, Lab, phase_of, template
from tests.support.logs import wait_until_started
from tests.support.quotas import no_pods

Kubectl = Callable[..., CompletedProcess[str]]
MODES = ("Cancel", "Force", "Terminate", "Kill")
PHASE_OF = {
    "Cancel": "Cancelling",
    "Force": "ForceCancelling",
    "Terminate": "Terminating",
    "Kill": "KillCancelling",
}
END_OF = {"Cancel": "Cancelled", "Force": "Cancelled", "Terminate": "Terminated", "Kill": "Cancelled"}
TABLE = {
    "Running": ("Cancelling", "ForceCancelling", "Terminating", "KillCancelling"),
    "Pending with a pod": ("Cancelling", "ForceCancelling", "Terminating", "KillCancelling"),
    "Cancelling": ("dup", "ForceCancelling", "Terminating", "KillCancelling"),
    "ForceCancelling": ("x", "dup", "Terminating", "KillCancelling"),
    "Terminating": ("x", "x", "dup", "KillCancelling"),
    "KillCancelling": ("x", "x", "x", "dup"),
}
HELD = [(phase, mode, TABLE[phase][MODES.index(mode)]) for phase in TABLE for mode in MODES]


@dataclass
class Cell:
    """One cell: what was asked, and what came of it."""

    execution: Execution
    first: str | None
    mode: str
    answer: CompletedProcess[str] | None = None
    after: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)


def patch(kubectl: Kubectl, execution: Execution, mode: str, reason: str) -> CompletedProcess[str]:
    body = json.dumps({"spec": {"cancellation": {"mode": mode, "reason": reason}}})
    return kubectl("-n", execution.lab.name, "patch", "wfx", execution.name, "--type", "merge", "-p", body)


def commands(held: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = held.get("status", {}).get("commands", [])
    return found


@pytest.fixture(scope="module")
def held(
    shared_lab: Lab, kubectl: Kubectl, stopped_kubelet: Callable[[], None]
) -> Iterator[dict[tuple[str, str], Cell]]:
    """All cells of the phases that are held open, asked in one window with a stopped kubelet, and ended after it."""
    cells: dict[tuple[str, str], Cell] = {}
    for phase, mode, _ in HELD:
        if phase != "Pending with a pod":
            first = next((m for m in MODES if PHASE_OF[m] == phase), None)
            cells[phase, mode] = Cell(start(shared_lab), first, mode)
    for cell in cells.values():
        wait_until_started(cell.execution, 120)
    stopped_kubelet()
    for mode in MODES:
        cells["Pending with a pod", mode] = Cell(start(shared_lab), None, mode)
    for mode in MODES:
        pending = cells["Pending with a pod", mode].execution
        pending.wait_for(lambda seen: any(p.get("podUid") for p in seen.get("status", {}).get("processes", [])))
    for cell in cells.values():
        if cell.first:
            patch(kubectl, cell.execution, cell.first, "first")
    for cell in cells.values():
        if cell.first:
            cell.execution.wait_for(PHASE_OF[cell.first])
    for (phase, mode), cell in cells.items():
        ask(kubectl, cell, TABLE[phase][MODES.index(mode)])
    assert all(proof.processes(c.execution.marker) for (p, _), c in cells.items() if p != "Pending with a pod")
    start_kubelet(LOST)
    for cell in cells.values():
        cell.end = cell.execution.wait_for(ended, 180).object
    yield cells


def start(lab: Lab) -> Execution:
    marker = f"mark-{len(lab.executions)}-{lab.name}"
    spec = template(programs.command(programs.DEAF, marker), **on_lost_node())
    return lab.create({"workflowSpec": {"template": spec, "stopPolicy": {"gracePeriodSeconds": 1}}}, marker)


def ask(kubectl: Kubectl, cell: Cell, expected: str) -> None:
    before = len(commands(cell.execution.get()))
    cell.answer = patch(kubectl, cell.execution, cell.mode, "second")
    if expected == "x":
        cell.after = cell.execution.get()
    else:
        cell.after = cell.execution.wait_for(lambda seen: len(commands(seen)) > before).object
    if cell.mode == "Cancel" or (cell.first == "Cancel" and expected == "dup"):
        # The program ignores SIGTERM: without a Kill it would never end.
        patch(kubectl, cell.execution, "Kill", "tidy up")


def ended(seen: dict[str, Any]) -> bool:
    return phase_of(seen) in ("Cancelled", "Terminated", "Succeeded", "Failed", "TimedOut")


@pytest.mark.conformance("A1", "A2", "A3", "A4", "A6", "A7", "B12", "H6", "H13")
@pytest.mark.parametrize(("phase", "mode", "expected"), HELD)
def test_each_mode_in_each_open_phase_does_what_the_table_says(
    phase: str, mode: str, expected: str, held: dict[tuple[str, str], Cell]
) -> None:
    cell = held[phase, mode]
    assert cell.answer is not None
    if expected == "x":
        assert cell.answer.returncode == 1, cell.answer.stdout
        said = cell.answer.stderr
        assert re.search(rf"being stopped with mode {cell.first}; .* cannot become {mode}; allowed: ", said), said
        assert phase_of(cell.after) == phase
        assert len(commands(cell.after)) == 1
        return
    record = commands(cell.after)[-1]
    assert cell.answer.returncode == 0, cell.answer.stderr
    assert record["mode"] == mode
    if expected == "dup":
        assert record["status"] == "Duplicate"
        assert record["id"] == commands(cell.after)[0]["id"]
        assert phase_of(cell.after) == phase
    else:
        assert record["status"] == "Accepted"
        assert phase_of(cell.after) == expected
        assert [c["supersededBy"] for c in commands(cell.after)[:-1]] == [record["id"]] * (
            len(commands(cell.after)) - 1
        )


@pytest.mark.conformance("A5", "B1", "B7", "B22", "C8", "C12", "C15", "G1", "G2")
@pytest.mark.parametrize(("phase", "mode", "expected"), HELD)
def test_each_run_ends_as_its_strongest_mode_says_and_nothing_is_left(
    phase: str, mode: str, expected: str, held: dict[tuple[str, str], Cell]
) -> None:
    cell = held[phase, mode]
    in_force = [c["mode"] for c in commands(cell.end) if c["status"] == "Accepted"][-1]
    # A process that dies of SIGKILL under Cancel-then-Kill ends as the Kill says.
    assert phase_of(cell.end) == END_OF[in_force]
    assert not proof.processes(cell.execution.marker)
    accepted = [c for c in commands(cell.end) if c["status"] == "Accepted"]
    assert {c["outcome"] for c in accepted} == {cell.end["status"]["closedReason"]}
    phases = cell.execution.phases()
    assert phases == [p for p in (*TABLE_ORDER, phases[-1]) if p in phases], "phases never go backwards"
    entries = cell.end["status"]["history"]
    assert [e["seq"] for e in entries] == sorted({e["seq"] for e in entries})
    assert entries[-1]["commandId"] == accepted[-1]["id"]


@pytest.mark.conformance("C15")
def test_nothing_of_any_cell_is_alive_some_seconds_later(held: dict[tuple[str, str], Cell], shared_lab: Lab) -> None:
    assert len(held) == len(HELD)
    assert proof.gone_for_good(f"-{shared_lab.name}")


TABLE_ORDER = ("Pending", "Running", "Cancelling", "ForceCancelling", "Terminating", "KillCancelling")


@pytest.mark.conformance("B2", "B9")
@pytest.mark.parametrize("mode", MODES)
def test_a_run_without_a_pod_ends_in_the_write_that_accepts(mode: str, shared_lab: Lab, kubectl: Kubectl) -> None:
    execution = shared_lab.create({"workflowRef": {"name": "there-is-none"}})
    execution.wait_for("Pending")
    assert patch(kubectl, execution, mode, "never mind").returncode == 0
    ended_as = execution.wait_for(END_OF[mode]).object
    assert execution.phases() == ["Pending", END_OF[mode]]
    assert [c["status"] for c in commands(ended_as)] == ["Accepted"]
    assert not execution.pods()


@pytest.fixture(scope="module")
def between_attempts(lab_without_room: Lab) -> dict[str, Execution]:
    """A run for each mode that was running, lost its pod, and gets no other one."""
    runs = {mode: start_anywhere(lab_without_room, mode) for mode in MODES}
    for execution in runs.values():
        wait_until_started(execution)
    no_pods(lab_without_room, "no-room")
    for execution in runs.values():
        lab_without_room.core.delete_namespaced_pod(execution.pods()[0].metadata.name, lab_without_room.name)
    for execution in runs.values():
        execution.wait_for(lambda seen: any("quota" in text for text in seen["status"].get("waitingOn", ())))
    return runs


def start_anywhere(lab: Lab, mode: str) -> Execution:
    marker = f"mark-{mode}-{lab.name}"
    return lab.create({"workflowSpec": {"template": template(programs.command(programs.POLITE, marker))}}, marker)


@pytest.mark.conformance("B2", "B20")
@pytest.mark.parametrize("mode", MODES)
def test_a_run_that_has_lost_its_pod_ends_in_the_write_that_accepts(
    mode: str, between_attempts: dict[str, Execution], kubectl: Kubectl
) -> None:
    execution = between_attempts[mode]
    assert phase_of(execution.get()) == "Running"
    assert patch(kubectl, execution, mode, "never mind").returncode == 0
    ended_as = execution.wait_for(END_OF[mode]).object
    assert execution.phases() == ["Pending", "Running", END_OF[mode]]
    assert ended_as["status"]["disruptions"] == 1
    assert [c["status"] for c in commands(ended_as)] == ["Accepted"]
    assert not execution.pods()
    assert not proof.processes(execution.marker)


@pytest.fixture(scope="module")
def closed(shared_lab: Lab) -> dict[str, Execution]:
    """One execution in each terminal phase."""
    runs = {
        "Succeeded": shared_lab.start(programs.FINISHES),
        "Failed": shared_lab.start(programs.FAILS),
        "TimedOut": shared_lab.start(programs.POLITE, {"activeDeadlineSeconds": 2}),
        "Cancelled": shared_lab.start(programs.POLITE),
        "Terminated": shared_lab.start(programs.POLITE),
    }
    for end, mode in (("Cancelled", "Cancel"), ("Terminated", "Terminate")):
        wait_until_started(runs[end])
        runs[end].stop(mode)
    for end, execution in runs.items():
        execution.wait_for(end)
    return runs


@pytest.mark.conformance("A5", "A10", "B8", "B14", "C17", "G4", "G9", "H6")
@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "TimedOut", "Cancelled", "Terminated"])
def test_a_run_that_has_ended_rejects_every_mode_and_stays_as_it_is(
    phase: str, closed: dict[str, Execution], kubectl: Kubectl
) -> None:
    execution = closed[phase]
    before = execution.get()["status"]
    for number, mode in enumerate(MODES, start=len(before.get("commands", []))):
        answer = patch(kubectl, execution, mode, f"late {mode}")
        assert answer.returncode == 0, answer.stderr
        seen = execution.wait_for(lambda held, n=number: len(commands(held)) > n).object  # type: ignore[misc]  # n is bound
        record = commands(seen)[-1]
        assert (record["status"], record["rejectionReason"]) == ("Rejected", "run_not_active")
        assert phase in record["message"]
        assert record["rejectedAt"]
        assert record["fieldManager"].startswith("kubectl")
    after = execution.get()["status"]
    unchanged = ("phase", "closedReason", "endTime", "failure", "history", "runId")
    assert {name: after.get(name) for name in unchanged} == {name: before.get(name) for name in unchanged}


@pytest.mark.conformance("A7", "A8")
def test_what_fired_by_itself_is_not_weakened_by_a_request_that_the_api_lets_through(
    shared_lab: Lab, kubectl: Kubectl
) -> None:
    execution = shared_lab.start(programs.DEAF, stopPolicy={"gracePeriodSeconds": 8, "killAfterSeconds": 1})
    wait_until_started(execution)
    patch(kubectl, execution, "Cancel", "please")
    execution.wait_for("KillCancelling")
    # Not by kubectl, which takes a part of the grace to begin.
    execution.stop("Force", reason="at once")
    seen = execution.wait_for(lambda held: any(c["status"] == "Rejected" for c in commands(held))).object
    record = commands(seen)[-1]
    assert (record["mode"], record["rejectionReason"]) == ("Force", "weaker_than_current")
    assert [c["source"] for c in commands(seen)] == ["api", "escalation", "api"]
    assert phase_of(execution.wait_for("Cancelled").object) == "Cancelled"
    assert proof.gone_for_good(execution.marker)
