"""The tables of outcomes, driven through whole passes: how the process ended, and what was in force."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from desist.api.vocabulary import FailureCategory, HistoryType, Mode, Phase
from desist.lifecycle.observed import ContainerPhase
from tests.support.builders import PodBuilder, make_execution, make_node, receipt
from tests.unit.lifecycle.world import World

Ending = Callable[[PodBuilder, str], PodBuilder]
"""A pod in its last state, given the running one and the id of the command that its launcher was told of."""

FORCE_KILL_TERMINATE = (Mode.FORCE, Mode.KILL, Mode.TERMINATE)


def _says(phase: str, code: int, **receipt_fields: object) -> Ending:
    outcome = json.dumps({"outcome": phase, "result": {"n": 1}, "failure": {"message": "my own words"}})
    return lambda pod, told: pod.exited(code, f"{outcome}\n{receipt(**receipt_fields)}").over()  # type: ignore[arg-type]  # passed on


def _exits(code: int) -> Ending:
    return lambda pod, told: pod.exited(code, receipt()).over()


def _told_exits(code: int) -> Ending:
    return lambda pod, told: pod.exited(code, receipt(stop=told)).over()


def _drained(code: int) -> Ending:
    return lambda pod, told: pod.deleting().exited(code, receipt(sigterm=1.5)).over()


def _passed(at: float) -> Ending:
    """Exit 0 at second 2, after a signal that is no stop; the pod was deleted at second 1, where it was."""
    return lambda pod, told: pod.exited(0, receipt(passed=at)).over()


def _deleted(ending: Ending) -> Ending:
    return lambda pod, told: ending(pod.deleting(), told)


def _deleted_late(ending: Ending) -> Ending:
    return lambda pod, told: ending(pod.deleting(since=900), told)


def _chosen_for_eviction(pod: PodBuilder, told: str) -> PodBuilder:
    return _passed(1.5)(pod.having(disruption_reason="EvictionByEvictionAPI"), told)


def _evicted_by_image(at: float) -> Ending:
    return lambda pod, told: _passed(at)(pod.having(reason="Evicted", disruption_reason="TerminationByKubelet"), told)


def _evicted(pod: PodBuilder, told: str) -> PodBuilder:
    evicted = pod.having(disruption_reason="TerminationByKubelet", reason="Evicted")
    return evicted.exited(143, receipt(sigterm=1.5)).over()


def _deleted_without_receipt(pod: PodBuilder, told: str) -> PodBuilder:
    return pod.deleting(grace=1).exited(137, "").over()


def _killed_at_the_grace(finished: float) -> Ending:
    """SIGKILL at some time; the deletion's grace is over at 31."""
    return lambda pod, told: pod.deleting(grace=30, since=1).exited(137, receipt(), finished=finished).over()


def _rejected_by_the_node(pod: PodBuilder, told: str) -> PodBuilder:
    waiting = pod.container("workflow", phase=ContainerPhase.WAITING, container_id="", started_at=None)
    return waiting.having(phase="Failed", reason="OutOfcpu")


def _oom(pod: PodBuilder, told: str) -> PodBuilder:
    return pod.exited(137, receipt(), reason="OOMKilled").over()


def _probe(pod: PodBuilder, told: str) -> PodBuilder:
    return pod.exited(143, receipt(sigterm=1.5)).over()


def _init(pod: PodBuilder, told: str) -> PodBuilder:
    waiting = pod.container("workflow", phase=ContainerPhase.WAITING, container_id="", started_at=None)
    failed = waiting.with_init(phase=ContainerPhase.TERMINATED, exit_code=3, container_id="containerd://i")
    return failed.having(phase="Failed")


def _cannot_start(pod: PodBuilder, told: str) -> PodBuilder:
    return pod.exited(127, receipt(started=False, error="no such file")).over()


def _no_receipt(code: int) -> Ending:
    return lambda pod, told: pod.exited(code, "a program's own words").over()


S, F, C, AGAIN, MODE = "Succeeded", "Failed", "Cancelled", "again", "the mode's end"
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
    ("told, says Succeeded", _says("Succeeded", 0, stop="x"), S, S, MODE),
    ("told, says Failed", _says("Failed", 0, stop="x"), F, F, MODE),
    ("drained with exit 0", _drained(0), AGAIN, C, MODE),
    ("drained with exit 143", _drained(143), AGAIN, C, MODE),
    ("drained with exit 0, by the STOPSIGNAL of its image", _deleted(_passed(1.5)), AGAIN, C, MODE),
    ("the same, where the node's clock is behind", _deleted(_passed(-3.9)), AGAIN, C, MODE),
    ("exit 0 long after a signal of somebody's, and then drained", _deleted(_passed(-4.1)), S, S, MODE),
    ("exit 0 after a signal of somebody's", _passed(1.5), S, S, MODE),
    ("evicted with exit 0, by the STOPSIGNAL of its image", _evicted_by_image(-28), AGAIN, C, MODE),
    ("exit 0 long after a signal of somebody's, and then evicted", _evicted_by_image(-34), S, S, MODE),
    ("evicted like this, and deleted long after", _deleted_late(_evicted_by_image(-28)), AGAIN, C, MODE),
    ("exit 0 after a signal of somebody's, as an eviction begins", _chosen_for_eviction, S, S, MODE),
    ("evicted", _evicted, AGAIN, C, MODE),
    ("deleted by hand, killed before any receipt", _deleted_without_receipt, AGAIN, C, MODE),
    ("deleted, and killed before the launcher could note anything", _killed_at_the_grace(31.0), AGAIN, C, MODE),
    ("killed by something else, and deleted later", _killed_at_the_grace(2.0), F, F, MODE),
    ("rejected by the node", _rejected_by_the_node, AGAIN, C, MODE),
    (
        "drained, and says Succeeded",
        lambda pod, told: _says("Succeeded", 0, sigterm=1.5)(pod.deleting(), told),
        S,
        S,
        MODE,
    ),
    ("ran out of memory", _oom, F, C, MODE),
    ("a probe failed", _probe, F, C, MODE),
    ("an init container failed", _init, F, C, MODE),
    ("the command cannot be started", _cannot_start, F, C, MODE),
    ("exit 0 without a receipt or a cause", _no_receipt(0), F, F, MODE),
    ("exit 1 without a receipt or a cause", _no_receipt(1), F, F, MODE),
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
    if expected == AGAIN:
        assert world.phase is Phase.RUNNING
        assert world.status.disruptions == 1
        assert world.types()[-1] is HistoryType.POD_DISRUPTED
    else:
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


@pytest.mark.parametrize(
    ("ending", "category"),
    [
        (_exits(1), FailureCategory.APPLICATION),
        (_says("Failed", 0), FailureCategory.APPLICATION),
        (_oom, FailureCategory.OUT_OF_MEMORY),
        (_probe, FailureCategory.PROBE),
        (_init, FailureCategory.INIT),
        (_cannot_start, FailureCategory.START),
        (_no_receipt(1), FailureCategory.APPLICATION),
    ],
)
def test_a_failure_names_its_category(ending: Ending, category: FailureCategory) -> None:
    failure = _ended(ending, None).status.failure
    assert failure is not None
    assert (failure.category, failure.propagation) == (category, "workflow")


def test_what_the_process_reports_is_the_result_and_the_failures_message() -> None:
    status = _ended(_says("Failed", 0), None).status
    assert status.result is not None
    assert status.result.value == {"n": 1}
    assert status.failure is not None
    assert status.failure.message == "my own words"


def test_under_kill_the_result_is_shown_all_the_same() -> None:
    status = _ended(_says("Succeeded", 0, stop="x"), Mode.KILL).status
    assert (status.phase, status.result and status.result.value) == (Phase.CANCELLED, {"n": 1})


def test_a_process_that_outlives_a_child_that_ran_out_of_memory_succeeds() -> None:
    world = _ended(lambda pod, told: pod.exited(0, receipt(), reason="OOMKilled").over(), None)
    assert world.phase is Phase.SUCCEEDED


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
    world.change_pod(lambda pod: pod.exited(1, f"{outcome}\n{receipt()}").over(), after=1)
    assert world.phase is (Phase.SUCCEEDED if taken else Phase.FAILED)
    assert ("64 levels" in (world.status.history[-1].message or "")) is not taken


def test_what_a_kubelet_reports_after_a_reboot_is_no_failure_of_the_process() -> None:
    world = World().running()
    world.nodes = [make_node(boot_id="boot-2")]
    world.pods[world.pod.obj().name] = world.pod.exited(255, receipt(), reason="Unknown").over()
    world.settle(1)
    assert (world.phase, world.status.disruptions) == (Phase.RUNNING, 1)


def test_an_init_container_that_a_deletion_ended_is_no_failure() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.bound())
    world.change_pod(lambda pod: _init(pod.deleting(), ""), after=1)
    assert world.status.disruptions == 1


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
