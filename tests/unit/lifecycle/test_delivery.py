"""Delivery: what reaches a pod, when, and under which conditions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desist.api.vocabulary import HistoryType, Mode, Phase
from desist.lifecycle.plan import AFTER_POST, DeletePod, PostMailbox, WakeAt, WriteStatus
from desist.lifecycle.wire import mailbox
from tests.support.builders import at, make_workflow, receipt
from tests.unit.lifecycle.world import World, deeds, done


def posted_to(world: World) -> mailbox.Stop:
    """What the pod's mailbox holds."""
    stop = mailbox.parse(world.pod.obj().mailbox)
    assert stop is not None
    return stop


def test_acceptance_is_written_before_the_mailbox_in_one_plan() -> None:
    world = World().running()
    world.execution = world.execution.cancelled(Mode.CANCEL)
    assert done(world.step(1)) == ["WriteStatus", "PostMailbox"]


@pytest.mark.parametrize(("mode", "grace"), [(Mode.CANCEL, None), (Mode.FORCE, 0), (Mode.TERMINATE, 0), (Mode.KILL, 5)])
def test_what_the_mailbox_says_under_each_mode(mode: Mode, grace: int | None) -> None:
    world = World(workflow=make_workflow(signal="SIGINT")).running()
    world.request(mode, after=1, reason="why", details="what")
    stop = mailbox.parse(world.pod.obj().mailbox)
    assert stop is not None
    assert (stop.mode, stop.grace_seconds, stop.signal) == (mode, grace, "SIGINT")
    assert (stop.reason, stop.details, stop.command_id) == ("why", "what", world.command().id)
    assert (stop.run_id, stop.sequence, stop.posted_at) == (world.status.run_id, 1, at(world.seconds))


@pytest.mark.conformance("C4")
def test_a_stop_that_was_accepted_and_not_posted_is_posted_by_the_next_pass() -> None:
    world = World().running()
    world.execution = world.execution.cancelled(Mode.KILL)
    write = world.plan().actions[0]
    assert isinstance(write, WriteStatus)
    world.apply(write)
    assert done(world.step(60)) == ["PostMailbox"]
    stop = mailbox.parse(world.pod.obj().mailbox)
    assert stop is not None
    assert stop.grace_seconds == 5, "the whole grace, however late it is posted"


def test_what_is_posted_is_repeated_twice_and_then_no_more() -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    first = posted_to(world)
    for second, repeats in ((2.999, 0), (3, 1), (19.999, 1), (20, 2), (100_000, 2)):
        world.seconds = (first.posted_at - at(0)).total_seconds() + second
        world.settle()
        assert len([a for a in world.done if isinstance(a, PostMailbox)]) == 1 + repeats
        assert replace(posted_to(world), repeated_at=None) == first, "nothing changes but the time"


def test_two_repeats_that_are_due_at_once_are_one() -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    world.settle(60)
    world.settle(60)
    assert len([a for a in world.done if isinstance(a, PostMailbox)]) == 2


def test_a_stronger_stop_is_repeated_from_its_own_posting_on() -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    world.settle(60)
    world.request(Mode.KILL, grace_period_seconds=60)
    kill = posted_to(world)
    assert (kill.sequence, kill.repeated_at) == (2, None)
    world.settle(3)
    assert posted_to(world) == replace(kill, repeated_at=at(world.seconds))


def test_nothing_is_repeated_where_the_pod_is_deleted_or_its_process_has_ended() -> None:
    forced = World().running()
    forced.request(Mode.FORCE)
    forced.settle(5)
    forced.settle(60)
    assert [type(a) for a in forced.done if isinstance(a, PostMailbox | DeletePod)] == [PostMailbox, DeletePod]
    ended = World()
    ended.settle()
    ended.change_pod(lambda pod: pod.with_sidecar().running(), after=1)
    ended.request(Mode.CANCEL)
    ended.change_pod(lambda pod: pod.exited(0, receipt(stop=ended.command().id)), after=1)
    ended.settle(60)
    assert len([a for a in ended.done if isinstance(a, PostMailbox)]) == 1


def test_a_repeat_is_told_nowhere_and_moves_no_time() -> None:
    world = World().running()
    world.request(Mode.KILL, grace_period_seconds=60)
    writes, kill_at = world.writes, world.status.cancellation and world.status.cancellation.kill_at
    world.settle(30)
    assert posted_to(world).repeated_at is not None
    assert world.writes == writes
    world.change_pod(lambda pod: pod.exited(143, receipt(stop=world.command().id)).over(), after=1)
    assert world.types().count(HistoryType.CANCELLATION_POSTED) == 1
    assert world.command().applied_at == posted_to(world).posted_at
    assert kill_at == posted_to(world).deadline


@pytest.mark.conformance("C6", "C16")
@pytest.mark.parametrize("mode", list(Mode))
def test_a_pod_whose_container_never_started_is_deleted_after_the_mailbox_and_under_its_version(mode: Mode) -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.bound())
    world.execution = world.execution.cancelled(mode)
    plan = world.plan()
    assert done(plan) == ["WriteStatus", "PostMailbox", "DeletePod"]
    delete = next(a for a in plan.actions if isinstance(a, DeletePod))
    assert (delete.resource_version, delete.uid) == (AFTER_POST, world.pod.obj().uid)
    graces = {Mode.CANCEL: 5, Mode.FORCE: 1, Mode.TERMINATE: 1, Mode.KILL: 5}
    assert delete.grace_seconds == graces[mode], "an init container may hold a lock"


def test_where_the_mailbox_is_there_already_the_delete_is_under_the_version_that_was_seen() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.bound())
    world.execution = world.execution.cancelled(Mode.CANCEL)
    for action in deeds(world.plan())[:2]:
        world.apply(action)
    plan = world.plan()
    assert done(plan) == ["DeletePod"]
    assert plan.actions[0].resource_version == world.pod.obj().resource_version  # type: ignore[union-attr]  # a DeletePod


@pytest.mark.conformance("C6")
def test_what_has_started_meanwhile_is_not_deleted_under_cancel() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.bound())
    world.execution = world.execution.cancelled(Mode.CANCEL)
    for action in deeds(world.plan())[:2]:
        world.apply(action)
    world.change_pod(lambda pod: pod.running(world.seconds), after=1)
    world.settle(1000)
    assert world.pod.obj().deletion_timestamp is None
    assert world.phase is Phase.CANCELLING


@pytest.mark.conformance("B2", "K2")
def test_a_pod_that_is_gone_before_it_was_bound_lets_the_run_end() -> None:
    world = World()
    world.settle()
    world.request(Mode.CANCEL, after=1)
    assert not world.pods
    assert world.phase is Phase.CANCELLED
    assert world.status.start_time is None
    assert HistoryType.WORKFLOW_STARTED not in world.types()


def test_a_pod_is_deleted_five_seconds_after_its_sigkill_was_due() -> None:
    world = World().running()
    world.request(Mode.KILL)
    due = world.seconds + 5 + 5
    world.settle(5)
    assert at(due) in [a.when for a in world.plan().actions if isinstance(a, WakeAt)]
    world.seconds = due - 0.001
    world.settle()
    assert world.pod.obj().deletion_timestamp is None
    world.seconds = due
    plan = world.step()
    assert done(plan) == ["DeletePod"]
    assert next(a for a in plan.actions if isinstance(a, DeletePod)).grace_seconds == 1
    world.settle(1)
    assert len([a for a in world.done if isinstance(a, DeletePod)]) == 1


def test_the_backstop_counts_from_the_posting_that_set_the_earliest_deadline() -> None:
    world = World().running()
    world.request(Mode.KILL, grace_period_seconds=100)
    world.request(Mode.KILL, after=10, grace_period_seconds=3)
    world.settle(7.9)
    assert world.pod.obj().deletion_timestamp is None
    world.settle(0.1)
    assert world.pod.obj().deletion_timestamp is not None


def test_a_cancel_alone_never_deletes_a_process_that_runs() -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    world.settle(100_000)
    assert not [a for a in world.done if isinstance(a, DeletePod)]
    assert world.phase is Phase.CANCELLING


def test_a_pod_that_is_being_deleted_gets_no_mailbox_and_no_second_delete() -> None:
    world = World().running()
    world.change_pod(lambda pod: pod.deleting(grace=600, since=world.seconds))
    world.request(Mode.KILL, after=1)
    world.settle(60)
    assert not world.pod.obj().mailbox
    assert not [a for a in world.done if isinstance(a, DeletePod)]
    held = world.status.cancellation
    assert held is not None
    assert held.kill_at == world.pod.obj().deletion_timestamp
    assert any("nothing can shorten" in text for text in world.status.waiting_on)


def test_nothing_is_posted_to_a_process_that_has_ended_while_its_sidecar_runs() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.with_sidecar("proxy").running(), after=1)
    world.change_pod(lambda pod: pod.exited(3, receipt()), after=1)
    world.request(Mode.KILL, after=1)
    assert not world.pod.obj().mailbox
    assert any("sidecar" in text and "proxy" in text for text in world.status.waiting_on)
    assert world.status.end_time is not None
    assert world.phase is Phase.KILL_CANCELLING


def test_a_kill_is_not_posted_to_a_process_that_obeyed_a_cancel_while_its_sidecar_runs() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.with_sidecar().running(), after=1)
    world.request(Mode.CANCEL)
    cancel = world.command()
    world.change_pod(lambda pod: pod.exited(0, receipt(stop=cancel.id)), after=1)
    world.request(Mode.KILL, after=1)
    world.settle(100)
    stop = mailbox.parse(world.pod.obj().mailbox)
    assert stop is not None
    assert (stop.command_id, stop.sequence) == (cancel.id, 1)
    assert world.pod.obj().deletion_timestamp is None


def test_what_is_only_informative_makes_no_write_of_its_own() -> None:
    world = World().running()
    world.request(Mode.CANCEL, after=1)
    writes = world.writes
    world.settle(5)
    assert world.writes == writes
    assert HistoryType.CANCELLATION_POSTED not in world.types()
    world.change_pod(lambda pod: pod.exited(0, receipt(stop=world.command().id)).over(), after=1)
    assert world.writes == writes + 1
    assert world.types()[-4:] == [
        HistoryType.CANCEL_REQUESTED,
        HistoryType.CANCELLATION_POSTED,
        HistoryType.CANCELLATION_RECEIVED,
        HistoryType.WORKFLOW_CANCELLED,
    ]
    assert world.command().applied_at == at(2)


def test_applied_is_when_the_last_stop_was_posted_and_the_posting_is_told_once() -> None:
    world = World().running()
    world.request(Mode.KILL, grace_period_seconds=100)
    world.request(Mode.KILL, after=10, grace_period_seconds=5)
    applied = world.seconds
    world.request(Mode.KILL, after=1, reason="again", grace_period_seconds=5)
    world.request(Mode.KILL, after=1, reason="and again", grace_period_seconds=5)
    assert world.command(0).applied_at == at(applied)
    assert world.types().count(HistoryType.CANCELLATION_POSTED) == 1


def test_a_cancel_of_a_running_pod_takes_two_writes_and_one_posting() -> None:
    world = World().running()
    world.done.clear()
    world.request(Mode.KILL, after=1)
    world.change_pod(lambda pod: pod.exited(143, receipt(stop=world.command().id)).over(), after=1)
    assert world.phase is Phase.CANCELLED
    kinds = [type(a).__name__ for a in world.done]
    assert (kinds.count("WriteStatus"), kinds.count("PostMailbox"), kinds.count("DeletePod")) == (2, 1, 0)


@pytest.mark.parametrize(("mode", "grace"), [(Mode.KILL, 60), (Mode.FORCE, 0), (Mode.TERMINATE, 0)])
def test_the_time_of_the_sigkill_is_in_the_write_that_accepts_the_command(mode: Mode, grace: int) -> None:
    world = World().running()
    world.execution = world.execution.cancelled(mode, grace_period_seconds=60)
    world.seconds += 1
    world.apply(world.plan().actions[0])
    assert world.pod.obj().mailbox == "", "nothing is posted yet"
    assert world.status.cancellation is not None
    assert world.status.cancellation.kill_at == at(world.seconds + grace)
    world.settle()
    assert world.status.cancellation.kill_at == at(world.seconds + grace)


def test_a_cancel_has_no_time_of_a_sigkill() -> None:
    world = World().running()
    world.request(Mode.CANCEL, after=1)
    assert world.status.cancellation is not None
    assert world.status.cancellation.kill_at is None


def test_no_command_is_applied_before_it_was_accepted() -> None:
    world = World().running()
    world.request(Mode.FORCE, after=1)
    world.request(Mode.TERMINATE, after=1)
    world.change_pod(lambda pod: pod.exited(137, receipt(stop=world.command().id)).over(), after=1)
    assert [record.applied_at for record in world.status.commands] == [at(2), at(3)]
    posted = [entry.time for entry in world.status.history if entry.type is HistoryType.CANCELLATION_POSTED]
    assert posted == [at(2), at(3)]
