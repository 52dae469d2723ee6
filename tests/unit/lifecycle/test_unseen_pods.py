"""Pods that were never seen: what a stop makes of the doubt, and what a create that is refused leads to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desist.api.vocabulary import Mode, Phase, ProcessState
from desist.lifecycle.observed.questions import Answer, CreateAnswer
from desist.lifecycle.plan import CreatePod, DeletePod
from tests.support.builders import at, make_execution, make_pod, receipt
from tests.unit.lifecycle.world import World, done, questions


@pytest.mark.parametrize("mode", list(Mode))
def test_a_stop_before_the_pod_was_seen_asks_the_api_server_and_ends_the_run_where_there_is_none(mode: Mode) -> None:
    world = World(creates=False)
    world.step()
    world.request(mode, after=1)
    assert world.phase is (Phase.TERMINATED if mode is Mode.TERMINATE else Phase.CANCELLED)
    world.creates = True
    world.settle(10)
    assert not world.pods


@pytest.mark.parametrize("by", ["a command", "a deadline"])
def test_the_process_of_a_pod_that_there_never_was_is_gone(by: str) -> None:
    world = World(make_execution(active_deadline_seconds=5)).running()
    world.change_pod(lambda pod: pod.deleting().exited(143, receipt(sigterm=2)).over(), after=1)
    world.creates = False
    world.step(1)
    assert (world.status.attempt, world.status.processes[0].state) == (2, ProcessState.ALIVE)
    if by == "a command":
        world.request(Mode.CANCEL, after=1)
    else:
        world.settle(3)
    assert world.phase is (Phase.CANCELLED if by == "a command" else Phase.TIMED_OUT)
    assert [(p.state, p.reason) for p in world.status.processes] == [(ProcessState.GONE, "NeverCreated")]


def test_a_stop_before_the_pod_was_seen_is_delivered_where_there_is_one() -> None:
    world = World()
    world.step()
    world.request(Mode.CANCEL)
    assert [a.uid for a in world.done if isinstance(a, DeletePod)] == ["uid-1"]


def test_a_stop_is_answered_once_it_is_known_whether_there_is_a_pod() -> None:
    world = World(creates=False)
    world.step()
    world.execution = world.execution.cancelled(Mode.KILL)
    doubtful = replace(world.observe(), live_pod=False)
    assert questions(doubtful, 1).live_pod is not None, "it is not answered while the pod is in doubt"
    world.settle(1)
    assert world.status.phase is Phase.CANCELLED


def test_a_create_that_is_refused_for_what_the_template_says_fails_the_run() -> None:
    world = World(creates=False)
    world.step()
    world.created = CreateAnswer(Answer.INVALID, "spec.containers[0].image: Required value", at(0))
    world.settle(1)
    assert world.phase is Phase.FAILED
    assert world.status.failure is not None
    assert world.status.failure.category == "template"
    assert "image: Required value" in world.status.failure.message


@pytest.mark.parametrize("why", ["exceeded quota", "unable to create new content: the namespace is being terminated"])
def test_a_create_that_is_refused_for_another_reason_is_repeated_later(why: str) -> None:
    world = World(creates=False)
    world.step()
    world.created = CreateAnswer(Answer.REFUSED, why, at(0), retry_after=10.0)
    world.done.clear()
    world.settle(1)
    assert not [a for a in world.done if isinstance(a, CreatePod)]
    assert any(why in text for text in world.status.waiting_on)
    world.seconds = 10
    assert "CreatePod" in done(world.step())


def test_a_create_that_is_refused_for_good_is_no_end_before_a_get_has_found_no_pod() -> None:
    world = World(creates=False)
    world.step()
    world.created = CreateAnswer(Answer.INVALID, "no", at(0))
    doubtful = replace(world.observe(), live_pod=False)
    assert questions(doubtful, 1).live_pod is not None


@pytest.mark.conformance("K4")
@pytest.mark.parametrize("mode", [None, Mode.CANCEL])
def test_a_pod_that_another_controller_has_made_is_the_runs_though_this_ones_create_was_refused(
    mode: Mode | None,
) -> None:
    world = World(creates=False)
    world.step()
    name = world.status.processes[0].pod
    made = make_pod(name, run_id=world.status.run_id or "", uid="theirs").running()
    world.unlabelled[name] = made  # no watch has shown it yet
    world.created = CreateAnswer(Answer.INVALID, "the template became invalid", at(0))
    if mode:
        world.request(mode)
    world.settle(1)
    assert world.phase is (Phase.CANCELLING if mode else Phase.RUNNING)
    assert (world.status.attempt, world.status.processes[0].pod_uid) == (1, "theirs")
