"""What the stop or the end of a run means for its operations, and what the run tells of them."""

from __future__ import annotations

import pytest

from desist.api.base import Opaque
from desist.api.vocabulary import (
    ClosePolicy,
    CommandSource,
    HistoryType,
    Mode,
    OnLostNode,
    Phase,
    ProcessState,
)
from desist.api.workflow import StopPolicy
from desist.lifecycle.plan import CreatePod, DeletePod, PostMailbox
from desist.lifecycle.wire import mailbox
from tests.support.builders import T0, at, make_node, receipt
from tests.unit.lifecycle.operation_world import Operations


class TestTheRunsEnd:
    def test_a_natural_end_stops_what_is_open_by_a_command_of_its_own(self) -> None:
        world = Operations().running("a", stop_policy=StopPolicy(grace_period_seconds=7))
        world.end_run()
        assert world.run.phase == Phase.RUNNING.value
        status = world.status("a")
        assert status.phase is Phase.KILL_CANCELLING
        assert [(c.source, c.mode) for c in status.commands] == [(CommandSource.CLOSED, Mode.KILL)]
        posted = mailbox.parse(world.pod("a").obj().mailbox)
        assert posted is not None
        assert (posted.grace_seconds, posted.reason) == (7, "run closed")
        world.exits("a", 143)
        assert world.status("a").phase is Phase.CANCELLED
        assert world.run.phase == Phase.SUCCEEDED.value
        assert world.run.types()[-2:] == [HistoryType.OPERATION_CANCELLED, HistoryType.WORKFLOW_COMPLETED]

    def test_wait_is_waited_for_and_named(self) -> None:
        world = Operations().running("a", close_policy=ClosePolicy.WAIT)
        world.stop_run(Mode.CANCEL)
        world.end_run(143)
        assert "a" in world.run.status.waiting_on[0]
        assert world.pod("a").obj().mailbox == ""
        world.exits("a", 0)
        assert world.status("a").phase is Phase.SUCCEEDED
        assert not world.run.status.open

    def test_kill_overrides_wait(self) -> None:
        world = Operations().running("a", close_policy=ClosePolicy.WAIT)
        world.end_run()
        world.stop_run(Mode.KILL)
        assert world.run.phase == Phase.KILL_CANCELLING.value
        assert mailbox.parse(world.pod("a").obj().mailbox) is not None
        world.exits("a", 143)
        assert world.run.phase == Phase.SUCCEEDED.value
        assert world.run.command().superseded_by == "completion"

    def test_abandon_is_left_over_and_a_kill_of_the_ended_run_reaps_it(self) -> None:
        world = Operations().running("a", close_policy=ClosePolicy.ABANDON)
        world.end_run()
        ended = world.run.status
        assert (ended.phase, ended.operations and ended.operations.left_over) == (Phase.SUCCEEDED, 1)
        assert ended.can_kill is True
        world.stop_run(Mode.KILL)
        assert mailbox.parse(world.pod("a").obj().mailbox) is not None
        world.exits("a", 137)
        world.settle(11)
        after = world.run.status
        assert (after.phase, after.end_time, after.failure) == (ended.phase, ended.end_time, ended.failure)
        assert world.run.command().outcome == "reaped"
        assert after.operations is not None
        assert after.operations.left_over == 0
        assert after.can_kill is False
        assert after.history[-1].type is HistoryType.OPERATION_CANCELLED

    def test_a_kill_tells_all_before_any_of_their_statuses_and_costs_one_write_each(self) -> None:
        world = Operations().running("a").running("b")
        before, of_run = dict(world.writes), world.run.writes
        world.stop_run(Mode.KILL, grace_period_seconds=3)
        assert world.writes == before
        for key in "ab":
            posted = mailbox.parse(world.pod(key).obj().mailbox)
            assert posted is not None
            assert (posted.command_id, posted.grace_seconds) == (world.run.command().id, 3)
        world.end_run(143)
        for key in "ab":
            world.exits(key, 143)
        assert world.run.phase == Phase.CANCELLED.value
        assert world.run.writes - of_run == 2
        for key in "ab":
            assert world.writes[key] - before[key] == 1
            assert [c.id for c in world.status(key).commands] == [world.run.command().id]
            assert world.status(key).commands[0].source is CommandSource.RUN

    def test_force_leaves_what_runs_and_does_not_run_it_again(self) -> None:
        world = Operations().running("a")
        world.create("b")
        world.settle()
        world.stop_run(Mode.FORCE)
        assert world.pod("a").obj().mailbox == ""
        assert next(a for k, a in world.done if isinstance(a, DeletePod) and k == "b").grace_seconds == 1
        world.end_run(137)
        world.settle()
        assert world.run.phase == Phase.CANCELLED.value
        assert world.run.status.operations is not None
        assert world.run.status.operations.left_over == 1
        drained = world.pod("a").having(
            deletion_timestamp=T0, deletion_seen_at=T0, disruption_reason="EvictionByEvictionAPI"
        )
        world.change_pod("a", drained.exited(143, finished=world.run.seconds).over())
        assert world.status("a").phase is Phase.CANCELLED

    def test_terminate_gives_each_its_own_grace(self) -> None:
        world = Operations().running("a", stop_policy=StopPolicy(grace_period_seconds=9))
        world.stop_run(Mode.TERMINATE)
        posted = mailbox.parse(world.pod("a").obj().mailbox)
        assert posted is not None
        assert (posted.mode, posted.grace_seconds) == (Mode.KILL, 9)
        world.settle(3)
        assert world.status("a").phase is Phase.KILL_CANCELLING
        world.end_run(137)
        assert world.run.phase == Phase.TERMINATING.value
        world.exits("a", 143)
        assert world.run.phase == Phase.TERMINATED.value

    def test_one_that_succeeds_within_the_grace_keeps_its_outcome(self) -> None:
        world = Operations().running("a")
        world.stop_run(Mode.KILL, grace_period_seconds=30)
        receipt = '{"receipt":1,"started":true,"outcome":"ok"}'
        said = f'{receipt}\n{{"outcome":"Succeeded","result":7}}'
        world.end_run(143)
        world.exits("a", 0, said)
        assert world.status("a").phase is Phase.SUCCEEDED
        assert world.run.phase == Phase.CANCELLED.value

    def test_a_stop_in_the_runs_back_off_waits_for_its_operations(self) -> None:
        world = Operations().running("a")
        pod = world.run.pod
        drained = pod.having(deletion_timestamp=T0, deletion_seen_at=T0, disruption_reason="EvictionByEvictionAPI")
        world.run.pods[pod.obj().name] = drained.exited(143, finished=world.run.seconds).over()
        world.settle()
        assert world.run.status.next_attempt_at is not None
        world.stop_run(Mode.KILL)
        assert world.run.phase == Phase.KILL_CANCELLING.value
        assert mailbox.parse(world.pod("a").obj().mailbox) is not None
        world.exits("a", 143)
        assert world.run.phase == Phase.CANCELLED.value
        assert world.run.status.attempt == 1

    def test_what_turns_up_after_the_end_gets_no_pod_and_is_counted_as_late(self) -> None:
        world = Operations()
        world.end_run()
        world.create("a")
        world.settle()
        assert (world.status("a").phase, world.status("a").late) == (Phase.CANCELLED, True)
        assert not [a for _, a in world.done if isinstance(a, CreatePod | PostMailbox)]
        assert world.run.status.operations is not None
        assert world.run.status.operations.late == 1
        assert HistoryType.OPERATION_CANCELLED not in world.run.types()

    def test_timers_and_operations_are_told_in_the_order_of_their_ends(self) -> None:
        world = Operations().running("charge")
        world.create("reminder", timer={"delay_milliseconds": 3_600_000})
        world.settle()
        world.stop_run(Mode.CANCEL)
        world.end_run(143, message=receipt(stop=world.run.command().id))
        world.settle(1)
        world.exits("charge", 143, after=1)
        kinds = [e.type.value for e in world.run.status.history if e.type.value[:12] != "Cancellation"]
        assert kinds == [
            "StartAccepted",
            "WorkflowStarted",
            "CancelRequested",
            "TimerCancelled",
            "OperationCancelled",
            "WorkflowCancelled",
        ]
        assert {e.operation for e in world.run.status.history} == {None, "charge", "reminder"}


def test_counts_alone_are_written_once_in_ten_seconds() -> None:
    world = Operations()
    for number in range(5):
        world.create(f"a{number}")
    world.settle()
    counts = world.run.status.operations
    assert counts is not None
    assert counts.open == 5
    world.create("one-more")
    world.settle_operations()
    world.counted_at = at(world.run.seconds)
    assert not world.run_writes()
    world.run.seconds += 10
    assert world.run_writes()


def test_a_local_operation_that_was_written_counts_until_the_run_is_closed() -> None:
    world = Operations().running("a")
    world.stop_run(Mode.KILL)
    world.create("l", local={"outcome": Opaque.of({"outcome": "Succeeded", "result": 1})})
    world.settle()
    assert world.status("l").phase is Phase.SUCCEEDED


def test_a_deadline_of_the_run_kills_its_operations_and_the_run_is_timed_out() -> None:
    world = Operations()
    spec = world.run.status.workflow_spec
    assert spec is not None
    bounded = world.run.status.replace(workflow_spec=spec.replace(active_deadline_seconds=60))
    world.run.execution = world.run.execution.with_status(bounded)
    world.running("a")
    world.settle(60)
    posted = mailbox.parse(world.pod("a").obj().mailbox)
    assert posted is not None
    assert posted.command_id == world.run.command().id
    world.end_run(143)
    world.exits("a", 143)
    assert (world.run.phase, world.status("a").phase) == (Phase.TIMED_OUT, Phase.CANCELLED)


@pytest.mark.parametrize("own_grace", [1, 20])
def test_stops_of_one_and_of_its_run_merge_and_the_harder_wins(own_grace: int) -> None:
    world = Operations().running("a")
    world.stop("a", Mode.KILL, grace_period_seconds=own_grace)
    world.stop_run(Mode.KILL, grace_period_seconds=5)
    posted = mailbox.parse(world.pod("a").obj().mailbox)
    assert posted is not None
    assert posted.grace_seconds == min(own_grace, 5)


def test_the_runs_forget_counts_for_its_operations() -> None:
    world = Operations().running("a")
    world.run.nodes = [make_node(ready=False, since=-3600)]
    world.settle(60)
    assert world.status("a").unconfirmed
    world.stop_run(Mode.KILL, on_lost_node=OnLostNode.FORGET)
    world.settle(3)
    assert world.status("a").processes[0].state is ProcessState.UNPROVEN
    assert not world.run.status.open
