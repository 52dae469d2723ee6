"""An administrator's word: the Node object is deleted, or tainted as out of service. It ends what was open there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hack.cluster.api import start_kubelet
from tests.cluster.lost_nodes.conftest import LOST
from tests.support import programs, proof
from tests.support.lab import Execution, Lab, phase_of, template
from tests.support.logs import wait_until_started
from tests.support.nodes import put_back, put_in_service, put_out_of_service, saved, wait_for_return
from tests.support.sight import HOSTNAME
from tests.support.watching import Seen

WORDS: dict[str, Callable[[Any], None]] = {
    "out of service": lambda core: put_out_of_service(core, LOST),
    "deleted": lambda core: core.delete_node(LOST),
}
STOPS = {"killed": ("Kill", "KillCancelling"), "cancelled": ("Cancel", "Cancelling")}

THERE = {"nodeSelector": {HOSTNAME: LOST}}
WISH = {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [LOST]}]}
RATHER_THERE = {
    "affinity": {
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": WISH}]}
    }
}


@dataclass(frozen=True)
class Removal:
    """What was seen when the word was given."""

    runs: dict[str, Execution]
    ends: dict[str, Seen]
    alive: dict[str, bool]
    """Whether its process lived on the node when its run went on without it."""


@pytest.fixture(scope="module", params=WORDS)
def removal(place: Lab, stopped_kubelet: Callable[[], None], request: pytest.FixtureRequest) -> Removal:
    """Executions on a node that does not answer, the administrator's word, and the node's return."""
    node = saved(place.core, LOST)
    suffix = request.param.replace(" ", "-")
    runs = {name: start(place, f"{name}-{suffix}", **THERE) for name in STOPS}
    wait_until_there(runs)
    # It must be able to run elsewhere, so it only prefers this node: after the others have shown that it takes pods.
    runs["running"] = start(place, f"running-{suffix}", **RATHER_THERE)
    wait_until_there(runs)
    stopped_kubelet()
    for name, (mode, phase) in STOPS.items():
        runs[name].stop(mode)
        runs[name].wait_for(phase)
    WORDS[request.param](place.core)
    ends = {name: runs[name].wait_for("Cancelled") for name in STOPS}
    ends["running"] = runs["running"].wait_for(lambda held: held["status"].get("attempt") == 2)
    alive = {name: any(p.node == LOST for p in execution.processes()) for name, execution in runs.items()}
    put_back(place.core, node)
    put_in_service(place.core, LOST)
    start_kubelet(LOST)
    wait_for_return(place.core, LOST)
    return Removal(runs, ends, alive)


def start(lab: Lab, name: str, **where: Any) -> Execution:
    marker = f"mark-{name}-{lab.name}"
    made = template(programs.command(programs.POLITE, marker), **where)
    return lab.create({"workflowSpec": {"template": made}}, marker)


def wait_until_there(runs: dict[str, Execution]) -> None:
    for execution in runs.values():
        wait_until_started(execution)
        assert {process.node for process in execution.processes()} == {LOST}


@pytest.mark.conformance("C7")
@pytest.mark.parametrize("name", STOPS)
def test_the_administrators_word_ends_what_is_being_stopped(name: str, removal: Removal) -> None:
    status = removal.ends[name].object["status"]
    assert removal.alive[name], "the word was not true, and Desist took it"
    assert status["processes"][0]["state"] == "gone"
    assert "ended with its node" in status["failure"]["message"]
    assert STOPS[name][1] in removal.runs[name].phases()


@pytest.mark.conformance("E11", "B20", "C16")
def test_what_was_running_runs_again_elsewhere_and_the_old_process_is_stopped_when_the_node_is_back(
    removal: Removal,
) -> None:
    execution = removal.runs["running"]
    assert removal.alive["running"]
    types = [entry["type"] for entry in removal.ends["running"].object["status"]["history"]]
    assert "PodDisrupted" in types
    counted = execution.wait_for(lambda held: held["status"].get("lateStarts", 0) == 1)
    assert phase_of(counted.object) == "Running"
    again = execution.wait_for(
        lambda held: bool(held["status"]["processes"][0].get("node")), after=removal.ends["running"]
    )
    assert again.object["status"]["processes"][0]["node"] != LOST
    settled = execution.wait_for(
        lambda held: all(p["role"] == "workflow" for p in held["status"]["processes"]), 60, after=counted
    )
    assert (phase_of(settled.object), settled.object["status"]["attempt"]) == ("Running", 2)
    # The phase is Running since the first attempt; the second one's container may still be made.
    proof.wait_until_started(execution.marker, 60)
    assert {process.node for process in execution.processes()} == {"desist-worker"}
    execution.stop("Kill", gracePeriodSeconds=1)
    execution.wait_for("Cancelled")


@pytest.mark.conformance("C15", "C16")
def test_nothing_is_left_when_the_node_is_back(removal: Removal) -> None:
    assert proof.gone_for_good(*(removal.runs[name].marker for name in STOPS))
