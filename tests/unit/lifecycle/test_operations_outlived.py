"""What would keep a run open for ever: operations that nobody asks for, pods and containers that nobody stops."""

from __future__ import annotations

import pytest

from desist.api.status import ProcessStatus
from desist.api.vocabulary import ClosePolicy, HistoryType, Mode, Phase, ProcessRole, ProcessState
from desist.api.workflow import StopPolicy
from desist.lifecycle.observed.pods import ContainerKind, ContainerPhase, ContainerView
from desist.lifecycle.plan import DeletePod
from desist.lifecycle.wire import mailbox
from tests.support.builders import T0, at, make_pod, receipt
from tests.unit.lifecycle.operation_world import Operations

ENDING = (Mode.KILL, Mode.TERMINATE)


@pytest.mark.parametrize("policy", ClosePolicy)
@pytest.mark.parametrize("mode", [None, *Mode])
def test_one_that_has_not_begun_when_the_workflow_process_ends_holds_no_run_open(
    policy: ClosePolicy, mode: Mode | None
) -> None:
    world = Operations()
    world.create("a", close_policy=policy)
    pod = world.run.pod
    world.run.pods[pod.obj().name] = pod.exited(0, receipt(), finished=world.run.seconds).over()
    world.settle(1)
    if mode is not None:
        world.stop_run(mode)
    assert not world.run.status.open
    assert world.status("a").phase is Phase.CANCELLED
    assert world.pods == {}


@pytest.mark.parametrize("first", [Mode.CANCEL, Mode.FORCE, Mode.TERMINATE])
def test_the_grace_of_a_kill_counts_for_operations_whatever_came_before(first: Mode) -> None:
    world = Operations().running("a", stop_policy=StopPolicy(grace_period_seconds=60))
    world.stop_run(first)
    world.stop_run(Mode.KILL, after=1, grace_period_seconds=3)
    posted = mailbox.parse(world.pod("a").obj().mailbox)
    assert posted is not None
    assert posted.grace_seconds == 3


@pytest.mark.parametrize("mode", [None, *ENDING])
def test_a_container_that_admission_has_put_beside_it_is_ended_by_its_runs_end(mode: Mode | None) -> None:
    world = Operations().running("a")
    pod = world.pod("a")
    beside = ContainerView(
        name="injected",
        kind=ContainerKind.ADDED,
        phase=ContainerPhase.RUNNING,
        container_id="containerd://x",
        started_at=T0,
    )
    pod = pod.having(containers=(*pod.obj().containers, beside))
    world.change_pod("a", pod.exited(0, receipt(), finished=world.run.seconds), 1)
    assert (world.status("a").end_time is not None, world.status("a").open) == (True, True)
    if mode is not None:
        world.stop_run(mode)
    world.end_run(137 if mode else 0)
    world.settle(60)
    assert world.pod("a").obj().deletion_timestamp is not None
    world.change_pod("a", world.pod("a").over(), 1)
    assert world.status("a").phase is Phase.SUCCEEDED
    assert not world.run.status.open


@pytest.mark.parametrize("mode", ENDING)
def test_a_pod_whose_operation_is_not_there_any_more_is_ended_with_all_others(mode: Mode) -> None:
    world = Operations().running("a")
    del world.all["a"]
    world.stop_run(mode)
    assert not [action for action in world.run.done if isinstance(action, DeletePod)]
    world.end_run(137)
    assert [a.pod for a in world.run.done if isinstance(a, DeletePod)] == [world.pod("a").obj().name]
    assert world.run.status.open
    world.change_pod("a", world.pod("a").exited(137).over(), 1)
    assert not world.run.status.open


@pytest.mark.parametrize("mode", [None, *ENDING])
def test_a_pod_of_an_earlier_attempt_that_no_node_gets_any_more_is_waited_for_by_nobody(mode: Mode | None) -> None:
    """It was deleted before it was bound, and somebody's finalizer holds its object, maybe for ever."""
    world = Operations()
    world.create("a")
    world.settle()
    held = world.pod("a").having(deletion_timestamp=T0, deletion_seen_at=T0, finalizers=("example.test/held",))
    world.change_pod("a", held, 1)
    world.settle(60)
    assert (world.status("a").attempt, len(world.pods)) == (2, 2)
    assert [process.role for process in world.status("a").processes] == [ProcessRole.OPERATION]
    if mode is not None:
        world.stop_run(mode)
    world.end_run(137 if mode else 0)
    assert world.status("a").phase is Phase.CANCELLED
    assert not world.run.status.open


def test_while_only_pods_of_operations_are_waited_for_nothing_is_written_again() -> None:
    world = Operations()
    orphan = make_pod("orphan-1", uid="uid-orphan", run_id=world.run.status.run_id or "").running()
    world.pods["orphan-1"] = orphan.having(role=ProcessRole.OPERATION, operation="op-gone")
    world.settle()
    world.end_run()
    assert world.run.status.open
    world.run.seconds += 1
    assert not world.run_writes()


def test_a_time_that_somebody_writes_into_its_status_ends_no_operation_that_runs() -> None:
    world = Operations().running("a")
    world.all["a"] = world.all["a"].replace(status=world.status("a").replace(due_at=T0, attempt=None))
    world.settle(1)
    assert world.status("a").phase is Phase.RUNNING


def test_a_timer_whose_status_lists_a_process_comes_to_rest_and_ends() -> None:
    world = Operations()
    world.create("t", timer={"delay_milliseconds": 60_000})
    world.settle()
    process = ProcessStatus(pod="p", role=ProcessRole.OPERATION, state=ProcessState.ALIVE, since=at(0))
    edited = world.status("t").replace(processes=(process,), end_time=at(0))
    world.all["t"] = world.all["t"].replace(status=edited)
    world.stop("t", Mode.CANCEL)
    assert world.status("t").phase is Phase.CANCELLED


def test_the_event_at_the_run_names_the_operation_that_its_end_has_closed() -> None:
    world = Operations().running("a")
    world.end_run()
    world.exits("a", 143)
    told = [event.message for event in world.run.events if event.reason == HistoryType.OPERATION_CANCELLED.value]
    assert [message.startswith("operation a;") for message in told] == [True]


@pytest.mark.parametrize("ended", [False, True], ids=["a run that goes on", "a run whose end is fixed"])
def test_what_a_force_leaves_running_is_not_run_again_after_a_drain(ended: bool) -> None:
    world = Operations().running("a", close_policy=ClosePolicy.WAIT)
    if ended:
        world.end_run()
    world.stop_run(Mode.FORCE)
    if not ended:
        world.end_run(137)
    assert world.run.status.operations is not None
    assert (world.run.status.open, world.run.status.operations.left_over) == (False, 1)
    drained = world.pod("a").having(
        deletion_timestamp=T0, deletion_seen_at=T0, disruption_reason="EvictionByEvictionAPI"
    )
    world.change_pod("a", drained.exited(143, finished=world.run.seconds).over())
    world.settle(100)
    assert (world.status("a").phase, world.status("a").attempt) == (Phase.CANCELLED, 1)
