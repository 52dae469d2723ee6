"""Real situations of runs, of which somebody then edits the status by hand.

Contract: `snapshots` gives what a reconcile saw in each of them, made once by the small world of the core's tests.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from desist.api.vocabulary import Mode
from desist.lifecycle.observed.sight import Observed
from tests.support.builders import make_execution, make_node, receipt
from tests.unit.lifecycle.world import World


@cache
def snapshots() -> tuple[tuple[Observed, float], ...]:
    """What was seen, and when (seconds after T0)."""
    return tuple((world.observe(), world.seconds) for world in (make() for make in MAKERS))


def _pending() -> World:
    world = World()
    world.settle()
    return world


def _pulling() -> World:
    world = _pending()
    world.change_pod(lambda pod: pod.bound())
    return world


def _running() -> World:
    return World(make_execution(active_deadline_seconds=3600)).running()


def _stopping(mode: Mode) -> Callable[[], World]:
    def make() -> World:
        world = _running()
        world.request(mode, reason="customer asked", grace_period_seconds=5, kill_after_seconds=60)
        return world

    return make


def _escalated() -> World:
    world = _stopping(Mode.CANCEL)()
    world.request(Mode.KILL, grace_period_seconds=5)
    return world


def _draining() -> World:
    world = _running()
    world.change_pod(lambda pod: pod.deleting(30, world.seconds))
    return world


def _between_attempts() -> World:
    world = _draining()
    world.change_pod(lambda pod: pod.exited(143, receipt(sigterm=world.seconds)).over(), 1)
    return world


def _with_sidecar() -> World:
    world = _pending()
    world.change_pod(lambda pod: pod.with_sidecar().running())
    world.change_pod(lambda pod: pod.exited(0, receipt(), finished=world.seconds), 1)
    return world


def _lost_node() -> World:
    world = _stopping(Mode.KILL)()
    world.nodes = [make_node(ready=False, since=world.seconds)]
    world.settle(60)
    return world


def _missed() -> World:
    world = _running()
    world.lose_pod(seen=False)
    world.settle(1)
    return world


MAKERS: tuple[Callable[[], World], ...] = (
    World,
    _pending,
    _pulling,
    _running,
    *(_stopping(mode) for mode in Mode),
    _escalated,
    _draining,
    _between_attempts,
    _with_sidecar,
    _lost_node,
    _missed,
)
