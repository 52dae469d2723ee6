"""What becomes of operations: how they start, end, are tried again, and what a stop of one does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from desist.api.base import Opaque
from desist.api.operation import CreatedBy, PodWork
from desist.api.vocabulary import (
    FailureCategory,
    HistoryType,
    Mode,
    Phase,
    ProcessState,
)
from desist.api.workflow import RetryPolicy
from desist.lifecycle.plan import CreatePod
from desist.lifecycle.wire import mailbox
from tests.support.builders import T0, at, receipt
from tests.unit.lifecycle.operation_world import Operations


def test_a_pod_operation_costs_three_writes_of_its_status_and_no_event() -> None:
    world = Operations().running("a")
    assert world.status("a").phase is Phase.RUNNING
    world.exits("a")
    assert world.status("a").phase is Phase.SUCCEEDED
    assert world.writes["a"] == 3
    assert world.events == []
    assert world.status("a").processes[0].state is ProcessState.GONE


def test_its_pod_is_the_runs_template_with_what_it_says_over_it() -> None:
    world = Operations()
    world.create("a", pod=PodWork(command=("ls", "-l"), image="other:2", node_selector=Opaque.of({"disk": "fast"})))
    world.settle()
    (made,) = [action for _, action in world.done if isinstance(action, CreatePod)]
    manifest = made.manifest.value
    container = manifest["spec"]["containers"][0]
    assert container["command"][-2:] == ["ls", "-l"]
    assert container["image"] == "other:2"
    assert manifest["spec"]["nodeSelector"] == {"disk": "fast"}
    assert manifest["spec"]["automountServiceAccountToken"] is False
    assert manifest["metadata"]["name"] == f"{world.all['a'].metadata.name}-1"
    names = {variable["name"] for variable in container["env"]}
    assert {"DESIST_EXECUTION", "DESIST_EXECUTION_UID", "DESIST_RUN_ID", "DESIST_NAMESPACE"} < names
    assert {"DESIST_POD_NAME", "DESIST_POD_UID", "DESIST_OPERATION_ID"} < names


def test_the_pod_is_made_in_a_reconcile_after_the_one_that_writes_the_attempt() -> None:
    world = Operations()
    world.create("a")
    plan = world.plan("a")
    assert not [action for action in plan.actions if isinstance(action, CreatePod)]


def test_a_failure_is_tried_again_after_a_wait_that_grows_and_then_is_final() -> None:
    world = Operations().running("a", retry_policy=RetryPolicy(maximum_attempts=3, initial_interval_seconds=10))
    waits = []
    for _ in range(2):
        world.exits("a", 1)
        due = world.status("a").next_attempt_at
        assert due is not None
        waits.append((due - at(world.run.seconds)).total_seconds())
        world.settle(waits[-1])
        world.change_pod("a", world.pod("a").running(world.run.seconds))
    assert waits == [10, 20]
    world.exits("a", 1)
    status = world.status("a")
    assert (status.phase, status.failed_attempts, status.attempt) == (Phase.FAILED, 2, 3)
    assert [e.type for e in status.history].count(HistoryType.ATTEMPT_FAILED) == 2


def test_a_drained_operation_is_run_again_and_no_try_is_counted() -> None:
    world = Operations().running("a")
    drained = world.pod("a").having(
        deletion_timestamp=T0, deletion_seen_at=T0, disruption_reason="EvictionByEvictionAPI"
    )
    world.change_pod("a", drained.exited(143, finished=world.run.seconds).over())
    world.settle(1)
    assert (world.status("a").attempt, world.status("a").failed_attempts) == (2, None)
    assert world.status("a").disruptions == 1


@pytest.mark.parametrize("mode", [Mode.CANCEL, Mode.KILL])
def test_one_that_has_no_process_is_cancelled_at_once_and_leaves_no_pod(mode: Mode) -> None:
    world = Operations().running("a", retry_policy=RetryPolicy(maximum_attempts=9, initial_interval_seconds=3600))
    world.exits("a", 1)
    assert world.status("a").next_attempt_at is not None
    world.stop("a", mode)
    assert world.status("a").phase is Phase.CANCELLED
    world.settle(7200)
    assert world.status("a").attempt == 1


def test_a_stop_of_one_costs_two_writes_and_the_run_goes_on() -> None:
    world = Operations().running("a")
    before = world.writes["a"]
    world.stop("a", Mode.KILL, reason="too slow")
    assert world.status("a").phase is Phase.KILL_CANCELLING
    posted = mailbox.parse(world.pod("a").obj().mailbox)
    assert posted is not None
    assert (posted.mode, posted.reason) == (Mode.KILL, "too slow")
    world.exits("a", 137)
    assert world.status("a").phase is Phase.CANCELLED
    assert world.writes["a"] - before == 2
    assert world.run.phase == Phase.RUNNING.value


def test_a_timer_is_due_after_its_delay_and_costs_two_writes() -> None:
    world = Operations()
    world.create("t", timer={"delay_milliseconds": 90_000})
    world.settle()
    assert world.status("t").due_at == at(world.run.seconds + 90)
    world.settle(89)
    assert world.status("t").phase is Phase.RUNNING
    world.settle(1)
    assert (world.status("t").phase, world.writes["t"]) == (Phase.SUCCEEDED, 2)


@pytest.mark.parametrize(("age", "due"), [(4, 90), (6, 84), (100, -10)])
def test_a_timer_that_had_to_wait_for_the_controller_counts_from_its_creation(age: int, due: int) -> None:
    world = Operations(age=timedelta(seconds=age))
    world.create("t", timer={"delay_milliseconds": 90_000})
    world.settle()
    assert world.status("t").due_at == at(world.run.seconds + due)
    assert world.status("t").phase is (Phase.RUNNING if due > 0 else Phase.SUCCEEDED)


@pytest.mark.parametrize(
    ("outcome", "phase"),
    [
        ({"outcome": "Succeeded", "result": {"n": 1}}, Phase.SUCCEEDED),
        ({"outcome": "Failed", "failure": {"message": "no money"}}, Phase.FAILED),
        ({"outcome": "Cancelled"}, Phase.CANCELLED),
        ({"no": "outcome"}, Phase.FAILED),
    ],
)
def test_what_was_done_in_the_workflow_process_counts_as_it_says(outcome: dict[str, object], phase: Phase) -> None:
    world = Operations()
    world.create("l", local={"outcome": Opaque.of(outcome)})
    world.settle()
    assert (world.status("l").phase, world.writes["l"]) == (phase, 1)


class TestWhoseWordCounts:
    def test_an_earlier_attempts_is_not_started_until_the_current_one_asks_again(self) -> None:
        world = Operations()
        _drain_run(world)
        world.create("a", attempt=1)
        world.settle(20)
        assert world.all["a"].status is None or world.status("a").attempt is None
        assert "ask for it again" in world.status("a").waiting_on[0]
        current = world.run.status.processes[0]
        by = CreatedBy(pod_name=current.pod, pod_uid=current.pod_uid or "")
        held = world.all["a"]
        world.all["a"] = held.replace(spec=held.spec.replace(created_by=by))
        world.settle()
        assert world.status("a").attempt == 1

    def test_one_that_has_begun_goes_on_when_the_workflow_process_is_run_again(self) -> None:
        world = Operations().running("a")
        _drain_run(world)
        assert world.status("a").phase is Phase.RUNNING

    def test_a_later_attempt_than_is_known_is_not_touched(self) -> None:
        world = Operations()
        world.create("a", attempt=7)
        world.settle()
        assert world.all["a"].status is None or world.status("a").phase is Phase.PENDING

    @pytest.mark.parametrize("what", ["pod", "uid", "run", "name"])
    def test_who_is_not_of_the_run_fails_once_and_holds_nobody_up(self, what: str) -> None:
        world = Operations()
        current = world.run.status.processes[0]
        foreign = CreatedBy(pod_name="another-1" if what == "pod" else current.pod, pod_uid="another")
        changes: dict[str, Any] = {"created_by": foreign} if what in ("pod", "uid") else {}
        if what == "run":
            changes["run_id"] = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
        made = world.create("a", **changes)
        if what == "name":
            world.all["a"] = made.replace(metadata=made.metadata.replace(name="of-my-own"))
        world.settle()
        failure = world.status("a").failure
        assert failure is not None
        assert failure.category is FailureCategory.NOT_OF_THIS_RUN
        assert world.run.status.operations is None
        world.end_run()
        assert world.run.phase == Phase.SUCCEEDED.value

    def test_without_an_execution_nothing_is_touched(self) -> None:
        world = Operations().running("a")
        world.execution_there = False
        world.stop("a", Mode.KILL)
        assert world.status("a").phase is Phase.RUNNING

    def test_the_two_thousand_and_first_fails(self) -> None:
        world = Operations()
        world.earlier = 2000
        world.create("a")
        world.settle()
        failure = world.status("a").failure
        assert failure is not None
        assert failure.category is FailureCategory.TOO_MANY


def _drain_run(world: Operations) -> None:
    """The workflow process's pod is drained, and its next attempt runs."""
    pod = world.run.pod
    drained = pod.having(deletion_timestamp=T0, deletion_seen_at=T0, disruption_reason="EvictionByEvictionAPI")
    world.run.pods[pod.obj().name] = drained.exited(143, finished=world.run.seconds).over()
    world.settle()
    world.settle(2)
    name = world.run.pod.obj().name
    world.run.pods[name] = world.run.pod.running(world.run.seconds)
    world.settle(1)
    assert world.run.status.attempt == 2


def test_a_result_that_comes_after_the_end_is_not_recorded_and_said_in_an_event() -> None:
    world = Operations()
    world.end_run()
    world.create("l", local={"outcome": Opaque.of({"outcome": "Succeeded", "result": 1})})
    world.settle()
    assert (world.status("l").phase, world.status("l").result) == (Phase.CANCELLED, None)
    assert "LateResult" in [event.reason for _, event in world.events]


def test_a_deadline_of_its_own_ends_one_as_timed_out() -> None:
    world = Operations().running("a", active_deadline_seconds=60)
    world.settle(60)
    assert mailbox.parse(world.pod("a").obj().mailbox) is not None
    world.exits("a", 143)
    assert (world.run.phase, world.status("a").phase) == (Phase.RUNNING, Phase.TIMED_OUT)


def test_a_result_that_does_not_fit_fails_it_with_the_ways_out() -> None:
    world = Operations().running("a")
    said = f'{receipt()}\n{{"outcome":"Succeeded","truncated":true}}'
    world.exits("a", 0, said)
    failure = world.status("a").failure
    assert failure is not None
    assert failure.category is FailureCategory.RESULT_TOO_LARGE
    assert "32 KiB" in failure.message
