"""Timers: between two passes nothing falls due that no pass was announced for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from desist.api.vocabulary import Mode, OnLostNode
from desist.lifecycle.observed.pods import ContainerPhase
from desist.lifecycle.observed.questions import Answer, CreateAnswer
from desist.lifecycle.plan import WakeAt
from tests.support.builders import at, make_execution, make_node, make_workflow, receipt
from tests.unit.lifecycle.world import World, done

Situation = Callable[[], World]


def _stopped(mode: Mode, **fields: object) -> Situation:
    def make() -> World:
        world = World(make_execution(active_deadline_seconds=70), workflow=make_workflow(grace=7)).running()
        world.request(mode, after=1, **fields)
        return world

    return make


def _back_off() -> World:
    world = World(make_execution(active_deadline_seconds=70)).running()
    world.change_pod(lambda pod: pod.deleting().exited(143, receipt(sigterm=2)).over(), after=1)
    return world


def _vanished() -> World:
    world = World().running()
    world.lose_pod(seen=False)
    world.settle(1)
    return world


def _vanished_on_a_bad_node() -> World:
    world = World().running()
    world.nodes = [make_node(ready=False, since=world.seconds)]
    world.lose_pod(seen=True)
    world.settle(1)
    return world


def _bad_node() -> World:
    world = World().running()
    world.request(Mode.CANCEL, on_lost_node=OnLostNode.FORGET)
    world.nodes = [make_node(ready=False, since=world.seconds)]
    world.settle(1)
    return world


def _hanging_init() -> World:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.bound().with_init(phase=ContainerPhase.RUNNING, started_at=at(1)), after=1)
    return world


def _drained() -> World:
    world = World().running()
    world.change_pod(lambda pod: pod.deleting(grace=20, since=world.seconds))
    return world


def _refused_create() -> World:
    world = World(creates=False)
    world.step()
    world.created = CreateAnswer(Answer.REFUSED, "quota", at(0))
    world.settle()
    return world


SITUATIONS: dict[str, Situation] = {
    "cancelled": _stopped(Mode.CANCEL),
    "cancelled, escalating": _stopped(Mode.CANCEL, kill_after_seconds=12),
    "killed": _stopped(Mode.KILL),
    "forced": _stopped(Mode.FORCE, kill_after_seconds=3),
    "running": lambda: World(make_execution(active_deadline_seconds=9)).running(),
    "backing off": _back_off,
    "vanished": _vanished,
    "vanished on a bad node": _vanished_on_a_bad_node,
    "on a bad node": _bad_node,
    "a hanging init container": _hanging_init,
    "drained": _drained,
    "a refused create": _refused_create,
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_until_the_announced_time_a_pass_would_do_nothing_and_then_it_does_something(name: str) -> None:
    world = SITUATIONS[name]()
    fired = 0
    while world.seconds < 200:
        wakes = [a.when for a in world.plan().actions if isinstance(a, WakeAt)]
        until = min(((when - at(0)).total_seconds() for when in wakes), default=300.0)
        now = world.seconds
        for part in (0.001, 0.3, 0.7, 0.999):
            world.seconds = now + (until - now) * part
            assert done(world.plan()) == [], f"due at {world.seconds} and not announced"
        world.seconds = until
        before = world.status
        world.settle()
        fired += world.status != before
    assert fired or name == "a refused create"
