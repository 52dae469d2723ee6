"""Lives of a run in a cluster where one clock is off, or all are: `audit` says that nothing comes early.

What the property test meets by chance is here for certain: each party's clock ahead and behind, and whatever waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from desist.api.vocabulary import Mode
from tests.unit.lifecycle_sim.clock import EXACT, Wall, Walls
from tests.unit.lifecycle_sim.processes import PROGRAMS
from tests.unit.lifecycle_sim.simulation import Simulation

pytestmark = pytest.mark.conformance("K9")
PROGRAM = {program.name: program for program in PROGRAMS}
AHEAD, BEHIND = Wall(700, 1e-3), Wall(-700, -1e-3)
CLOCKS = {
    "all the same": Walls(),
    "the controllers ahead": Walls(controllers=(AHEAD, AHEAD)),
    "the controllers behind": Walls(controllers=(BEHIND, BEHIND)),
    "the API server ahead": Walls(server=AHEAD),
    "the API server behind": Walls(server=BEHIND),
    "the nodes ahead": Walls(nodes=(AHEAD, AHEAD)),
    "the nodes behind": Walls(nodes=(BEHIND, BEHIND)),
    "API server and nodes ahead": Walls(server=AHEAD, nodes=(AHEAD, AHEAD)),
    "API server and nodes behind": Walls(server=BEHIND, nodes=(BEHIND, BEHIND)),
    "the second controller ahead": Walls(controllers=(EXACT, AHEAD)),
    "the second controller behind": Walls(controllers=(EXACT, BEHIND)),
}


def vanish(sim: Simulation) -> None:
    sim.idle(5)
    sim.cluster.force_delete_pod()
    sim.idle(100)


def lose_a_node_and_find_it_again(sim: Simulation) -> None:
    sim.idle(5)
    sim.request(Mode.KILL)
    for name in sim.cluster.kubelets:
        sim.cluster.lose(name)
    sim.idle(20)
    sim.cluster.force_delete_pod()
    sim.idle(150)
    for name in sim.cluster.kubelets:
        sim.cluster.recover(name)
    sim.idle(100)


def drain(sim: Simulation) -> None:
    sim.idle(5)
    sim.cluster.delete_pod(drain=True)
    sim.idle(100)


def kill(sim: Simulation) -> None:
    sim.idle(5)
    sim.request(Mode.KILL, grace_period_seconds=30)
    sim.idle(100)


def escalate(sim: Simulation) -> None:
    sim.idle(5)
    sim.request(Mode.CANCEL, kill_after_seconds=60)
    sim.idle(100)


def use_up_its_time(sim: Simulation) -> None:
    sim.idle(100)


LIVES: dict[str, tuple[Callable[[Simulation], None], str, dict[str, Any]]] = {
    "a pod that vanishes": (vanish, "cooperative", {}),
    "a node that is lost, and comes back": (lose_a_node_and_find_it_again, "deaf", {}),
    "a drain": (drain, "deaf", {}),
    "a drain of what cannot be killed": (drain, "unkillable", {}),
    "a kill": (kill, "deaf", {}),
    "a kill of what cannot be killed": (kill, "unkillable", {}),
    "an escalation": (escalate, "deaf", {}),
    "a deadline": (use_up_its_time, "deaf", {"deadline": 60}),
}


@pytest.mark.parametrize("second", [False, True], ids=["one controller", "two controllers"])
@pytest.mark.parametrize("clocks", CLOCKS)
@pytest.mark.parametrize("life", LIVES)
def test_whose_clock_ever_is_off_nothing_comes_early(life: str, clocks: str, second: bool) -> None:
    course, program, options = LIVES[life]
    sim = Simulation(PROGRAM[program], walls=CLOCKS[clocks], **options)
    sim.audit.judges_plans = False
    if second:
        sim.second_controller()
    course(sim)
    sim.finish()


@pytest.mark.parametrize("wall", [AHEAD, BEHIND], ids=["ahead", "behind"])
@pytest.mark.parametrize("life", LIVES)
def test_a_controller_that_is_started_anew_with_another_clock_makes_nothing_come_early(life: str, wall: Wall) -> None:
    course, program, options = LIVES[life]
    sim = Simulation(PROGRAM[program], **options)
    (controller,) = sim.controllers
    controller.set_to = wall
    sim.cluster.clock.after(20, controller.restart)
    course(sim)
    sim.finish()


@pytest.mark.parametrize("wall", [AHEAD, BEHIND], ids=["ahead", "behind"])
def test_a_retry_is_put_off_by_no_more_than_its_own_back_off_whoever_has_set_its_time(wall: Wall) -> None:
    sim = Simulation(PROGRAM["cooperative"], walls=Walls(controllers=(wall, EXACT)))
    sim.idle(5)
    sim.cluster.delete_pod(drain=True)
    while sim.status.next_attempt_at is None:
        sim.idle(0.1)
    sim.controllers[0].set_to = EXACT
    sim.controllers[0].restart()
    sim.idle(2)
    assert sim.status.attempt == 2
