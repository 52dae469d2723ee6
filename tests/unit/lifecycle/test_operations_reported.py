"""Reports of people who stop fan-outs elsewhere, each as a test of what operations promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from desist.api.operation import TimerWork
from desist.api.vocabulary import ClosePolicy, CommandSource, FailureCategory, HistoryType, Mode, Phase, ProcessRole
from desist.api.workflow import RetryPolicy
from desist.lifecycle.observed.questions import Answer, CreateAnswer, PodCall, Refusal
from desist.lifecycle.operation.close import KEPT_FOR
from desist.lifecycle.plan import DeletePod
from desist.lifecycle.stop.sweep import KEPT_FAILED
from tests.support.builders import at, make_pod, receipt
from tests.unit.lifecycle.operation_world import Operations
from tests.unit.lifecycle.world import decided

QUOTA = "pods is forbidden: exceeded quota: compute"
RUN_ENDS: dict[str, Callable[[Operations], None]] = {
    **{mode.value: partial(Operations.stop_run, mode=mode, after=1) for mode in (Mode.KILL, Mode.TERMINATE)},
    "by itself": Operations.end_run,
}


# Tekton Pipelines (a task that had timed out is shown as cancelled where its pipeline was stopped too)
@pytest.mark.parametrize("end", RUN_ENDS)
def test_one_that_has_run_out_of_time_is_timed_out_whatever_becomes_of_its_run_meanwhile(end: str) -> None:
    world = Operations().running("a", active_deadline_seconds=10)
    world.settle(12)
    RUN_ENDS[end](world)
    assert world.status("a").commands[-1].source in (CommandSource.RUN, CommandSource.CLOSED)
    world.exits("a", 143, after=1)
    assert world.status("a").phase is Phase.TIMED_OUT


@pytest.mark.parametrize("end", RUN_ENDS)
def test_one_that_was_asked_to_cancel_is_cancelled_where_its_run_ends_before_it_does(end: str) -> None:
    world = Operations().running("a")
    world.stop("a", Mode.CANCEL, reason="too slow")
    RUN_ENDS[end](world)
    world.exits("a", 143, after=1)
    assert world.status("a").phase is Phase.CANCELLED


# Tekton Pipelines (a stop takes the place of the condition that said why the pod could not be made)
@pytest.mark.parametrize("answer", [Answer.REFUSED, Answer.TAKEN])
@pytest.mark.parametrize("by", ["its deadline", "its own stop", "its run's stop"])
def test_what_no_pod_could_be_made_for_says_so_also_after_its_end(answer: Answer, by: str) -> None:
    world = Operations(creates=False, created=CreateAnswer(answer, QUOTA, at=at(0), retry_after=3600))
    world.create("a", active_deadline_seconds=10)
    world.settle()
    match by:
        case "its deadline":
            world.settle(11)
        case "its own stop":
            world.stop("a", Mode.KILL)
        case _:
            world.stop_run(Mode.KILL)
    status = world.status("a")
    assert (status.open, world.pods) == (False, {})
    assert status.failure is not None
    assert QUOTA in status.failure.message


# Durable Functions (timers that fire late, or never); a machine whose clock was put right meanwhile
def test_a_timer_is_due_no_later_than_its_delay_from_now_whatever_clock_has_set_it() -> None:
    world = Operations()
    world.run.seconds = 7200
    world.create("t", timer=TimerWork(delay_milliseconds=60_000))
    world.settle_operations()
    world.run.seconds = 1
    world.settle_operations()
    assert world.status("t").due_at == at(61)
    world.settle(59)
    assert world.status("t").phase is Phase.RUNNING
    world.settle(1)
    assert world.status("t").phase is Phase.SUCCEEDED


def test_a_retry_waits_no_shorter_than_its_policy_says_where_another_clock_has_set_its_time() -> None:
    world = Operations()
    policy = RetryPolicy(maximum_attempts=3, initial_interval_seconds=600)
    world.run.seconds = 7200
    world.running("a", retry_policy=policy)
    world.exits("a", 1, after=1)
    world.run.seconds = 1
    world.settle_operations()
    assert world.status("a").next_attempt_at == at(601)
    world.settle(599)
    assert world.status("a").attempt == 1
    world.settle(1)
    assert world.status("a").attempt == 2


@pytest.mark.parametrize("milliseconds", [0, 1, 315_360_000_000])
def test_a_timer_may_be_due_at_once_or_in_ten_years(milliseconds: int) -> None:
    world = Operations()
    world.create("t", timer=TimerWork(delay_milliseconds=milliseconds))
    world.settle()
    world.settle(milliseconds / 1000)
    assert world.status("t").phase is Phase.SUCCEEDED


def test_a_timer_says_when_its_time_comes() -> None:
    world = Operations()
    world.create("t", timer=TimerWork(delay_milliseconds=60_000), close_policy=ClosePolicy.WAIT)
    world.settle()
    due = world.status("t").due_at
    assert due is not None
    assert [f"{due:%H:%M:%S}" in text for text in world.status("t").waiting_on] == [True]
    world.end_run()
    assert [f"{due:%H:%M:%S}" in text for text in world.run.status.waiting_on] == [True]


# Argo Workflows (a policy that denies DELETEs: the controller asks for the same ones for ever)
def _refused(pod: str, times: int = 3) -> Refusal:
    return Refusal(pod, PodCall.DELETE, "None", "denied by a policy", at(0), times=times)


def test_a_refused_delete_of_what_has_succeeded_is_asked_for_again_with_a_back_off() -> None:
    world = Operations().running("a")
    world.exits("a", 0, after=1)
    world.run.seconds += KEPT_FOR.total_seconds()
    refusal = _refused(world.pod("a").obj().uid)
    world.refusals = (replace(refusal, at=at(world.run.seconds)),)
    asked = []
    for seconds in (1, 2, 2):
        world.run.seconds += seconds
        asked.append([action.uid for action in world.plan("a").actions if isinstance(action, DeletePod)])
    assert asked == [[], [], [refusal.pod_uid]]


def _with_surplus() -> Operations:
    """A run with one more failed operation than it keeps pods of."""
    world = Operations()
    for number in range(KEPT_FAILED + 1):
        world.running(f"f{number:02}")
        world.exits(f"f{number:02}", 1, after=1)
    return world


def _run_deletes(world: Operations, refusals: tuple[Refusal, ...]) -> list[str]:
    seen = replace(world.observe_run(), refusals=refusals)
    return [action.uid for action in decided(seen, world.run.seconds).actions if isinstance(action, DeletePod)]


def test_a_refused_delete_of_what_has_failed_is_asked_for_again_with_a_back_off() -> None:
    world = _with_surplus()
    world.pods = {name: pod.having(deletion_timestamp=None) for name, pod in world.pods.items()}
    first = _run_deletes(world, ())
    assert len(first) == 1
    refusal = replace(_refused(first[0]), at=at(world.run.seconds))
    world.run.seconds += 1
    assert _run_deletes(world, (refusal,)) == []
    world.run.seconds += 4
    assert _run_deletes(world, (refusal,)) == first


def test_a_refused_delete_of_what_has_ended_puts_off_no_delete_of_what_runs() -> None:
    """A plan ends with the first thing that is refused."""
    world = _with_surplus()
    world.pods = {name: pod.having(deletion_timestamp=None) for name, pod in world.pods.items()}
    orphan = make_pod("orphan-1", uid="uid-orphan", run_id=world.run.status.run_id or "").running()
    world.pods["orphan-1"] = orphan.having(role=ProcessRole.OPERATION, operation="op-gone")
    pod = world.run.pod
    world.run.pods[pod.obj().name] = pod.exited(137, receipt(), finished=world.run.seconds).over()
    world.run.execution = world.run.execution.cancelled(Mode.KILL)
    world.run.apply(next(iter(decided(world.observe_run(), world.run.seconds).actions)))
    assert _run_deletes(world, ())[0] == "uid-orphan"


# Argo Workflows (names that are too long or not ASCII); history has to fit into one object
def test_keys_of_two_hundred_characters_of_any_script_fit_into_history_events_and_texts() -> None:
    world = Operations()
    for number in range(4):
        world.running("\U0001f4a5" * 199 + str(number), close_policy=ClosePolicy.WAIT)
    world.end_run()
    assert [len(text.encode()) <= 1024 for text in world.run.status.waiting_on] == [True]
    world.stop_run(Mode.KILL, 1)
    for key in list(world.all):
        world.exits(key, 143, after=1)
    closed = [entry for entry in world.run.status.history if entry.type is HistoryType.OPERATION_CANCELLED]
    stored = [len(entry.model_dump_json(by_alias=True, exclude_none=True).encode()) for entry in closed]
    assert len(stored) == 4
    assert max(stored) <= 300


# Kubernetes Jobs (an evicted pod counts against the limit of failures), Argo Workflows (it is never tried again)
@pytest.mark.parametrize("by", ["TerminationByKubelet", "PreemptionByScheduler", "DeletionByTaintManager"])
@pytest.mark.parametrize("mode", [None, Mode.CANCEL])
def test_one_whose_pod_is_taken_away_is_run_again_and_no_try_is_counted_while_its_program_decides(
    by: str, mode: Mode | None
) -> None:
    world = Operations().running("a")
    if mode is not None:
        world.stop_run(mode)
    taken = world.pod("a").deleting().exited(143, receipt(sigterm=1.5), finished=world.run.seconds)
    world.change_pod("a", taken.having(disruption_reason=by, phase="Failed"), 1)
    world.settle(2)
    status = world.status("a")
    assert (status.phase, status.attempt, status.disruptions, status.failed_attempts) == (Phase.RUNNING, 2, 1, None)


def test_one_that_runs_out_of_memory_uses_up_its_tries() -> None:
    world = Operations().running("a", retry_policy=RetryPolicy(maximum_attempts=2))
    for _ in range(2):
        world.change_pod("a", world.pod("a").exited(137, reason="OOMKilled", finished=world.run.seconds).over(), 1)
        world.settle(2)
        if world.status("a").open:
            world.change_pod("a", world.pod("a").running(world.run.seconds), 1)
    failure = world.status("a").failure
    assert failure is not None
    assert (world.status("a").attempt, failure.category) == (2, FailureCategory.OUT_OF_MEMORY)


# Argo Workflows, Tekton Pipelines (the time of a step begins anew with each try, or ends only once it runs)
def test_the_deadline_counts_over_all_tries_also_between_them() -> None:
    policy = RetryPolicy(maximum_attempts=9, initial_interval_seconds=60)
    world = Operations().running("a", active_deadline_seconds=30, retry_policy=policy)
    world.exits("a", 1, after=1)
    world.settle(27)
    assert world.status("a").phase is Phase.RUNNING
    world.settle(1)
    assert (world.status("a").phase, world.status("a").attempt) == (Phase.TIMED_OUT, 1)


# Kubeflow Pipelines, Tekton Pipelines (an image that cannot be pulled: no stop takes effect, or none says why)
@pytest.mark.parametrize("by", ["its deadline", "its own stop", "its run's stop", "its run's end"])
def test_whatever_ends_one_whose_image_cannot_be_pulled_deletes_its_pod_and_says_why(by: str) -> None:
    world = Operations()
    world.create("a", active_deadline_seconds=10)
    world.settle()
    pod = world.pod("a").bound()
    waits = [replace(each, reason="ImagePullBackOff", message="no such image") for each in pod.obj().containers]
    world.change_pod("a", pod.having(containers=tuple(waits)), 1)
    match by:
        case "its deadline":
            world.settle(10)
        case "its own stop":
            world.stop("a", Mode.CANCEL)
        case "its run's stop":
            world.stop_run(Mode.FORCE)
        case _:
            world.end_run()
    assert world.pod("a").obj().deletion_timestamp is not None
    world.change_pod("a", world.pod("a").having(phase="Failed"), 3)
    status = world.status("a")
    assert status.phase is (Phase.TIMED_OUT if by == "its deadline" else Phase.CANCELLED)
    assert status.start_time is None
    assert status.failure is not None
    assert "no such image" in status.failure.message
