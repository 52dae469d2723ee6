"""Two controllers that see things differently: what is only derived is not fought over, all else is written at once."""

from __future__ import annotations

from dataclasses import replace

from desist.api.vocabulary import Mode
from desist.lifecycle.observed.pods import ContainerKind, ContainerView
from tests.unit.lifecycle_sim.controllers import KINDS, Controller
from tests.unit.lifecycle_sim.processes import PROGRAMS
from tests.unit.lifecycle_sim.simulation import Simulation

RECONCILES = 200
INIT = ContainerView("helper", ContainerKind.INIT)


def differing() -> Simulation:
    """Two controllers, one of which is not shown an init container that runs for long."""
    sim = Simulation(PROGRAMS[0])
    sim.idle(5)
    other = Controller(sim.cluster.api, sim.audit, sim.network, settings=sim.settings)
    sim.controllers.append(other)
    other.paused.add("pods")
    (pod,) = sim.cluster.api.pods.values()
    sim.cluster.api.store(replace(pod, containers=(*pod.containers, INIT)))
    return sim


def writes_in_turn(sim: Simulation) -> int:
    """Let both reconcile at the same pace; how often the status was written."""
    first = len(sim.audit.writes)
    for _ in range(RECONCILES):
        for controller in sim.controllers:
            for kind in KINDS:
                if kind not in controller.paused:
                    controller.deliver(kind)
            controller.run()
        sim.cluster.clock.advance_to(sim.now + 1)
    return len(sim.audit.writes) - first


def test_two_controllers_that_see_things_differently_overwrite_each_other_less_and_less_often() -> None:
    sim = differing()
    assert 4 <= writes_in_turn(sim) <= 20
    assert sim.status.phase == "Running"


def test_a_stop_is_accepted_and_delivered_at_once_while_they_disagree() -> None:
    sim = differing()
    writes_in_turn(sim)
    sim.request(Mode.FORCE)
    sim.controllers[1].paused.clear()
    sim.idle(5)
    assert sim.status.phase == "Cancelled"


def test_when_the_one_is_gone_the_other_writes_what_it_sees() -> None:
    sim = differing()
    writes_in_turn(sim)
    del sim.controllers[1]
    sim.idle(400)
    assert any("helper" in text for text in sim.status.waiting_on)
