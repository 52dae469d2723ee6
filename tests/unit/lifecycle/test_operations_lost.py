"""Operations whose node, or whose run's status, is lost: nothing waits for what was given up, and late news is told."""

from __future__ import annotations

import pytest

from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import ClosePolicy, HistoryType, Mode, OnLostNode, Phase, ProcessReason, ProcessState
from desist.lifecycle.observed.questions import Answer, CreateAnswer
from desist.lifecycle.plan import WriteStatus
from desist.lifecycle.wire import mailbox
from tests.support.builders import at, make_node, receipt
from tests.unit.lifecycle.operation_world import Operations

LATE = "LateResult"


def lose_node(world: Operations) -> None:
    """The node of all pods does not answer, and counts as lost."""
    world.run.nodes = [make_node(ready=False, since=world.run.seconds)]
    world.settle(31)


def forgotten(mode: Mode = Mode.KILL) -> Operations:
    """A run with an operation, both of which were given up on a lost node."""
    world = Operations().running("a")
    lose_node(world)
    world.stop_run(mode, on_lost_node=OnLostNode.FORGET)
    world.settle(3)
    return world


def without_run_attempt(world: Operations) -> Operations:
    """The same, its pod gone, and the run's status edited: it has a run, and no attempt of it."""
    world.run.pods.clear()
    wire = world.run.status.wire()
    kept = {name: value for name, value in wire.items() if name not in ("attempt", "processes")}
    world.run.execution = world.run.execution.with_status(WorkflowExecutionStatus.model_validate(kept))
    return world


def in_its_second_attempt(boot_id: str) -> Operations:
    """A run on a node that says this of its boot; the pod of its operation was drained, and the next one is made."""
    world = Operations()
    world.run.nodes = [make_node(boot_id=boot_id)]
    world.running("a")
    world.change_pod("a", world.pod("a").deleting().exited(143, receipt(sigterm=1)).over(), 1)
    world.settle(2)
    return world


def _ends_as_told(world: Operations) -> None:
    world.end_run(0, message=receipt(stop=world.run.command().id))


# Forget


@pytest.mark.conformance("C7")
@pytest.mark.parametrize("policy", [ClosePolicy.STOP, ClosePolicy.WAIT])
@pytest.mark.parametrize("asked", ["with the stop", "afterwards"])
def test_forget_of_a_cancel_counts_for_what_the_run_waits_for_on_a_lost_node(policy: ClosePolicy, asked: str) -> None:
    world = Operations().running("a", close_policy=policy)
    world.stop_run(Mode.CANCEL, on_lost_node=OnLostNode.FORGET if asked == "with the stop" else OnLostNode.WAIT)
    _ends_as_told(world)
    lose_node(world)
    if asked == "afterwards":
        assert any("onLostNode: Forget" in text for text in world.run.status.waiting_on)
        world.stop_run(Mode.CANCEL, on_lost_node=OnLostNode.FORGET)
    world.settle(3)
    assert world.status("a").processes[0].state is ProcessState.UNPROVEN
    assert (world.status("a").phase, world.phase) == (Phase.CANCELLED, Phase.CANCELLED)
    (entry,) = [e for e in world.run.status.history if e.operation == "a"]
    assert (entry.type, entry.command_id) == (HistoryType.OPERATION_CANCELLED, world.run.command().id)


def test_forget_ends_nothing_that_can_be_confirmed() -> None:
    world = Operations().running("a", close_policy=ClosePolicy.WAIT)
    world.stop_run(Mode.CANCEL, on_lost_node=OnLostNode.FORGET)
    _ends_as_told(world)
    world.settle(100)
    assert (world.status("a").phase, world.phase) == (Phase.RUNNING, Phase.CANCELLING)
    assert mailbox.parse(world.pod("a").obj().mailbox) is None
    world.exits("a")
    assert (world.status("a").phase, world.phase) == (Phase.SUCCEEDED, Phase.CANCELLED)


def test_forget_gives_nothing_up_that_the_workflow_process_still_decides_about() -> None:
    world = Operations().running("a")
    lose_node(world)
    world.run.nodes = [make_node(since=world.run.seconds), make_node("node-2", ready=False, since=-3600)]
    world.change_pod("a", world.pod("a").having(node="node-2"), 1)
    world.stop_run(Mode.CANCEL, on_lost_node=OnLostNode.FORGET)
    assert (world.status("a").phase, world.phase) == (Phase.RUNNING, Phase.CANCELLING)


# What turns up after the close


@pytest.mark.conformance("D10")
def test_the_result_of_a_process_that_was_given_up_is_not_recorded_and_said_once() -> None:
    world = forgotten()
    held = world.status("a")
    assert held.processes[0].reason == ProcessReason.FORGOTTEN
    world.exits("a", 0, f'{receipt()}\n{{"outcome":"Succeeded","result":{{"charged":1}}}}', after=1)
    world.settle(10)
    status = world.status("a")
    assert (status.phase, status.result, status.failure) == (Phase.CANCELLED, None, held.failure)
    assert (status.end_time, status.history) == (held.end_time, held.history)
    assert (status.processes[0].state, status.processes[0].exit_code) == (ProcessState.GONE, 0)
    (event,) = [event for key, event in world.events if (key, event.reason) == ("a", LATE)]
    assert event.warning
    assert world.pod("a").obj().name in event.message
    assert "not recorded" in event.message


@pytest.mark.conformance("D10")
def test_the_outcome_of_a_run_that_was_given_up_is_not_recorded_either() -> None:
    world = forgotten()
    world.end_run(0, message=f'{receipt()}\n{{"outcome":"Succeeded","result":{{"done":true}}}}')
    world.settle(10)
    assert (world.phase, world.run.status.result) == (Phase.CANCELLED, None)
    assert world.run.status.processes[0].state is ProcessState.GONE
    assert [event.reason for event in world.run.events].count(LATE) == 1


def test_what_was_given_up_stays_unproven_for_as_long_as_nothing_tells_of_its_end() -> None:
    world = forgotten()
    world.run.nodes = [make_node(since=world.run.seconds)]
    world.settle(100)
    assert world.status("a").processes[0].state is ProcessState.UNPROVEN
    assert not [event for _, event in world.events if event.reason == LATE]
    assert world.pod("a").obj().deletion_timestamp is not None, "it is ended now that its node is back"


# A node without a boot ID


@pytest.mark.parametrize("boot_id", ["boot-1", ""])
def test_force_leaves_a_second_attempt_running_whatever_its_node_says_of_its_boot(boot_id: str) -> None:
    world = in_its_second_attempt(boot_id)
    assert world.status("a").attempt == 2
    world.change_pod("a", world.pod("a").running(world.run.seconds), 1)
    world.stop_run(Mode.FORCE)
    world.end_run(137)
    assert world.phase is Phase.CANCELLED
    counts = world.run.status.operations
    assert counts is not None
    assert (counts.left_over, world.status("a").phase) == (1, Phase.RUNNING)


@pytest.mark.parametrize("boot_id", ["boot-1", ""])
def test_force_waits_for_the_end_of_a_second_attempt_that_has_not_started(boot_id: str) -> None:
    world = in_its_second_attempt(boot_id)
    world.change_pod("a", world.pod("a").bound(), 1)
    world.stop_run(Mode.FORCE)
    world.end_run(137)
    world.settle(3)
    assert (world.phase, world.status("a").phase) == (Phase.FORCE_CANCELLING, Phase.KILL_CANCELLING)


# An attempt that has no pod


def refused_a_second_pod() -> Operations:
    """A run whose workflow process was drained, and whose next pod the API server refuses; its operation runs."""
    world = Operations().running("a")
    world.run.created = CreateAnswer(Answer.REFUSED, "exceeded quota", at(1_000_000))
    pod = world.run.pod
    world.run.pods[pod.obj().name] = pod.deleting().exited(143, receipt(sigterm=1)).over()
    world.settle()
    world.settle(2)
    assert (world.run.status.attempt, len(world.run.pods)) == (2, 1)
    return world


@pytest.mark.conformance("A3", "C15")
@pytest.mark.parametrize("mode", list(Mode))
def test_operations_of_a_run_whose_next_pod_is_never_made_end_before_it_does(mode: Mode) -> None:
    world = refused_a_second_pod()
    world.stop_run(mode)
    world.settle(1)
    left = mode is Mode.FORCE
    assert (world.run.status.open, posted(world)) == (not left, None if left else Mode.KILL)
    world.exits("a", 0 if left else 137)
    world.settle(1)
    assert world.phase is (Phase.TERMINATED if mode is Mode.TERMINATE else Phase.CANCELLED)


def test_operations_of_a_run_whose_next_pod_is_refused_for_good_end_before_it_does() -> None:
    world = refused_a_second_pod()
    world.run.creates = False
    world.run.created = CreateAnswer(Answer.INVALID, "no such priority class", at(world.run.seconds))
    world.settle(1)
    assert (world.run.status.open, posted(world)) == (True, Mode.KILL)
    world.exits("a", 137)
    world.settle(1)
    assert (world.phase, world.status("a").phase) == (Phase.FAILED, Phase.CANCELLED)


def posted(world: Operations) -> Mode | None:
    """What the operation was told."""
    stop = mailbox.parse(world.pod("a").obj().mailbox)
    return stop.mode if stop else None


# A status that was edited


@pytest.mark.parametrize("mode", list(Mode))
def test_a_run_that_lost_its_attempt_and_has_operations_takes_a_request_once(mode: Mode) -> None:
    world = without_run_attempt(Operations().running("a"))
    world.stop_run(mode)
    assert len(world.run.status.commands) == 1
    assert not world.run_writes()
    if mode is not Mode.FORCE:
        world.exits("a", 137)
    world.settle(61)
    assert world.phase is (Phase.TERMINATED if mode is Mode.TERMINATE else Phase.CANCELLED)


def test_a_run_that_lost_its_attempt_and_has_operations_goes_on_as_the_same_run() -> None:
    world = without_run_attempt(Operations().running("a"))
    run_id = world.run.status.run_id
    world.settle(1)
    assert (world.run.status.run_id, world.run.status.attempt) == (run_id, 1)
    assert len(world.run.pods) == 1
    assert world.status("a").phase is Phase.RUNNING


def test_a_run_that_lost_its_attempt_before_it_had_operations_begins() -> None:
    world = without_run_attempt(Operations())
    world.settle(1)
    assert world.run.status.attempt == 1
    assert [action for action in world.run.done if isinstance(action, WriteStatus)]


# What a node's end proves


@pytest.mark.conformance("C14")
def test_a_pod_that_stays_after_its_nodes_end_holds_nothing_up() -> None:
    world = Operations().running("a")
    lose_node(world)
    world.stop_run(Mode.KILL)
    world.run.nodes = [make_node(ready=False, since=world.run.seconds, out_of_service=True)]
    world.settle(1)
    assert world.status("a").processes[0].state is ProcessState.GONE
    assert world.pod("a").obj().phase == "Running", "no kubelet and no pod GC has been there"
    assert (world.status("a").phase, world.phase) == (Phase.CANCELLED, Phase.CANCELLED)
