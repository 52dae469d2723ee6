"""Nodes come by a watch of their own: what may be older than the process ends nothing, and is asked for live."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desist.api.vocabulary import Mode, Phase, ProcessState
from desist.lifecycle.observed.pods import NodeView
from desist.lifecycle.plan import WriteStatus
from tests.support.builders import make_node, receipt
from tests.unit.lifecycle.world import World, questions

NODE = make_node()
BOOTED = make_node(boot_id="boot-2")
TAINTED = make_node(out_of_service=True)
STALE = {"another boot ID": [BOOTED], "out of service": [TAINTED], "deleted": []}
stale = pytest.mark.parametrize("nodes", STALE.values(), ids=STALE)


def bound() -> World:
    """A run whose pod is bound, and has not started."""
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.bound())
    return world


def asked(world: World) -> tuple[str, ...]:
    """The nodes that the next pass asks for."""
    seen = replace(world.observe(), nodes=tuple(world.cached_nodes or ()), live_nodes=())
    return questions(seen, world.seconds).live_nodes


@stale
@pytest.mark.conformance("C8")
def test_a_node_record_that_is_out_of_date_ends_nothing(nodes: list[NodeView]) -> None:
    world = World().running()
    world.cached_nodes = nodes
    world.request(Mode.KILL, after=1)
    assert world.status.processes[0].state is ProcessState.ALIVE
    assert (world.phase, world.status.disruptions) == (Phase.KILL_CANCELLING, None)
    world.nodes = nodes
    world.settle(1)
    assert world.phase is Phase.CANCELLED


@stale
def test_a_node_is_asked_for_where_its_record_would_end_a_process(nodes: list[NodeView]) -> None:
    world = World().running()
    world.cached_nodes = nodes
    assert asked(world) == ("node-1",)
    world.change_pod(lambda pod: pod.exited(0, receipt()).over(), after=1)
    assert world.phase is Phase.SUCCEEDED
    assert asked(world) == ()


@pytest.mark.parametrize("node", [NODE, make_node(ready=False), make_node(boot_id="")])
def test_a_node_whose_record_proves_nothing_is_not_asked_for(node: NodeView) -> None:
    world = World().running()
    world.cached_nodes = [node]
    assert asked(world) == ()


def test_the_boot_id_is_asked_for_once_when_the_container_is_seen_started() -> None:
    world = bound()
    world.cached_nodes = [NODE]
    world.nodes = [BOOTED]
    assert asked(world) == ()
    assert world.status.processes[0].boot_id == ""
    world.pods[world.pod.obj().name] = world.pod.running(1)
    assert asked(world) == ("node-1",)
    assert len([action for action in world.step(1).actions if isinstance(action, WriteStatus)]) == 1
    assert world.status.processes[0].boot_id == "boot-2"
    world.cached_nodes = [BOOTED]
    assert asked(world) == ()


def test_a_node_without_a_boot_id_is_not_asked_for_it_in_every_pass() -> None:
    world = bound()
    world.nodes = world.cached_nodes = [make_node(boot_id="")]
    world.change_pod(lambda pod: pod.running(1), after=1)
    assert world.phase is Phase.RUNNING
    assert asked(world) == ()


def test_a_process_that_fails_while_its_nodes_record_is_older_has_failed_by_itself() -> None:
    world = bound()
    world.cached_nodes = [NODE]
    world.nodes = [BOOTED]
    world.change_pod(lambda pod: pod.running(1), after=1)
    world.change_pod(lambda pod: pod.exited(3, receipt()).over(), after=1)
    assert (world.phase, world.status.disruptions) == (Phase.FAILED, None)
