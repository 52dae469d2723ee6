"""Deadlines and escalations: when they fire, and what they may and may not do."""

from __future__ import annotations

from typing import Any

import pytest

from desist.api.vocabulary import CommandSource, HistoryType, Mode, Phase
from desist.lifecycle.observed.questions import Answer, CreateAnswer
from desist.lifecycle.wire import mailbox
from tests.support.builders import at, make_execution, make_workflow, receipt
from tests.unit.lifecycle.world import World, deeds


def posted(world: World) -> mailbox.Stop:
    stop = mailbox.parse(world.pod.obj().mailbox)
    assert stop is not None
    return stop


@pytest.mark.conformance("A8")
def test_a_stop_becomes_a_kill_by_itself_with_the_words_of_its_request() -> None:
    world = World(workflow=make_workflow(grace=4)).running()
    world.request(Mode.CANCEL, after=1, kill_after_seconds=10, reason="why", details="what", request_id="r")
    accepted = world.seconds
    world.settle(9.9)
    assert world.phase is Phase.CANCELLING
    world.settle(0.1)
    record = world.command()
    assert world.status.phase is Phase.KILL_CANCELLING
    assert (record.source, record.mode) == (CommandSource.ESCALATION, Mode.KILL)
    assert (record.reason, record.details, record.request_id) == ("why", "what", "r")
    assert HistoryType.CANCELLATION_ESCALATED in world.types()
    assert posted(world).deadline == at(accepted + 10 + 4)
    assert world.status.commands[0].superseded_by == record.id


@pytest.mark.conformance("A8")
def test_the_words_are_those_of_the_request_that_brought_the_time_also_of_a_duplicate() -> None:
    world = World().running()
    world.request(Mode.CANCEL, reason="please", request_id="first")
    world.request(Mode.CANCEL, reason="hurry", request_id="second", kill_after_seconds=10)
    for number in range(30):
        world.request(Mode.CANCEL, reason=f"again {number}", kill_after_seconds=10)
    world.settle(10)
    record = world.command()
    assert (record.source, record.reason, record.request_id) == (CommandSource.ESCALATION, "hurry", "second")


def test_a_pass_wakes_itself_at_the_escalation() -> None:
    world = World().running()
    world.request(Mode.CANCEL, kill_after_seconds=10)
    due = world.seconds + 10
    world.settle(9)
    plan = world.plan()
    assert at(due) in [getattr(action, "when", None) for action in plan.actions]


def test_the_workflows_kill_after_counts_from_the_first_stop() -> None:
    world = World(workflow=make_workflow(kill_after=30)).running()
    world.request(Mode.CANCEL)
    accepted = world.seconds
    world.request(Mode.TERMINATE, after=20)
    assert world.status.cancellation is not None
    assert world.status.cancellation.kill_after == at(accepted + 30)


def test_an_escalation_hastens_the_end_and_does_not_rename_it() -> None:
    world = World(workflow=make_workflow(kill_after=5)).running()
    world.request(Mode.TERMINATE)
    world.settle(6)
    assert world.phase is Phase.KILL_CANCELLING
    world.change_pod(lambda pod: pod.exited(137, receipt(stop="x")).over())
    assert world.status.phase is Phase.TERMINATED


def test_a_kill_asked_for_before_an_escalation_kills_no_later_than_that_would_have() -> None:
    world = World(workflow=make_workflow(grace=4)).running()
    world.request(Mode.CANCEL, kill_after_seconds=10)
    accepted = world.seconds
    world.request(Mode.KILL, after=2, grace_period_seconds=600)
    deadline = posted(world).deadline
    assert deadline is not None
    assert deadline <= at(accepted + 14)
    assert "killAfterSeconds" in (world.command().message or "")


def test_a_kill_with_a_shorter_grace_is_not_cut_by_a_pending_escalation() -> None:
    world = World(workflow=make_workflow(grace=4)).running()
    world.request(Mode.CANCEL, kill_after_seconds=100)
    world.request(Mode.KILL, after=2, grace_period_seconds=3)
    assert posted(world).deadline == at(world.seconds + 3)


def test_a_kill_is_not_escalated() -> None:
    world = World().running()
    world.request(Mode.KILL, kill_after_seconds=1, grace_period_seconds=60)
    world.settle(5)
    assert world.status.command_count == 1


@pytest.mark.conformance("C17")
def test_a_run_that_has_used_up_its_time_is_killed_and_timed_out() -> None:
    world = World(make_execution(active_deadline_seconds=10), workflow=make_workflow(grace=3)).running()
    started = 1
    world.settle(8.9)
    assert world.phase is Phase.RUNNING
    world.seconds = started + 10
    world.settle()
    assert world.status.phase == "KillCancelling"
    assert world.command().source is CommandSource.DEADLINE
    assert posted(world).grace_seconds == 3
    world.change_pod(lambda pod: pod.exited(137, receipt(stop="x")).over(), after=3)
    assert (world.status.phase, world.status.closed_reason) == ("TimedOut", "timed_out")


@pytest.mark.conformance("C17")
def test_a_cancel_accepted_before_the_deadline_stays_cancelled() -> None:
    world = World(make_execution(active_deadline_seconds=10)).running()
    world.request(Mode.CANCEL)
    world.settle(20)
    world.change_pod(lambda pod: pod.exited(137, receipt(stop="x")).over())
    assert world.phase is Phase.CANCELLED


def test_a_run_that_waits_for_its_next_attempt_is_timed_out_at_once() -> None:
    world = World(make_execution(active_deadline_seconds=3)).running()
    world.change_pod(lambda pod: pod.deleting().exited(143, receipt(sigterm=2)).over(), after=1.5)
    assert world.phase is Phase.RUNNING
    world.seconds = 4
    world.creates = False
    world.execution = world.execution.with_status(world.status.model_copy(update={"next_attempt_at": at(100)}))
    world.settle()
    assert world.status.phase is Phase.TIMED_OUT
    assert world.status.commands == ()


def test_the_deadline_counts_over_all_attempts() -> None:
    world = World(make_execution(active_deadline_seconds=30)).running()
    world.change_pod(lambda pod: pod.deleting().exited(143, receipt(sigterm=2)).over(), after=1)
    world.settle(2)
    world.change_pod(lambda pod: pod.running(world.seconds), after=1)
    assert world.status.attempt == 2
    world.seconds = 31
    world.settle()
    assert world.phase is Phase.KILL_CANCELLING


@pytest.mark.conformance("C17")
def test_a_deadline_also_ends_a_run_whose_process_cannot_start() -> None:
    """An image that cannot be pulled, say."""
    world = World(make_execution(active_deadline_seconds=30))
    world.settle(5)
    world.change_pod(lambda pod: pod.bound().container("workflow", reason="ImagePullBackOff"), after=1)
    accepted = world.status.accepted_at
    assert accepted == at(5)
    world.settle(28)
    assert world.phase is Phase.PENDING
    world.settle(1)
    assert world.status.phase is Phase.KILL_CANCELLING
    world.change_pod(lambda pod: pod.having(phase="Failed"), after=1)
    assert (world.phase, world.status.start_time, world.status.accepted_at) == (Phase.TIMED_OUT, None, accepted)


@pytest.mark.conformance("C17")
def test_a_deadline_without_a_pod_ends_the_run_at_once() -> None:
    world = World(make_execution(active_deadline_seconds=30), creates=False)
    world.step()
    world.created = CreateAnswer(Answer.REFUSED, "exceeded quota", at(0), retry_after=300)
    world.settle(29)
    assert world.phase is Phase.PENDING
    world.settle(1)
    assert world.status.phase is Phase.TIMED_OUT


def test_a_run_that_has_not_begun_has_no_deadline() -> None:
    world = World(make_execution(active_deadline_seconds=3), dry_run=CreateAnswer(Answer.REFUSED, "quota"))
    world.settle()
    world.settle(100)
    assert (world.phase, world.status.accepted_at) == (Phase.PENDING, None)


@pytest.mark.conformance("C17", "K9")
@pytest.mark.parametrize("node", [-7200, 7200])
def test_a_nodes_clock_fires_no_deadline_early_and_puts_none_off(node: float) -> None:
    world = World(make_execution(active_deadline_seconds=60))
    world.settle()
    world.change_pod(lambda pod: pod.running(world.seconds + node), after=1)
    world.settle(58.9)
    assert world.phase is Phase.RUNNING
    world.settle(0.1)
    assert world.status.phase is Phase.KILL_CANCELLING


def test_a_deadline_does_not_touch_a_run_whose_process_has_ended() -> None:
    world = World(make_execution(active_deadline_seconds=10))
    world.settle()
    world.change_pod(lambda pod: pod.with_sidecar().running(), after=1)
    world.change_pod(lambda pod: pod.exited(0, receipt()), after=1)
    world.settle(60)
    assert world.phase is Phase.RUNNING
    assert world.status.commands == ()
    world.change_pod(lambda pod: pod.over())
    assert world.status.phase is Phase.SUCCEEDED


def test_nothing_escalates_once_the_process_has_ended() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.with_sidecar().running(), after=1)
    world.request(Mode.CANCEL, kill_after_seconds=10)
    world.change_pod(lambda pod: pod.exited(0, receipt(stop=world.command().id)), after=1)
    world.settle(60)
    assert world.status.command_count == 1
    assert world.phase is Phase.CANCELLING


def test_the_grace_of_a_request_that_named_another_run_does_not_count_for_a_deadline() -> None:
    world = World(make_execution(active_deadline_seconds=10), workflow=make_workflow(grace=9)).running()
    world.request(Mode.KILL, grace_period_seconds=1, run_id="01HZZZZZZZZZZZZZZZZZZZZZZZ")
    world.settle(20)
    assert posted(world).grace_seconds == 9


def test_the_grace_of_the_request_in_force_counts_for_an_escalation() -> None:
    world = World(workflow=make_workflow(grace=9)).running()
    world.request(Mode.CANCEL, grace_period_seconds=2, kill_after_seconds=10)
    world.settle(10)
    assert posted(world).grace_seconds == 2


def _told_before_it_started() -> World:
    world = World(make_execution(active_deadline_seconds=10))
    world.settle()
    world.change_pod(lambda pod: pod.bound())
    world.execution = world.execution.cancelled(Mode.CANCEL)
    for action in deeds(world.plan())[:2]:
        world.apply(action)
    world.change_pod(lambda pod: pod.running(2), after=2)
    return world


@pytest.mark.conformance("K2", "C6")
def test_a_launcher_that_found_a_stop_when_it_started_never_counts_as_a_process() -> None:
    world = _told_before_it_started()
    assert world.status.start_time is None
    told = world.command().id
    world.change_pod(lambda pod: pod.exited(143, receipt(started=False, stop=told)).over(), after=1)
    assert world.phase is Phase.CANCELLED
    assert world.status.start_time is None
    assert HistoryType.WORKFLOW_STARTED not in world.types()


def test_a_process_that_started_in_spite_of_a_stop_is_known_by_its_receipt() -> None:
    world = _told_before_it_started()
    told = world.command().id
    world.change_pod(lambda pod: pod.exited(143, receipt(stop=told)).over(), after=1)
    assert world.status.start_time == at(2)


def test_the_deadline_runs_for_a_container_of_which_no_receipt_tells_yet_whether_it_started() -> None:
    world = _told_before_it_started()
    world.seconds = 12
    world.settle()
    assert world.phase is Phase.KILL_CANCELLING


def test_a_kill_has_no_time_at_which_it_becomes_one() -> None:
    world = World(workflow=make_workflow(kill_after=5)).running()
    world.request(Mode.KILL, kill_after_seconds=7)
    assert world.status.cancellation is not None
    assert world.status.cancellation.kill_after is None


def _lengthened_by_a_duplicate(**spec: Any) -> World:
    """A run whose first stop meant a grace of 5 s, the workflow's, and whose second one asks for an hour."""
    world = World(make_execution(**spec), workflow=make_workflow(grace=5)).running()
    world.request(Mode.CANCEL, kill_after_seconds=60)
    world.request(Mode.CANCEL, after=1, kill_after_seconds=60, grace_period_seconds=3600)
    return world


@pytest.mark.conformance("A8")
def test_no_later_request_makes_the_grace_of_an_escalation_longer() -> None:
    world = _lengthened_by_a_duplicate()
    accepted = world.seconds - 1
    world.settle(59)
    assert world.phase is Phase.KILL_CANCELLING
    assert posted(world).deadline == at(accepted + 60 + 5)


def test_no_later_request_makes_the_bound_of_a_kill_longer() -> None:
    world = _lengthened_by_a_duplicate()
    accepted = world.seconds - 1
    world.request(Mode.KILL, after=1, grace_period_seconds=3600)
    assert posted(world).deadline == at(accepted + 60 + 5)


@pytest.mark.conformance("C17")
def test_no_later_request_makes_the_grace_of_a_deadline_longer() -> None:
    world = _lengthened_by_a_duplicate(active_deadline_seconds=20)
    world.settle(20)
    assert posted(world).grace_seconds == 5


def test_a_shorter_grace_of_a_duplicate_counts_for_an_escalation() -> None:
    world = World(workflow=make_workflow(grace=9)).running()
    world.request(Mode.CANCEL, kill_after_seconds=10, grace_period_seconds=8)
    world.request(Mode.CANCEL, kill_after_seconds=10, grace_period_seconds=3)
    world.settle(10)
    assert posted(world).grace_seconds == 3
