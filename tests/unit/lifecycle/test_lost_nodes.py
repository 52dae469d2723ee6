"""Lost nodes and unkillable processes: the run stays open, and says why."""

from __future__ import annotations

import copy
from datetime import datetime

import pytest

from desist.api import outside
from desist.api.base import Opaque
from desist.api.conditions import ConditionStatus, ConditionType
from desist.api.vocabulary import Mode, OnLostNode, Phase, ProcessState
from desist.lifecycle.observed.pods import NodeView
from desist.lifecycle.plan import DeletePod, WakeAt
from desist.lifecycle.wire import mailbox
from tests.support.builders import TEMPLATE, at, make_node, receipt
from tests.unit.lifecycle.world import World


def lose_node(world: World, after: float = 31) -> None:
    """The node stops answering now; then time passes."""
    world.nodes = [make_node(ready=False, since=world.seconds)]
    world.settle(after)


def truth(world: World, kind: ConditionType) -> ConditionStatus | None:
    found = [c.status for c in world.status.conditions if c.type is kind]
    return found[0] if found else None


@pytest.mark.conformance("C7", "C14")
def test_a_lost_node_keeps_the_run_open_and_lists_its_process() -> None:
    world = World().running()
    world.request(Mode.KILL)
    lose_node(world)
    since = world.seconds
    world.settle(10_000)
    world.request(Mode.KILL, reason="again")
    assert world.phase is Phase.KILL_CANCELLING
    (entry,) = world.status.unconfirmed
    assert entry.since == at(since)
    assert (entry.pod, entry.node, entry.reason) == (world.pod.obj().name, "node-1", "NodeLost")
    assert truth(world, ConditionType.NODE_LOST) is ConditionStatus.TRUE
    assert world.status.processes[0].state is ProcessState.UNCONFIRMED
    assert any("node-1" in text for text in world.status.waiting_on)


def test_a_running_run_on_a_lost_node_stays_running() -> None:
    world = World().running()
    lose_node(world)
    assert world.phase is Phase.RUNNING
    assert truth(world, ConditionType.NODE_LOST) is ConditionStatus.TRUE


def test_a_node_that_is_not_ready_for_a_moment_is_not_lost() -> None:
    world = World().running()
    lose_node(world, after=29.9)
    assert "unconfirmed" not in world.status.wire()
    assert truth(world, ConditionType.NODE_LOST) is None


@pytest.mark.conformance("C8")
def test_a_node_that_comes_back_closes_the_entry_and_the_end_is_without_a_mark() -> None:
    world = World().running()
    world.request(Mode.KILL)
    lose_node(world)
    world.nodes = [make_node(since=world.seconds)]
    world.change_pod(lambda pod: pod.exited(137, receipt(stop=world.command().id)).over(), after=1)
    assert world.phase is Phase.CANCELLED
    assert world.status.processes[0].state is ProcessState.GONE
    assert "unconfirmed" not in world.status.wire()
    assert truth(world, ConditionType.NODE_LOST) is ConditionStatus.FALSE


@pytest.mark.conformance("C7")
@pytest.mark.parametrize("mode", list(Mode))
def test_forget_ends_the_run_marks_the_process_unproven_and_deletes_its_pod(mode: Mode) -> None:
    world = World().running()
    lose_node(world)
    world.request(mode, on_lost_node=OnLostNode.FORGET)
    assert world.phase is (Phase.TERMINATED if mode is Mode.TERMINATE else Phase.CANCELLED)
    assert world.status.processes[0].state is ProcessState.UNPROVEN
    assert "unconfirmed" not in world.status.wire()
    assert [a.uid for a in world.done if isinstance(a, DeletePod)] == [world.pod.obj().uid]
    assert world.status.late_starts is None


@pytest.mark.conformance("C7")
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("mode", list(Mode))
def test_forget_ends_waiting_for_a_vanished_pod_too(mode: Mode, before: bool) -> None:
    world = World().running()
    if before:
        world.request(mode, on_lost_node=OnLostNode.FORGET)
        assert world.status.open
    world.lose_pod(seen=False)
    world.settle(1)
    if not before:
        assert world.status.open
        world.request(mode, on_lost_node=OnLostNode.FORGET)
    assert world.phase is (Phase.TERMINATED if mode is Mode.TERMINATE else Phase.CANCELLED)
    assert [(p.state, p.reason) for p in world.status.processes] == [(ProcessState.UNPROVEN, "Forgotten")]


def test_forget_gives_up_no_pod_that_only_a_cache_misses() -> None:
    world = World().running()
    world.take_label_off()
    world.request(Mode.KILL, after=1, on_lost_node=OnLostNode.FORGET, grace_period_seconds=60)
    assert (world.phase, world.status.processes[0].state) == (Phase.KILL_CANCELLING, ProcessState.ALIVE)


def test_forget_that_was_taken_before_the_node_was_lost_counts_then() -> None:
    world = World().running()
    world.request(Mode.KILL, on_lost_node=OnLostNode.FORGET)
    assert world.phase is Phase.KILL_CANCELLING
    lose_node(world)
    assert world.status.phase is Phase.CANCELLED


def test_a_pod_that_was_forgotten_is_deleted_by_the_next_pass_where_the_first_was_cut_short() -> None:
    world = World().running()
    lose_node(world)
    world.execution = world.execution.cancelled(Mode.KILL, on_lost_node=OnLostNode.FORGET)
    world.apply(world.plan().actions[0])
    assert world.phase is Phase.CANCELLED
    ended = copy.deepcopy(world)
    world.settle(1)
    assert world.pod.obj().deletion_timestamp is not None
    ended.change_pod(lambda pod: pod.exited(137, receipt()).over(), after=1)
    assert ended.pod.obj().deletion_timestamp is None, "what has ended stays"


@pytest.mark.conformance("C7")
@pytest.mark.parametrize("nodes", [[], [make_node(ready=False, since=0, out_of_service=True)]])
def test_an_administrators_word_that_the_node_is_gone_ends_it(nodes: list[object]) -> None:
    world = World().running()
    world.request(Mode.KILL)
    lose_node(world)
    world.nodes = nodes  # type: ignore[assignment]  # NodeViews; a parametrised list
    world.settle(1)
    assert world.phase is Phase.CANCELLED
    assert world.status.processes[0].state is ProcessState.GONE


def _closed_by_its_nodes_word(world: World, nodes: list[NodeView]) -> World:
    """The same, after its node was removed and that ended the run."""
    world.request(Mode.KILL)
    world.nodes = nodes
    world.settle(1)
    assert world.phase is Phase.CANCELLED
    return world


@pytest.mark.conformance("C7")
@pytest.mark.parametrize("nodes", [[], [make_node(out_of_service=True)]])
def test_what_still_runs_when_a_removed_node_comes_back_is_stopped_though_the_run_has_ended(
    nodes: list[NodeView],
) -> None:
    world = _closed_by_its_nodes_word(World().running(), nodes)
    world.settle(1)
    assert world.pod.obj().deletion_timestamp is None, "nothing is known of a node that is away"
    world.nodes = [make_node()]
    world.settle(1)
    stop = mailbox.parse(world.pod.obj().mailbox)
    assert stop is not None
    assert stop.grace_seconds == 0
    assert world.pod.obj().deletion_timestamp is not None
    assert (world.status.phase, world.status.processes[0].state) == (Phase.CANCELLED, ProcessState.GONE)


def test_the_pod_of_a_node_that_came_back_after_a_reboot_is_left_as_it_is() -> None:
    world = _closed_by_its_nodes_word(World().running(), [])
    world.nodes = [make_node(boot_id="boot-2")]
    world.settle(1)
    assert world.pod.obj().deletion_timestamp is None


def test_a_vanished_pod_on_a_lost_node_counts_from_when_the_node_is_ready_again() -> None:
    world = World().running()
    world.request(Mode.KILL)
    world.lose_pod(seen=True)
    lose_node(world)
    assert [entry.reason for entry in world.status.unconfirmed] == ["NodeLost"]
    world.nodes = [make_node(since=world.seconds)]
    world.settle(59.9)
    assert world.phase is Phase.KILL_CANCELLING
    world.settle(0.1)
    assert world.status.phase is Phase.CANCELLED
    assert world.status.processes[0].state is ProcessState.UNPROVEN


@pytest.mark.conformance("C14", "C15")
def test_a_process_that_is_not_reported_ended_after_its_sigkill_is_unkillable_and_keeps_the_run_open() -> None:
    world = World().running()
    world.request(Mode.FORCE)
    world.settle(29.9)
    assert truth(world, ConditionType.UNKILLABLE) is None
    world.settle(0.1)
    assert truth(world, ConditionType.UNKILLABLE) is ConditionStatus.TRUE
    assert [entry.reason for entry in world.status.unconfirmed] == ["Unkillable"]
    world.settle(10_000)
    assert world.phase is Phase.FORCE_CANCELLING
    world.change_pod(lambda pod: pod.exited(137, receipt(stop="x")).over())
    assert world.status.phase is Phase.CANCELLED
    assert truth(world, ConditionType.UNKILLABLE) is ConditionStatus.FALSE


def test_forget_does_not_end_an_unkillable_process_on_a_node_that_answers() -> None:
    world = World().running()
    world.request(Mode.FORCE, on_lost_node=OnLostNode.FORGET)
    world.settle(1_000)
    assert world.phase is Phase.FORCE_CANCELLING


def test_a_process_under_cancel_alone_is_never_unkillable() -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    world.settle(10_000)
    assert "unconfirmed" not in world.status.wire()


def test_a_mailbox_that_came_after_the_deletion_sets_no_time_for_the_sigkill() -> None:
    world = World().running()
    world.request(Mode.FORCE)
    world.change_pod(lambda pod: pod.deleting(grace=600, since=world.seconds - 1))
    world.settle(100)
    assert "unconfirmed" not in world.status.wire()
    world.settle(530)
    assert [entry.reason for entry in world.status.unconfirmed] == ["Unkillable"]


def test_a_drain_whose_grace_ends_before_that_of_an_earlier_kill_sets_the_time_for_the_sigkill() -> None:
    world = World().running()
    world.request(Mode.KILL, after=1, grace_period_seconds=3600)
    world.change_pod(lambda pod: pod.deleting(30, since=10), after=8)
    world.settle(59)
    assert "unconfirmed" not in world.status.wire()
    assert WakeAt(at(70)) in world.plan().actions
    world.settle(1)
    assert [entry.reason for entry in world.status.unconfirmed] == ["Unkillable"]


def test_a_pod_that_is_being_deleted_counts_from_the_mailbox_that_came_before() -> None:
    world = World().running()
    world.request(Mode.FORCE)
    world.change_pod(lambda pod: pod.deleting(grace=600, since=world.seconds + 1))
    world.settle(30)
    assert [entry.reason for entry in world.status.unconfirmed] == ["Unkillable"]


@pytest.mark.parametrize("deleted_until", [at(10), outside.LATEST])
def test_a_pod_with_a_grace_beyond_all_times_stops_no_pass(deleted_until: datetime) -> None:
    world = World().running()
    name, endless = world.pod.obj().name, 10**12
    world.pods[name] = world.pod.having(
        grace_seconds=endless, deletion_timestamp=deleted_until, deletion_grace_seconds=endless
    )
    world.request(Mode.KILL, after=1)
    world.lose_pod(seen=True)
    world.settle(1)
    assert (world.phase, world.status.processes[0].reason) == (Phase.KILL_CANCELLING, "PodMissed")
    world.settle(31_536_000 + 30)
    assert world.status.processes[0].state is ProcessState.UNPROVEN


def test_a_run_whose_template_has_a_grace_beyond_all_times_can_be_judged_though_its_pod_was_never_seen_to_go() -> None:
    world = World().running()
    template = {"spec": {**TEMPLATE["spec"], "terminationGracePeriodSeconds": 10**12}}
    assert world.status.workflow_spec is not None
    spec = world.status.workflow_spec.model_copy(update={"template": Opaque.of(template)})
    world.execution = world.execution.with_status(world.status.model_copy(update={"workflow_spec": spec}))
    world.lose_pod(seen=False)
    world.settle(1)
    assert (world.phase, world.status.processes[0].reason) == (Phase.RUNNING, "PodMissed")


def test_a_process_on_a_node_that_does_not_answer_for_a_moment_is_not_called_unkillable() -> None:
    world = World().running()
    world.request(Mode.FORCE)
    world.settle(25)
    world.nodes = [make_node(ready=False, since=world.seconds)]
    world.settle(10)
    assert "unconfirmed" not in world.status.wire()
    world.nodes = [make_node(since=world.seconds)]
    world.settle(0.5)
    assert [entry.reason for entry in world.status.unconfirmed] == ["Unkillable"]
