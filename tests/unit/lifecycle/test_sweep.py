"""Sweep: how many pods of attempts that were run again stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desist.api.vocabulary import Phase
from desist.lifecycle.observed.questions import PodCall, Refusal
from desist.lifecycle.plan import DeletePod
from desist.lifecycle.stop.sweep import AT_ONCE, KEPT
from tests.support.builders import at, make_pod, receipt
from tests.unit.lifecycle.world import World, decided


def rejected(world: World, times: int) -> World:
    """The node rejects each of that many pods."""
    for _ in range(times):
        world.settle(60)
        world.change_pod(lambda pod: pod.bound().having(phase="Failed", reason="OutOfcpu"))
    return world


def attempts_of(world: World) -> list[int]:
    return [pod.obj().attempt for pod in world.pods.values() if pod.obj().deletion_timestamp is None]


@pytest.mark.parametrize("times", [1, 4, 20])
def test_of_pods_that_were_run_again_the_last_three_stay(times: int) -> None:
    world = rejected(World(), times)
    world.settle(60)  # the next attempt begins
    assert world.phase is Phase.PENDING
    assert world.status.attempt == times + 1
    assert attempts_of(world) == list(range(max(1, times + 1 - KEPT), times + 2))


def test_what_an_older_version_left_behind_goes_a_few_at_a_time() -> None:
    world = rejected(World(), 1)
    world.settle(60)
    old = [make_pod(f"old-{n}", run_id=world.status.run_id or "", uid=f"old-{n}") for n in range(30)]
    world.execution = world.execution.with_status(world.status.replace(attempt=99))
    world.pods = {pod.obj().name: pod.bound().having(phase="Failed", attempt=n + 1) for n, pod in enumerate(old)}
    deletions = [action for action in world.plan().actions if isinstance(action, DeletePod)]
    assert [(d.uid, d.grace_seconds) for d in deletions] == [(f"old-{n}", None) for n in range(AT_ONCE)]


def test_pods_of_attempts_that_have_not_ended_and_of_other_runs_are_let_be() -> None:
    world = World().running()
    world.execution = world.execution.with_status(world.status.replace(attempt=99))
    runs = make_pod("runs", run_id=world.status.run_id or "", attempt=1, uid="runs").running()
    others = [make_pod(f"x{n}", run_id="0" * 26, attempt=n, uid=f"x{n}").having(phase="Failed") for n in range(9)]
    world.pods = {pod.obj().name: pod for pod in (runs, *others)}
    deleted = [action.uid for action in world.plan().actions if isinstance(action, DeletePod)]
    assert not [uid for uid in deleted if uid != "runs"]  # that one is a late start


def test_a_delete_that_is_refused_is_tried_again_later_and_holds_nothing_up() -> None:
    world = rejected(World(), 6)
    world.change_pod(lambda pod: pod)
    seen = world.observe()
    first = make_pod("first", run_id=world.status.run_id or "", attempt=1, uid="first").bound().having(phase="Failed")
    no = Refusal("first", PodCall.DELETE, "", "not today", at(world.seconds), times=3)
    seen = replace(seen, pods=(*seen.pods, first.obj()), refusals=(no,))
    asked = [[a.uid for a in decided(seen, world.seconds + s).actions if isinstance(a, DeletePod)] for s in (1, 5)]
    assert "first" not in asked[0]
    assert "first" in asked[1]


def test_the_pod_of_the_current_attempt_stays_when_the_run_has_ended() -> None:
    world = rejected(World(), 5)
    world.settle(60)
    world.change_pod(lambda pod: pod.running(world.seconds).exited(0, receipt()).over(), after=1)
    world.settle(1)
    assert world.phase is Phase.SUCCEEDED
    assert attempts_of(world) == [3, 4, 5, 6]
