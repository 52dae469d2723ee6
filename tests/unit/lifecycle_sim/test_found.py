"""What the simulation has found, as plain tests: the shortest way to each."""

from __future__ import annotations

import pytest

from desist.api.vocabulary import Mode
from tests.unit.lifecycle_sim.processes import PROGRAMS
from tests.unit.lifecycle_sim.rules import ENDS
from tests.unit.lifecycle_sim.simulation import Simulation

PROGRAM = {program.name: program for program in PROGRAMS}


def test_a_reboot_runs_the_process_again_also_where_the_new_boot_id_is_seen_late() -> None:
    sim = Simulation(PROGRAM["cooperative"])
    sim.idle(5)
    sim.controllers[0].paused.add("nodes")
    for node in sim.cluster.kubelets:
        sim.cluster.reboot(node)
    sim.idle(10)
    sim.finish()
    assert (sim.status.phase, sim.status.disruptions) == ("Running", 1)


def test_a_process_that_started_after_a_reboot_is_not_taken_for_one_that_ended_with_it() -> None:
    sim = Simulation(PROGRAM["cooperative"])
    sim.controllers[0].paused.add("nodes")
    for node in sim.cluster.kubelets:
        sim.cluster.reboot(node)
    sim.idle(10)
    assert sim.status.phase == "Running"
    sim.controllers[0].paused.clear()
    sim.idle(10)


@pytest.mark.parametrize("mode", [Mode.CANCEL, Mode.KILL])
def test_a_process_is_told_though_its_kubelet_missed_the_mailbox(mode: Mode) -> None:
    sim = Simulation(PROGRAM["slow to clean up"], push=False)
    sim.idle(5)
    for kubelet in sim.cluster.kubelets.values():
        kubelet.misses = True
    sim.request(mode, grace_period_seconds=60)
    (box,) = sim.cluster.alive()
    assert box.process is not None
    sim.idle(2)
    assert not box.process.told
    sim.idle(2)
    assert box.process.told
    sim.finish()
    assert sim.status.phase == "Cancelled"


@pytest.mark.parametrize("mode", list(Mode))
def test_a_run_whose_pods_name_somebody_has_taken_ends_by_any_stop(mode: Mode) -> None:
    sim = Simulation(PROGRAM["cooperative"])
    controller = sim.controllers[0]
    while not sim.awaits_pod():
        controller.act()
    sim.take_name()
    sim.idle(20)
    assert (sim.status.phase, sim.status.waiting_on) == ("Pending", ("somebody's",))
    sim.request(mode)
    sim.idle(1)
    assert sim.status.phase in ENDS
    assert not list(sim.cluster.alive())


def test_a_run_begins_once_the_name_of_its_pod_is_free() -> None:
    sim = Simulation(PROGRAM["succeeds"])
    while not sim.awaits_pod():
        sim.controllers[0].act()
    sim.take_name()
    sim.idle(20)
    sim.finish()
    assert sim.status.phase == "Succeeded"
