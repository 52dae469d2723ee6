"""The table of outcomes, driven through whole passes: how the process ended by itself, and what was in force."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from desist.api.vocabulary import FailureCategory, HistoryType, Mode, Phase
from tests.support.builders import PodBuilder, make_execution, receipt
from tests.unit.lifecycle.world import World

Ending = Callable[[PodBuilder, str], PodBuilder]
"""A pod in its last state, given the running one and the id of the command that its launcher was told of."""

FORCE_KILL_TERMINATE = (Mode.FORCE, Mode.KILL, Mode.TERMINATE)


def _says(phase: str, code: int, **receipt_fields: object) -> Ending:
    outcome = json.dumps({"outcome": phase, "result": {"n": 1}, "failure": {"message": "my own words"}})
    return lambda pod, told: pod.exited(code, f"{receipt(**receipt_fields)}\n{outcome}").over()  # type: ignore[arg-type]  # passed on


def _told(ending: Ending) -> Ending:
    """The same, by a launcher that had read the stop before."""

    def end(pod: PodBuilder, told: str) -> PodBuilder:
        ended = ending(pod, told)
        outcome = ended.obj().workflow.message.partition("\n")[2]
        return ended.container("workflow", message=f"{receipt(stop=told)}\n{outcome}")

    return end


def _exits(code: int) -> Ending:
    return lambda pod, told: pod.exited(code, receipt()).over()


def _stopped_from_inside(code: int) -> Ending:
    return lambda pod, told: pod.exited(code, receipt(sigterm=1.5)).over()


def _told_by_nobody(code: int) -> Ending:
    return lambda pod, told: pod.exited(code, receipt(stop="01K0ZJ5S9N8D4C3B2A1QRSTVWX")).over()


def _told_after_a_sigterm_from_inside(code: int) -> Ending:
    return lambda pod, told: pod.exited(code, receipt(stop=told, sigterm=1.2)).over()


def _told_exits(code: int) -> Ending:
    return lambda pod, told: pod.exited(code, receipt(stop=told)).over()


S, F, C, MODE = "Succeeded", "Failed", "Cancelled", "the mode's end"
# How it ended; then what becomes of the run: in Running, in Cancelling, under Force, Terminate or Kill.
TABLE: list[tuple[str, Ending, str, str, str]] = [
    ("exit 0, not told", _exits(0), S, S, MODE),
    ("exit 1, not told", _exits(1), F, F, MODE),
    ("exit 0, told", _told_exits(0), S, C, MODE),
    ("exit 1, told", _told_exits(1), F, C, MODE),
    ("exit 143, told", _told_exits(143), F, C, MODE),
    ("says Succeeded with code 1", _says("Succeeded", 1), S, S, MODE),
    ("says Failed with code 0", _says("Failed", 0), F, F, MODE),
    ("says Cancelled with code 0", _says("Cancelled", 0), F, C, MODE),
    ("exit 0, told by a command that nobody issued", _told_by_nobody(0), S, S, MODE),
    ("exit 143, told by a command that nobody issued", _told_by_nobody(143), F, F, MODE),
    ("told, says Succeeded", _told(_says("Succeeded", 0)), S, S, MODE),
    ("told, says Failed", _told(_says("Failed", 0)), F, F, MODE),
    ("exit 0 after a SIGTERM from inside", _stopped_from_inside(0), S, S, MODE),
    ("exit 143 after a SIGTERM from inside", _stopped_from_inside(143), F, F, MODE),
    ("exit 0, told after a SIGTERM from inside", _told_after_a_sigterm_from_inside(0), S, C, MODE),
    ("says Cancelled after a SIGTERM from inside", _says("Cancelled", 0, sigterm=1.5), F, C, MODE),
]
IDS = [row[0] for row in TABLE]


def _ended(ending: Ending, mode: Mode | None) -> World:
    world = World().running()
    if mode is not None:
        world.request(mode, after=1)
    told = world.status.commands[0].id if mode else "x"
    world.change_pod(lambda pod: ending(pod, told), after=1)
    return world


@pytest.mark.parametrize(("ending", "expected"), [(row[1], row[2]) for row in TABLE], ids=IDS)
def test_how_a_running_run_ends(ending: Ending, expected: str) -> None:
    world = _ended(ending, None)
    assert world.phase == expected


@pytest.mark.conformance("B17", "B18")
@pytest.mark.parametrize(("ending", "expected"), [(row[1], row[3]) for row in TABLE], ids=IDS)
def test_how_a_run_ends_while_it_is_cancelling(ending: Ending, expected: str) -> None:
    world = _ended(ending, Mode.CANCEL)
    assert world.phase == expected
    superseded = world.status.commands[0].superseded_by
    assert superseded == (None if expected == C else "completion")


@pytest.mark.conformance("A5")
@pytest.mark.parametrize("mode", FORCE_KILL_TERMINATE)
@pytest.mark.parametrize(("ending", "expected"), [(row[1], row[4]) for row in TABLE], ids=IDS)
def test_how_a_run_ends_under_a_stronger_mode(ending: Ending, expected: str, mode: Mode) -> None:
    assert expected == MODE
    world = _ended(ending, mode)
    assert world.phase is (Phase.TERMINATED if mode is Mode.TERMINATE else Phase.CANCELLED)
    assert world.status.failure is not None
    assert world.status.failure.category.value == world.status.closed_reason


@pytest.mark.conformance("A5", "C17")
@pytest.mark.parametrize("ending", [row[1] for row in TABLE], ids=IDS)
def test_after_a_deadline_every_end_is_timed_out(ending: Ending) -> None:
    world = World(make_execution(active_deadline_seconds=3)).running()
    world.settle(3)
    assert world.phase is Phase.KILL_CANCELLING
    world.change_pod(lambda pod: ending(pod, "x"), after=1)
    assert world.status.phase is Phase.TIMED_OUT


@pytest.mark.parametrize("ending", [_exits(1), _says("Failed", 0), _says("Cancelled", 0)])
def test_a_failure_of_the_programs_own_is_the_applications(ending: Ending) -> None:
    failure = _ended(ending, None).status.failure
    assert failure is not None
    assert (failure.category, failure.propagation) == (FailureCategory.APPLICATION, "workflow")


def test_what_the_process_reports_is_the_result_and_the_failures_message() -> None:
    status = _ended(_says("Failed", 0), None).status
    assert status.result is not None
    assert status.result.value == {"n": 1}
    assert status.failure is not None
    assert status.failure.message == "my own words"


def test_under_kill_the_result_is_shown_all_the_same() -> None:
    status = _ended(_says("Succeeded", 0, stop="x"), Mode.KILL).status
    assert (status.phase, status.result and status.result.value) == (Phase.CANCELLED, {"n": 1})


def test_an_outcome_that_is_not_valid_is_shown_and_ignored() -> None:
    message = '{"outcome": "Perhaps"}\n' + receipt()
    world = _ended(lambda pod, told: pod.exited(0, message).over(), None)
    assert world.phase is Phase.SUCCEEDED
    assert "outcome must be" in (world.status.history[-1].message or "")


@pytest.mark.parametrize(("levels", "taken"), [(63, True), (64, False), (300, False)])
def test_an_outcome_that_is_nested_more_than_64_levels_deep_is_ignored_and_the_end_is_written(
    levels: int, taken: bool
) -> None:
    world = World().running()
    outcome = f'{{"outcome":"Succeeded","result":{"[" * levels}{"]" * levels}}}'
    world.change_pod(lambda pod: pod.exited(1, f"{receipt()}\n{outcome}").over(), after=1)
    assert world.phase is (Phase.SUCCEEDED if taken else Phase.FAILED)
    assert ("64 levels" in (world.status.history[-1].message or "")) is not taken


def test_a_receipt_with_a_time_before_1970_is_none_and_the_end_is_written() -> None:
    world = World().running()
    world.request(Mode.KILL)
    told = json.loads(receipt(stop=world.command().id))
    told["stop"]["at"] = "0001-01-01T00:00:00Z"
    world.change_pod(lambda pod: pod.exited(0, json.dumps(told)).over(), after=1)
    assert world.phase is Phase.CANCELLED
    assert HistoryType.CANCELLATION_RECEIVED not in world.types()


def test_the_end_is_never_before_the_start_whatever_a_nodes_clock_says() -> None:
    world = _ended(lambda pod, told: pod.exited(0, receipt(), finished=-100).over(), None)
    assert world.status.end_time == world.status.start_time


def test_the_terminal_entry_names_the_command_in_force_when_the_process_ended() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.with_sidecar().running(), after=1)
    world.request(Mode.CANCEL, reason="first")
    cancel = world.command()
    world.change_pod(lambda pod: pod.exited(0, receipt(stop=cancel.id)), after=1)
    world.request(Mode.KILL, reason="second", after=1)
    world.change_pod(lambda pod: pod.over(), after=30)
    assert world.phase is Phase.CANCELLED
    assert (world.status.history[-1].command_id, world.status.history[-1].reason) == (cancel.id, "first")
    assert world.status.commands[0].superseded_by is None
