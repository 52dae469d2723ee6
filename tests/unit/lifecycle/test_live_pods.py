"""A watch shows a pod as deleted also where somebody took its label off: before that counts, a GET asks for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desist.api.vocabulary import Mode, Phase, ProcessState
from desist.lifecycle.observed.questions import WantedPod
from desist.lifecycle.plan import DeletePod, WakeAt
from desist.lifecycle.wire import mailbox
from tests.support.builders import PodBuilder, at, make_execution, receipt
from tests.unit.lifecycle.world import World, done, questions


def hidden(world: World) -> PodBuilder:
    """The pod that only a GET shows."""
    (builder,) = world.unlabelled.values()
    return builder


def unlabelled(world: World) -> World:
    """The same, after somebody took the label off its pod."""
    world.take_label_off()
    world.settle(1)
    return world


@pytest.mark.conformance("C15")
def test_a_pod_that_was_never_bound_is_not_taken_for_gone_while_it_is_there() -> None:
    world = World()
    world.settle()
    unlabelled(world).settle(1000)
    assert (world.phase, world.status.disruptions) == (Phase.PENDING, None)
    assert world.status.processes[0].state is ProcessState.ALIVE


@pytest.mark.conformance("C15")
def test_a_pod_that_runs_is_not_taken_for_vanished_while_it_is_there() -> None:
    world = unlabelled(World().running())
    world.settle(1000)
    assert world.phase is Phase.RUNNING
    assert (world.status.processes[0].state, world.status.processes[0].reason) == (ProcessState.ALIVE, None)


def test_it_is_stopped_all_the_same_and_its_own_end_counts() -> None:
    world = unlabelled(World().running())
    world.request(Mode.CANCEL)
    stop = mailbox.parse(hidden(world).obj().mailbox)
    assert stop is not None
    assert stop.mode is Mode.CANCEL
    name = hidden(world).obj().name
    world.unlabelled[name] = hidden(world).exited(3, receipt(stop=stop.command_id)).over()
    world.settle(1)
    assert world.phase is Phase.CANCELLED
    assert world.status.processes[0].exit_code == 3


def test_one_that_was_not_started_is_deleted_and_the_run_ends_once_it_is_gone() -> None:
    world = World()
    world.settle()
    unlabelled(world).request(Mode.KILL)
    assert [a.uid for a in world.done if isinstance(a, DeletePod)] == ["uid-1"]
    assert world.unlabelled == {}
    assert world.phase is Phase.CANCELLED


def test_it_is_looked_at_again_and_again_since_no_watch_tells_of_it() -> None:
    world = unlabelled(World().running())
    assert WakeAt(at(world.seconds + world.settings.look_again_after)) in world.plan().actions


def test_the_question_names_the_attempt_and_the_uid_and_is_asked_once_a_pass() -> None:
    world = World().running()
    assert questions(world.observe(), 2).live_pod is None
    process = unlabelled(world).status.processes[0]
    seen = replace(world.observe(), live_pod=False, pods=(), deleted=tuple(world.deleted))
    assert questions(seen, 2).live_pod == WantedPod(process.pod, world.status.run_id or "", 1, process.pod_uid)
    assert questions(replace(seen, live_pod=True), 2).live_pod is None


def test_a_pod_whose_end_was_reported_before_it_vanished_is_not_asked_for() -> None:
    world = World().running()
    world.pods[world.pod.obj().name] = world.pod.exited(0, receipt()).over()
    world.lose_pod(seen=True)
    assert questions(replace(world.observe(), live_pod=False), 2).live_pod is None


def never_shown(world: World) -> World:
    """The same, after its first pod was made and lost its label before any watch showed it."""
    world.step()
    name = world.pod.obj().name
    world.unlabelled[name] = world.pods.pop(name).running(1)
    world.creates = False  # the name is taken, which is fine: nothing follows from that
    return world


def wakes_in(world: World) -> list[float]:
    """How long after now the plan wants to pass again."""
    wakes = [action.when for action in world.plan().actions if isinstance(action, WakeAt)]
    return [(when - at(world.seconds)).total_seconds() for when in wakes]


@pytest.mark.conformance("C15")
def test_a_pod_that_no_watch_has_shown_yet_is_asked_for_by_and_by_and_its_end_counts() -> None:
    world = never_shown(World())
    assert wakes_in(world) == [world.settings.look_again_after]
    world.settle(world.settings.look_again_after)
    assert (world.phase, world.status.processes[0].pod_uid) == (Phase.RUNNING, "uid-1")
    name = hidden(world).obj().name
    world.unlabelled[name] = hidden(world).exited(0, receipt()).over()
    world.settle(world.settings.look_again_after)
    assert world.phase is Phase.SUCCEEDED


def test_a_deadline_counts_for_a_pod_that_no_watch_has_shown_yet() -> None:
    world = never_shown(World(make_execution(active_deadline_seconds=60)))
    world.settle(61)
    assert world.status.phase is Phase.KILL_CANCELLING
    assert mailbox.parse(hidden(world).obj().mailbox) is not None


def test_a_pod_that_came_and_went_unseen_is_created_again_and_the_passes_between_do_nothing() -> None:
    world = World()
    world.step()
    world.pods.clear()
    world.creates = False
    world.step(2 * world.settings.look_again_after)
    assert any("is not there yet" in text for text in world.status.waiting_on)
    for _ in range(3):
        assert wakes_in(world) == [world.settings.look_again_after]
        assert done(world.step(world.settings.look_again_after)) == ["CreatePod"]
    world.creates = True
    world.settle(world.settings.look_again_after)
    assert [pod.obj().attempt for pod in world.pods.values()] == [1]


def test_a_pod_that_was_just_created_is_not_asked_for() -> None:
    world = World(creates=False)
    world.step()
    unseen = replace(world.observe(), live_pod=False)
    assert questions(unseen, 4.9).live_pod is None
    asked = questions(unseen, 5).live_pod
    assert asked == WantedPod(world.status.processes[0].pod, world.status.run_id or "", 1)
    assert questions(replace(unseen, live_pod=True), 5).live_pod is None
