"""A watch shows a pod as deleted also where somebody took its label off: before that counts, a GET asks for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desist.api.vocabulary import Mode, Phase, ProcessState
from desist.lifecycle import mailbox
from desist.lifecycle.decide import questions
from desist.lifecycle.observed import WantedPod
from desist.lifecycle.plan import DeletePod, WakeAt
from tests.support.builders import PodBuilder, at, receipt
from tests.unit.lifecycle.world import World


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
    assert questions(world.observe(), at(2)).live_pod is None
    process = unlabelled(world).status.processes[0]
    seen = replace(world.observe(), live_pod=False, pods=(), deleted=tuple(world.deleted))
    assert questions(seen, at(2)).live_pod == WantedPod(process.pod, world.status.run_id or "", 1, process.pod_uid)
    assert questions(replace(seen, live_pod=True), at(2)).live_pod is None


def test_a_pod_whose_end_was_reported_before_it_vanished_is_not_asked_for() -> None:
    world = World().running()
    world.pods[world.pod.obj().name] = world.pod.exited(0, receipt()).over()
    world.lose_pod(seen=True)
    assert questions(replace(world.observe(), live_pod=False), at(2)).live_pod is None
