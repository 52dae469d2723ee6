"""Commands: what is recorded, what a repetition changes, what supersedes what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desist.api.vocabulary import (
    CommandOutcome,
    CommandSource,
    CommandStatus,
    HistoryType,
    Mode,
    OnLostNode,
    Phase,
    RejectionReason,
    TargetScope,
)
from desist.lifecycle.wire import mailbox
from tests.support.builders import at, make_execution, make_spec, make_workflow, receipt
from tests.unit.lifecycle.world import World

OTHER_RUN = "01HZZZZZZZZZZZZZZZZZZZZZZZ"


def posted(world: World) -> mailbox.Stop:
    """What the pod's mailbox holds."""
    stop = mailbox.parse(world.pod.obj().mailbox)
    assert stop is not None
    return stop


def held(world: World):  # type: ignore[no-untyped-def]  # the model's own type, not None
    assert world.status.cancellation is not None
    return world.status.cancellation


@pytest.mark.conformance("G4", "H16")
def test_a_command_is_recorded_with_all_that_is_known_about_its_caller() -> None:
    world = World(field_manager="kubectl-patch").running()
    world.request(Mode.CANCEL, after=1, reason="asked", details="by phone", request_id="r-1")
    record = world.command()
    assert (record.reason, record.details, record.request_id) == ("asked", "by phone", "r-1")
    assert (record.field_manager, record.source) == ("kubectl-patch", CommandSource.API)
    assert (record.target_scope, record.resolved_run_id) == (TargetScope.INSTANCE, world.status.run_id)
    assert (record.accepted_at, record.outcome) == (at(world.seconds), None)


@pytest.mark.conformance("A12")
@pytest.mark.parametrize("reason", [None, ""])
def test_no_reason_and_an_empty_one_stay_different(reason: str | None) -> None:
    world = World().running()
    world.request(Mode.CANCEL, reason=reason)
    assert world.command().reason == reason
    assert ("reason" in world.command().wire()) is (reason is not None)


@pytest.mark.conformance("B13")
def test_the_same_request_applied_again_does_nothing() -> None:
    world = World().running()
    world.request(Mode.CANCEL, request_id="r-1")
    writes = world.writes
    world.execution = world.execution.cancelled(Mode.CANCEL, request_id="r-1")
    world.settle(1)
    assert world.status.command_count == 1
    assert world.writes == writes + 1, "only observedGeneration"


@pytest.mark.conformance("B12")
def test_a_duplicate_gets_the_first_commands_id_and_no_history_entry() -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    world.request(Mode.CANCEL, after=1, reason="again")
    first, second = world.status.commands
    assert (first.id, first.sequence, second.sequence) == (second.id, 1, 2)
    assert second.status is CommandStatus.DUPLICATE
    assert world.types().count(HistoryType.CANCEL_REQUESTED) == 1


@pytest.mark.conformance("A6")
def test_each_step_up_is_recorded_in_order_and_supersedes_the_last_one() -> None:
    world = World().running()
    for mode in (Mode.CANCEL, Mode.FORCE, Mode.TERMINATE, Mode.KILL):
        world.request(mode, after=1)
    commands = world.status.commands
    assert [c.superseded_by for c in commands] == [commands[1].id, commands[2].id, commands[3].id, None]
    assert held(world).mode is Mode.KILL
    assert [t for t in world.types() if t.endswith("Requested")] == [
        HistoryType.CANCEL_REQUESTED,
        HistoryType.FORCE_REQUESTED,
        HistoryType.TERMINATE_REQUESTED,
        HistoryType.KILL_REQUESTED,
    ]


def test_a_kill_after_a_force_does_not_give_the_process_a_grace_again() -> None:
    world = World().running()
    world.request(Mode.FORCE)
    world.request(Mode.KILL, after=1, grace_period_seconds=60)
    assert held(world).grace_period_seconds == 0
    assert posted(world).grace_seconds == 0
    assert posted(world).mode is Mode.KILL


@pytest.mark.conformance("A14", "A15")
def test_a_request_that_names_another_run_is_recorded_with_both_runs_and_stops_nothing() -> None:
    world = World().running()
    world.request(Mode.KILL, run_id=OTHER_RUN, on_lost_node=OnLostNode.FORGET)
    record = world.command()
    assert record.rejection_reason is RejectionReason.SELECTED_RUN_NOT_CURRENT
    assert (record.requested_run_id, record.resolved_run_id) == (OTHER_RUN, world.status.run_id)
    assert record.target_scope is TargetScope.RUN
    assert world.phase is Phase.RUNNING
    assert held(world).forget_lost_nodes is None
    assert not world.pod.obj().mailbox


@pytest.mark.conformance("A14")
def test_a_request_that_names_the_current_run_is_accepted() -> None:
    world = World().running()
    world.request(Mode.CANCEL, run_id=world.status.run_id)
    assert world.phase is Phase.CANCELLING
    assert world.command().target_scope is TargetScope.RUN


@pytest.mark.conformance("B9")
def test_a_request_that_names_a_run_before_one_has_begun_is_rejected_and_the_run_begins() -> None:
    world = World(make_execution().cancelled(Mode.CANCEL, run_id=OTHER_RUN))
    world.settle()
    assert world.command(0).rejection_reason is RejectionReason.INSTANCE_NOT_STARTED
    assert world.command(0).resolved_run_id is None
    assert world.phase is Phase.PENDING
    assert len(world.pods) == 1


@pytest.mark.conformance("B2", "B9")
def test_a_manifest_created_with_a_cancellation_never_starts() -> None:
    world = World(make_execution().cancelled(Mode.CANCEL))
    world.settle()
    assert world.phase is Phase.CANCELLED
    assert not world.pods
    assert world.status.run_id is None
    assert world.types() == [HistoryType.CANCEL_REQUESTED, HistoryType.WORKFLOW_CANCELLED]
    assert world.status.end_time == at(0)


@pytest.mark.conformance("G4")
def test_a_rejection_is_recorded_once_with_an_event_that_quotes_the_phase() -> None:
    world = World().running()
    world.change_pod(lambda pod: pod.exited(0, receipt()).over())
    world.request(Mode.KILL, after=1)
    world.settle(1)
    assert world.status.command_count == 1
    assert world.command().rejected_at is not None
    assert "Succeeded" in (world.command().message or "")
    assert [e.reason for e in world.events].count("CommandRejected") == 1


def test_after_the_end_a_request_that_goes_is_forgotten_and_may_come_again() -> None:
    world = World().running()
    world.change_pod(lambda pod: pod.exited(0, receipt()).over())
    world.request(Mode.KILL, after=1)
    world.execution = world.execution.changed(cancellation=None)
    world.settle()
    assert world.status.cancellation is None
    world.request(Mode.KILL, after=1)
    assert world.status.command_count == 2
    assert world.phase is Phase.SUCCEEDED


@pytest.mark.conformance("G6")
def test_the_outcome_of_a_command_is_empty_until_the_run_closes() -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    world.request(Mode.CANCEL, reason="again")
    world.request(Mode.TERMINATE, after=1)
    assert {record.outcome for record in world.status.commands} == {None}
    world.change_pod(lambda pod: pod.exited(137, receipt(stop="x")).over())
    assert {record.outcome for record in world.status.commands} == {CommandOutcome.TERMINATED}


@pytest.mark.conformance("C2")
def test_a_grace_longer_than_the_workflow_allows_is_cut_and_the_record_says_so() -> None:
    world = World(workflow=make_workflow(grace=7, max_grace=20)).running()
    world.request(Mode.KILL, grace_period_seconds=600)
    assert held(world).grace_period_seconds == 20
    assert "maxGracePeriodSeconds" in (world.command().message or "")


@pytest.mark.conformance("C2")
@pytest.mark.parametrize(("asked", "grace"), [(None, 7), (3, 3), (12, 12)])
def test_the_grace_of_a_kill_is_the_requests_else_the_workflows(asked: int | None, grace: int) -> None:
    world = World(workflow=make_workflow(grace=7)).running()
    world.request(Mode.KILL, grace_period_seconds=asked)
    assert posted(world).grace_seconds == grace


def test_a_duplicate_kill_with_a_shorter_grace_brings_the_sigkill_forward() -> None:
    world = World(workflow=make_workflow(grace=60)).running()
    world.request(Mode.KILL)
    world.request(Mode.KILL, after=2, grace_period_seconds=5)
    assert posted(world).deadline == at(world.seconds + 5)
    assert posted(world).sequence == 2
    assert "grace" in (world.command().message or "")


def test_a_duplicate_kill_whose_grace_would_end_later_than_the_first_one_changes_nothing() -> None:
    world = World(workflow=make_workflow(grace=60)).running()
    world.request(Mode.KILL)
    first = posted(world)
    world.request(Mode.KILL, after=58, grace_period_seconds=30)
    assert replace(posted(world), repeated_at=None) == first
    assert held(world).grace_period_seconds == 60


def test_a_duplicate_with_an_earlier_kill_after_moves_the_escalation_forward_only() -> None:
    world = World().running()
    world.request(Mode.CANCEL, kill_after_seconds=60)
    accepted = world.seconds
    world.request(Mode.CANCEL, after=10, kill_after_seconds=59)
    assert held(world).kill_after == at(accepted + 60)
    world.request(Mode.CANCEL, after=1, kill_after_seconds=5)
    assert held(world).kill_after == at(world.seconds + 5)


def test_a_duplicate_takes_forget() -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    world.request(Mode.CANCEL, on_lost_node=OnLostNode.FORGET)
    assert held(world).forget_lost_nodes is True


def test_a_request_that_is_too_weak_still_takes_forget_and_nothing_else() -> None:
    world = World(make_execution(active_deadline_seconds=5)).running()
    world.settle(10)
    before = held(world)
    world.request(Mode.CANCEL, on_lost_node=OnLostNode.FORGET, kill_after_seconds=1)
    assert world.command().rejection_reason is RejectionReason.WEAKER_THAN_CURRENT
    after = held(world)
    assert after.forget_lost_nodes is True
    assert (after.mode, after.grace_period_seconds, after.kill_after, after.end_mode) == (
        before.mode,
        before.grace_period_seconds,
        before.kill_after,
        before.end_mode,
    )


def test_of_commands_that_were_not_accepted_the_last_twenty_are_kept_and_all_are_counted() -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    for number in range(30):
        world.request(Mode.CANCEL, reason=f"again {number}")
    commands = world.status.commands
    assert world.status.command_count == 31
    assert commands[0].status is CommandStatus.ACCEPTED
    assert [c.reason for c in commands[1:]] == [f"again {n}" for n in range(10, 30)]


@pytest.mark.conformance("B17")
def test_an_end_that_was_reported_before_the_command_was_accepted_counts() -> None:
    world = World().running()
    world.pods[world.pod.obj().name] = world.pod.exited(0, receipt()).over()
    world.request(Mode.KILL, after=1)
    assert world.phase is Phase.SUCCEEDED
    assert world.command().rejection_reason is RejectionReason.RUN_NOT_ACTIVE


def test_an_end_that_was_reported_while_a_sidecar_runs_counts_though_a_kill_comes_before_the_close() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.with_sidecar().running(), after=1)
    world.change_pod(lambda pod: pod.exited(0, receipt()), after=2)
    ended = world.status.end_time
    world.request(Mode.KILL, after=1)
    assert world.phase is Phase.KILL_CANCELLING
    assert world.command().superseded_by == "completion"
    world.change_pod(lambda pod: pod.over(), after=30)
    assert world.status.phase is Phase.SUCCEEDED
    assert world.status.end_time == ended


@pytest.mark.conformance("G2", "G3")
def test_the_requested_and_the_terminal_entry_carry_the_same_command_and_the_failures_id() -> None:
    world = World().running()
    world.request(Mode.CANCEL, reason="why")
    world.change_pod(lambda pod: pod.exited(0, receipt(stop=world.command().id)).over(), after=1)
    requested = next(e for e in world.status.history if e.type is HistoryType.CANCEL_REQUESTED)
    terminal = world.status.history[-1]
    assert terminal.type is HistoryType.WORKFLOW_CANCELLED
    assert (requested.command_id, requested.reason) == (terminal.command_id, terminal.reason)
    assert terminal.failure == world.status.failure
    assert terminal.failure is not None
    assert terminal.failure.propagation == "cancelled"


@pytest.mark.conformance("A5")
def test_the_strongest_request_before_a_deadline_names_the_end() -> None:
    world = World(make_execution(active_deadline_seconds=10)).running()
    world.request(Mode.TERMINATE)
    world.settle(20)
    assert world.phase is Phase.KILL_CANCELLING
    world.change_pod(lambda pod: pod.exited(137, receipt(stop="x")).over())
    assert world.status.phase is Phase.TERMINATED


def test_whatever_follows_a_deadline_the_run_is_timed_out() -> None:
    world = World(make_execution(active_deadline_seconds=10)).running()
    world.settle(20)
    world.request(Mode.KILL)
    assert world.command().status is CommandStatus.DUPLICATE
    world.change_pod(lambda pod: pod.exited(137, receipt(stop="x")).over())
    assert world.phase is Phase.TIMED_OUT


def test_an_execution_with_its_workflow_in_place_runs_without_a_workflow() -> None:
    world = World(make_execution(workflow_spec=make_spec()), workflow=None)
    world.settle()
    assert len(world.pods) == 1
