"""Attempts: what follows a disruption, a vanished pod, or a pod that came late."""

from __future__ import annotations

import pytest

from desist.api.vocabulary import HistoryType, Mode, Phase, ProcessState
from desist.lifecycle.observed.pods import NodeView
from desist.lifecycle.plan import DeletePod, PostMailbox
from desist.lifecycle.wire import mailbox
from tests.support.builders import PodBuilder, at, make_node, make_pod, receipt
from tests.unit.lifecycle.world import World, done


def disrupt(world: World, after: float = 1) -> None:
    world.change_pod(lambda pod: pod.deleting().exited(143, receipt(sigterm=2)).over(), after)


@pytest.mark.conformance("E11")
def test_a_drained_process_is_run_again_after_a_back_off() -> None:
    world = World().running()
    disrupt(world)
    assert (world.phase, world.status.disruptions, world.status.attempt) == (Phase.RUNNING, 1, 1)
    assert world.status.next_attempt_at == at(world.seconds + 1)
    assert len(world.pods) == 1
    world.settle(1)
    assert world.status.attempt == 2
    assert "nextAttemptAt" not in world.status.wire()
    assert len(world.pods) == 2
    world.change_pod(lambda pod: pod.running(world.seconds).exited(0, receipt()).over(), after=1)
    assert world.status.phase is Phase.SUCCEEDED
    assert world.types().count(HistoryType.WORKFLOW_STARTED) == 1


def test_the_back_off_doubles_up_to_a_minute() -> None:
    world = World().running()
    waits = []
    for _ in range(8):
        disrupt(world, after=0)
        assert world.status.next_attempt_at is not None
        waits.append((world.status.next_attempt_at - at(world.seconds)).total_seconds())
        world.settle(waits[-1])
        world.change_pod(lambda pod: pod.running(world.seconds))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_the_next_attempt_is_in_status_before_its_pod_is_created() -> None:
    world = World().running()
    disrupt(world)
    plan = world.step(1)
    assert done(plan) == ["WriteStatus", "CreatePod"]


@pytest.mark.conformance("B22", "E11")
@pytest.mark.parametrize("mode", list(Mode))
def test_a_command_in_the_back_off_ends_the_run_and_no_process_starts_any_more(mode: Mode) -> None:
    world = World().running()
    disrupt(world)
    world.request(mode)
    world.settle(100)
    assert world.phase is (Phase.TERMINATED if mode is Mode.TERMINATE else Phase.CANCELLED)
    assert len(world.pods) == 1


def test_a_disruption_before_the_first_process_leaves_the_run_pending() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.bound().having(phase="Failed", reason="OutOfcpu"))
    assert (world.phase, world.status.disruptions) == (Phase.PENDING, 1)


def test_a_disrupted_process_whose_sidecar_still_runs_is_waited_for() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.with_sidecar().running(), after=1)
    world.change_pod(lambda pod: pod.deleting().exited(143, receipt(sigterm=2)), after=1)
    assert world.status.disruptions is None
    assert world.status.end_time is None
    world.change_pod(lambda pod: pod.over(), after=1)
    assert world.status.disruptions == 1


def test_a_command_after_a_disruption_says_in_one_write_how_the_run_will_end() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.with_sidecar().running(1), after=1)
    world.change_pod(lambda pod: pod.deleting(600, since=2).exited(143, receipt(sigterm=2), finished=3), after=2)
    assert (world.phase, world.status.end_time) == (Phase.RUNNING, None)
    world.execution = world.execution.cancelled(Mode.KILL, reason="enough")
    world.step(1)
    assert world.phase is Phase.KILL_CANCELLING
    assert (world.status.end_time, world.status.failure and world.status.failure.category) == (at(3), "cancelled")
    assert done(world.step(1)) == []


def test_a_pod_that_vanished_is_run_again_only_after_its_node_was_ready_for_the_grace_and_thirty_seconds() -> None:
    world = World().running()
    world.lose_pod(seen=False)
    world.settle(1)
    missed = world.seconds
    process = world.status.processes[0]
    assert (process.state, process.since) == (ProcessState.ALIVE, at(missed))
    world.seconds = missed + 59.9
    world.settle()
    assert world.status.disruptions is None
    world.seconds = missed + 60
    world.settle()
    assert world.status.disruptions == 1
    assert world.status.processes[0].state is ProcessState.UNPROVEN
    assert world.types()[-1] is HistoryType.POD_VANISHED


@pytest.mark.conformance("C5")
def test_a_vanished_pod_does_not_keep_a_cancelled_run_open_for_ever() -> None:
    world = World().running()
    world.lose_pod(seen=True)
    world.request(Mode.KILL, after=1)
    assert world.phase is Phase.KILL_CANCELLING
    world.settle(60)
    assert world.status.phase is Phase.CANCELLED
    assert world.status.processes[0].state is ProcessState.UNPROVEN
    assert HistoryType.POD_VANISHED in world.types()


@pytest.mark.conformance("C5")
def test_a_pod_that_was_deleted_after_its_end_resolves_the_stop() -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    told = world.command().id
    world.pods[world.pod.obj().name] = world.pod.exited(0, receipt(stop=told)).over()
    world.lose_pod(seen=True)
    world.settle(1)
    assert world.phase is Phase.CANCELLED
    assert world.status.processes[0].exit_code == 0


def late(world: World, attempt: int, uid: str = "late", run_id: str = "") -> PodBuilder:
    """A pod of that attempt that runs on another node."""
    pod = make_pod(f"late-{uid}", run_id=run_id or world.status.run_id or "", attempt=attempt, uid=uid)
    return pod.bound("node-2").running()


@pytest.mark.conformance("B20", "C16")
def test_a_pod_of_an_earlier_attempt_is_counted_and_then_stopped_and_its_outcome_ignored() -> None:
    world = World().running()
    disrupt(world)
    world.settle(1)
    world.change_pod(lambda pod: pod.running(world.seconds), after=1)
    old = late(world, attempt=1)
    world.nodes.append(make_node("node-2"))
    world.pods = {"late-late": old, **world.pods}
    plan = world.step(1)
    assert done(plan) == ["WriteStatus", "PostMailbox", "DeletePod"]
    post = next(a for a in plan.actions if isinstance(a, PostMailbox))
    stop = mailbox.parse(post.text)
    assert stop is not None
    assert (post.uid, stop.grace_seconds) == ("late", 0)
    assert world.status.late_starts == 1
    assert [p.role for p in world.status.processes] == ["workflow", "late-start"]
    world.settle(1)
    assert world.status.late_starts == 1
    world.pods["late-late"] = world.pods["late-late"].exited(0, receipt()).over()
    world.settle(1)
    assert world.phase is Phase.RUNNING
    assert [p.role for p in world.status.processes] == ["workflow"]


@pytest.mark.conformance("C16")
def test_a_pod_that_turns_up_after_the_end_is_stopped_and_the_end_stays() -> None:
    world = World(creates=False)
    world.step()
    world.request(Mode.CANCEL, after=1)
    ended = world.status
    assert ended.phase is Phase.CANCELLED
    world.creates = True
    assert ended.run_id is not None
    name = ended.processes[0].pod
    world.pods[name] = make_pod(name, run_id=ended.run_id, uid="late").running()
    world.settle(1)
    assert world.pods[name].obj().deletion_timestamp is not None
    assert world.pods[name].obj().mailbox
    assert world.status.late_starts == 1
    assert (world.status.phase, world.status.end_time) == (Phase.CANCELLED, ended.end_time)


@pytest.mark.conformance("A16")
def test_a_pod_of_the_same_name_that_came_later_is_not_taken_for_the_attempts_own() -> None:
    world = World().running()
    name = world.pod.obj().name
    world.lose_pod(seen=False)
    world.settle(1)
    world.pods[name] = make_pod(name, run_id=world.status.run_id or "", uid="another").running()
    world.settle(1)
    assert world.status.processes[0].pod_uid != "another"
    assert world.pods[name].obj().deletion_timestamp is not None
    assert world.status.late_starts == 1


@pytest.mark.parametrize(("attempt", "run_id"), [(2, ""), (1, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ")])
@pytest.mark.parametrize("stopped", [False, True])
def test_a_pod_of_a_higher_attempt_or_a_newer_run_than_the_status_is_not_touched(
    attempt: int, run_id: str, stopped: bool
) -> None:
    world = World().running()
    if stopped:
        world.request(Mode.KILL)
    world.nodes.append(make_node("node-2"))
    newer = late(world, attempt, run_id=run_id)
    world.pods = {"late-late": newer, **world.pods}
    world.settle(1)
    assert world.pods["late-late"] == newer
    assert world.status.late_starts is None


def test_a_pod_of_an_earlier_run_is_a_late_start() -> None:
    world = World().running()
    world.nodes.append(make_node("node-2"))
    world.pods = {"late-late": late(world, 3, run_id="00000000000000000000000000"), **world.pods}
    world.settle(1)
    assert world.status.late_starts == 1


def test_an_ended_pod_of_an_earlier_attempt_is_left_as_it_is() -> None:
    world = World().running()
    disrupt(world)
    world.settle(2)
    assert world.status.attempt == 2
    assert world.status.late_starts is None
    assert not [a for a in world.done if isinstance(a, DeletePod)]


@pytest.mark.conformance("C8")
def test_a_process_on_a_node_that_rebooted_is_gone_and_run_again() -> None:
    world = World().running()
    world.nodes = [make_node(boot_id="boot-2")]
    world.settle(1)
    assert world.status.disruptions == 1
    assert world.status.processes[0].state is ProcessState.GONE


def test_nothing_is_started_for_an_execution_that_is_being_deleted() -> None:
    world = World()
    world.execution = world.execution.deleting()
    world.settle()
    assert not world.pods
    running = World().running()
    running.execution = running.execution.deleting()
    disrupt(running)
    running.settle(100)
    assert len(running.pods) == 1
    assert running.status.attempt == 1


def test_a_kill_of_an_execution_that_is_being_deleted_is_still_obeyed() -> None:
    world = World().running()
    world.execution = world.execution.deleting()
    world.request(Mode.KILL)
    assert mailbox.parse(world.pod.obj().mailbox) is not None


def test_a_process_that_was_bound_before_a_reboot_and_started_after_it_is_alive() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.bound())
    world.nodes = [make_node(boot_id="boot-2")]
    world.settle(1)
    world.change_pod(lambda pod: pod.running(2), after=2)
    world.settle(1)
    assert world.status.processes[0].state is ProcessState.ALIVE
    assert world.status.processes[0].boot_id == "boot-2"
    assert world.status.disruptions is None


def test_a_pod_that_was_deleted_before_its_container_started_is_gone_once_its_node_has_rebooted() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.bound())
    world.lose_pod(seen=True)
    world.settle(1)
    assert world.status.disruptions is None
    world.nodes = [make_node(boot_id="boot-2")]
    world.settle(1)
    assert world.status.disruptions == 1


@pytest.mark.parametrize("seen", [False, True])
def test_a_pod_that_vanishes_while_only_its_sidecar_runs_does_not_keep_the_run_open_for_ever(seen: bool) -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.with_sidecar().running(), after=1)
    world.change_pod(lambda pod: pod.exited(0, receipt()), after=1)
    world.lose_pod(seen=seen)
    world.settle(1)
    assert world.phase is Phase.RUNNING
    world.settle(60)
    assert world.status.phase is Phase.SUCCEEDED
    assert world.status.processes[0].exit_code == 0
    assert world.types()[-2:] == [HistoryType.POD_VANISHED, HistoryType.WORKFLOW_COMPLETED]


@pytest.mark.parametrize("nodes", [[], [make_node(ready=False, out_of_service=True)]])
def test_the_pod_that_a_removed_node_left_behind_is_no_late_start(nodes: list[NodeView]) -> None:
    world = World().running()
    world.nodes = nodes
    world.settle(1)
    world.settle(1)
    assert world.status.attempt == 2
    assert len(world.pods) == 2
    assert world.status.late_starts is None
