"""Clocks that differ: a constant difference fires nothing early, proves nothing, and changes no grace.

The controller's clock is `World.seconds`; what others write is off by OFF.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from desist.api.base import rfc3339
from desist.api.vocabulary import Mode, Phase, ProcessState
from desist.lifecycle.observed.pods import ContainerPhase
from desist.lifecycle.shown.waits import Wait
from tests.support.builders import PodBuilder, at, make_node, receipt
from tests.unit.lifecycle.world import World

pytestmark = pytest.mark.conformance("K9")
OFF = pytest.mark.parametrize("off", [-7200, 7200])


def unconfirmed(world: World) -> list[str]:
    return [entry.reason.value for entry in world.status.unconfirmed]


def drained(pod: PodBuilder, seen: float, grace: int, off: float) -> PodBuilder:
    """Being deleted since it was seen at `seen`, by an API server whose clock is off by so much."""
    return pod.deleting(grace, seen).having(deletion_timestamp=at(seen + grace + off))


def test_a_process_started_no_earlier_than_its_pod_was_made_and_no_later_than_it_was_seen_to_run() -> None:
    for started, shown in ((-7200, 0), (0.5, 0.5), (7200, 2)):
        world = World()
        world.settle()
        world.change_pod(partial(PodBuilder.running, started=started), after=2)
        assert world.status.start_time == at(shown)


def test_where_the_api_server_is_ahead_too_it_started_when_it_was_seen_to_run() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.having(created_at=at(7200)).running(7201), after=2)
    assert world.status.start_time == at(2)


@OFF
def test_a_run_has_not_ended_before_it_started_nor_later_than_that_was_seen(off: float) -> None:
    world = World().running()
    world.change_pod(lambda pod: pod.exited(0, receipt(), finished=off).over(), after=5)
    assert world.phase is Phase.SUCCEEDED
    assert world.status.start_time and world.status.end_time
    assert world.status.start_time <= world.status.end_time <= at(world.seconds)


@pytest.mark.parametrize("off", [-7200, 0])
def test_a_run_on_a_node_whose_clock_is_behind_has_taken_as_long_as_it_has(off: float) -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.running(off), after=1)
    world.change_pod(lambda pod: pod.exited(0, receipt(), finished=off + 1800).over(), after=1805)
    assert (world.status.start_time, world.status.end_time) == (at(0), at(1800))


@OFF
def test_a_drain_by_another_clock_makes_nothing_unkillable_before_its_grace_and_half_a_minute(off: float) -> None:
    world = World().running()
    world.change_pod(lambda pod: drained(pod, world.seconds, 20, off))
    world.settle(49.9)
    assert unconfirmed(world) == []
    world.settle(0.1)
    assert unconfirmed(world) == ["Unkillable"]


@OFF
def test_a_stop_of_a_pod_that_is_being_deleted_is_due_when_its_grace_is_over_by_this_clock(off: float) -> None:
    world = World().running()
    seen = world.seconds
    world.change_pod(lambda pod: drained(pod, seen, 60, off))
    world.request(Mode.KILL, after=1, grace_period_seconds=5)
    assert world.status.stop.kill_at == at(seen + 60)


def test_a_controller_that_has_just_begun_calls_nothing_unkillable_for_half_a_minute() -> None:
    """What is in the mailbox may be by the clock of another one, hours behind."""
    world = World().running()
    world.request(Mode.KILL, after=1, grace_period_seconds=5)
    world.seconds += 7200
    world.began = at(world.seconds)
    world.settle(29.9)
    assert unconfirmed(world) == []
    world.settle(0.1)
    assert unconfirmed(world) == ["Unkillable"]


def test_what_was_said_before_a_restart_stays_said() -> None:
    world = World().running()
    world.request(Mode.KILL, after=1, grace_period_seconds=5)
    world.settle(35)
    world.nodes = [make_node()]
    assert unconfirmed(world) == ["Unkillable"]
    (since,) = [entry.since for entry in world.status.unconfirmed]
    world.began = at(world.seconds)
    world.settle(1)
    assert [entry.since for entry in world.status.unconfirmed] == [since]


def test_a_container_that_waits_is_never_unkillable() -> None:
    """The kubelet may be pulling its image, and does not start what was deleted meanwhile."""
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.bound())
    world.request(Mode.KILL, after=1)
    world.settle(300)
    assert world.pod.obj().deletion_timestamp is not None
    assert unconfirmed(world) == []


def test_a_lost_node_stays_lost_over_a_restart_of_the_controller() -> None:
    world = World().running()
    world.nodes = [make_node(ready=False, since=world.seconds)]
    world.settle(30)
    assert unconfirmed(world) == ["NodeLost"]
    world.nodes = [make_node(ready=False, since=world.seconds)]
    world.settle(1)
    assert unconfirmed(world) == ["NodeLost"]
    world.nodes = [make_node(since=world.seconds)]
    world.settle(1)
    assert unconfirmed(world) == []
    world.nodes = [make_node(ready=False, since=world.seconds)]
    world.settle(29)
    assert unconfirmed(world) == []


@pytest.mark.parametrize("off", [-7200, 0, 7200])
def test_a_vanished_pod_is_closed_once_this_process_has_missed_it_long_enough(off: float) -> None:
    """`since` was written by a controller whose clock is off by so much."""
    world = World().running()
    world.lose_pod(seen=False)
    world.settle()
    process = world.status.processes[0]
    other = world.status.replace(processes=(process.replace(since=at(world.seconds + off)),))
    world.execution = world.execution.with_status(other)
    world.settle(59.9)
    assert world.status.processes[0].state is ProcessState.ALIVE
    world.settle(0.1)
    assert world.status.disruptions == 1


def test_a_new_process_counts_anew_how_long_a_pod_is_missed() -> None:
    world = World().running()
    world.lose_pod(seen=False)
    world.settle(30)
    world.missed_since = None
    world.settle(0)
    world.settle(59.9)
    assert world.status.disruptions is None
    world.settle(0.1)
    assert world.status.disruptions == 1


def test_a_node_that_is_back_with_a_slow_clock_is_waited_for() -> None:
    world = World().running()
    world.lose_pod(seen=False)
    world.settle(600)
    node = make_node(since=world.seconds)
    world.nodes = [replace(node, ready_changed=at(-7200))]
    world.settle(29)
    assert world.status.processes[0].state is not ProcessState.UNPROVEN


@OFF
def test_an_init_container_is_shown_after_ten_seconds_whatever_its_nodes_clock_says(off: float) -> None:
    world = World()
    world.settle()
    running = partial(PodBuilder.with_init, phase=ContainerPhase.RUNNING, started_at=at(off))
    world.change_pod(lambda pod: running(pod.bound()), after=1)
    world.settle(8.9)
    assert not [text for text in world.status.waiting_on if Wait.INIT in text]
    world.settle(0.1)
    assert [text for text in world.status.waiting_on if Wait.INIT in text]


@OFF
def test_until_when_a_deleted_pod_has_its_grace_is_said_by_this_clock(off: float) -> None:
    world = World().running()
    seen = world.seconds
    world.change_pod(lambda pod: drained(pod, seen, 60, off))
    assert any(rfc3339(at(seen + 60)) in text for text in world.status.waiting_on)
