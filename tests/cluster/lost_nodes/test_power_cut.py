"""A node loses its power, with everything in it, and comes back: only then is it proven that its processes are gone."""

from __future__ import annotations

from typing import Any

import pytest

from hack.cluster.api import start_node, stop_node
from tests.cluster.lost_nodes.conftest import LOST
from tests.support import programs, proof
from tests.support.lab import Execution, Lab, condition, phase_of, template
from tests.support.logs import wait_until_started
from tests.support.nodes import wait_for_ready

ON_LOST = {"nodeSelector": {"kubernetes.io/hostname": LOST}}
LOST_AFTER = 8
"""Seconds that the node is not Ready before it counts as lost."""


@pytest.fixture(scope="module")
def operator_environment() -> dict[str, str]:
    """The node counts as lost sooner than by default; the default itself is held by test_one_window.py."""
    return {"DESIST_NODE_LOST_AFTER_SECONDS": str(LOST_AFTER)}


def start(lab: Lab, name: str) -> Execution:
    marker = f"mark-{name}-{lab.name}"
    made = template(programs.command(programs.DEAF, marker), **ON_LOST)
    return lab.create({"workflowSpec": {"template": made}}, marker)


def is_lost(held: dict[str, Any]) -> bool:
    return condition(held, "NodeLost").get("status") == "True"


def runs_again(held: dict[str, Any]) -> bool:
    """Whether the second attempt's container has started: only then is the boot known in which it did."""
    processes = held["status"].get("processes", ())
    return held["status"].get("attempt") == 2 and any(process.get("bootId") for process in processes)


@pytest.mark.conformance("C7", "C8", "E11")
def test_a_run_on_a_node_without_power_stays_open_until_the_node_is_back(place: Lab) -> None:
    killed, running = start(place, "killed"), start(place, "running")
    for execution in (killed, running):
        wait_until_started(execution)
        assert {process.node for process in execution.processes()} == {LOST}
    stop_node(LOST)
    try:
        assert not proof.processes(killed.marker)
        killed.stop("Kill")
        lost = killed.wait_for(is_lost, 120).object
        assert phase_of(lost) == "KillCancelling"
        assert lost["status"]["unconfirmed"][0]["node"] == LOST
        assert phase_of(running.wait_for(is_lost, 60).object) == "Running"
    finally:
        start_node(LOST)
        wait_for_ready(place.core, LOST, ready=True)
    ended = killed.wait_for("Cancelled").object
    assert ended["status"]["processes"][0]["state"] == "gone"
    again = running.wait_for(lambda held: held["status"].get("attempt") == 2).object
    assert (phase_of(again), again["status"]["disruptions"]) == ("Running", 1)
    assert "PodDisrupted" in [entry["type"] for entry in again["status"]["history"]]
    running.wait_for(runs_again)
    running.stop("Kill", gracePeriodSeconds=1)
    running.wait_for("Cancelled")
    assert proof.gone_for_good(place.name)
