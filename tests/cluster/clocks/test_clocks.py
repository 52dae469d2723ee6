"""An operator whose clock is two hours ahead of the cluster's, or behind: nothing fires early, and no grace changes.

All that is looked at is begun first, for each clock, and takes its course side by side.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from hack.cluster.api import kubeconfig
from hack.cluster.home import home
from tests.support import programs
from tests.support.lab import Execution, Lab, condition, phase_of, template
from tests.support.logs import wait_until_started
from tests.support.operator_process import OperatorProcess
from tests.support.spaces import shared

pytestmark = pytest.mark.conformance("K9")
MARGIN, POD_GRACE, DRAIN_GRACE, KILL_GRACE, DEADLINE = 8, 2, 15, 6, 12


@pytest.fixture(scope="module", params=[-7200, 7200], ids=["two hours behind", "two hours ahead"])
def off(request: pytest.FixtureRequest) -> int:
    """Seconds by which the operator's clock is ahead."""
    seconds: int = request.param
    return seconds


@pytest.fixture(scope="module")
def host_operator(
    release_away: None, crds: None, launcher_image: str, off: int, request: pytest.FixtureRequest
) -> Iterator[OperatorProcess]:
    """The operator on a machine whose clock is off."""
    log = home().log(f"operator-clock-{off}")
    log.unlink(missing_ok=True)
    environment = {"DESIST_LAUNCHER_IMAGE": launcher_image, "DESIST_NODE_READY_MARGIN_SECONDS": str(MARGIN)}
    operator = OperatorProcess(kubeconfig(), log, environment, ("tests.support.skewed", str(off)))
    operator.start(60)
    yield operator
    operator.kill()


@dataclass
class Runs:
    """What takes its course."""

    hour: Execution
    """May run for an hour."""
    brief: Execution
    """May run for DEADLINE seconds."""
    killed: Execution
    drained: Execution
    vanished: Execution
    asked_at: float
    """No acceptance is from before."""
    killed_at: float
    drained_at: float
    vanished_at: float


def begin(lab: Lab, grace: int = POD_GRACE, **spec: Any) -> Execution:
    marker = f"mark-{len(lab.executions)}-{lab.name}"
    made = template(programs.command(programs.DEAF, marker), terminationGracePeriodSeconds=grace)
    return lab.create({"workflowSpec": {"template": made}, **spec}, marker)


@pytest.fixture(scope="module")
def runs(host_operator: OperatorProcess, api: Any, request: pytest.FixtureRequest) -> Iterator[Runs]:
    with shared(request, api, host_operator) as lab:
        asked = time.time()
        hour, brief = begin(lab, activeDeadlineSeconds=3600), begin(lab, activeDeadlineSeconds=DEADLINE)
        killed, drained, vanished = begin(lab), begin(lab, DRAIN_GRACE), begin(lab)
        # On a busy machine a start may take longer than the brief one has; its deadline fires all the same.
        for execution in (hour, killed, drained, vanished):
            wait_until_started(execution)
        now = time.time()
        killed.stop("Kill", gracePeriodSeconds=KILL_GRACE)
        _delete(drained)
        _delete(vanished, grace_period_seconds=0)
        yield Runs(hour, brief, killed, drained, vanished, asked, now, now, now)
        hour.stop("Force")
        hour.wait_for("Cancelled")


def _delete(execution: Execution, **options: Any) -> None:
    (pod,) = execution.pods()
    execution.lab.core.delete_namespaced_pod(pod.metadata.name, execution.lab.name, **options)


def attempt(number: int) -> Any:
    return lambda held: held["status"].get("attempt") == number


def test_a_vanished_pod_is_closed_after_its_time_and_no_sooner(runs: Runs) -> None:
    again = runs.vanished.wait_for(attempt(2), 90)
    assert POD_GRACE + MARGIN - 1 <= again.at - runs.vanished_at < POD_GRACE + MARGIN + 15
    assert "PodVanished" in [entry["type"] for entry in again.object["status"]["history"]]


def test_a_drain_has_its_grace_and_nothing_is_called_unkillable(runs: Runs) -> None:
    again = runs.drained.wait_for(attempt(2), 90)
    assert again.at - runs.drained_at >= DRAIN_GRACE - 1
    assert not [seen for seen in runs.drained.history() if condition(seen.object, "Unkillable")]


def test_a_kill_has_its_grace(runs: Runs) -> None:
    ended = runs.killed.wait_for("Cancelled")
    # A kubelet that is late with the mailbox leaves the end to the backstop, which comes five seconds past the grace.
    assert KILL_GRACE - 1 <= ended.at - runs.killed_at < KILL_GRACE + 30
    assert not [seen for seen in runs.killed.history() if condition(seen.object, "Unkillable")]


def test_a_deadline_fires_when_its_time_has_passed_since_the_acceptance(runs: Runs) -> None:
    begun = next(seen for seen in runs.brief.history() if seen.object.get("status", {}).get("acceptedAt"))
    fired = runs.brief.wait_for("KillCancelling")
    # The acceptance may be seen late, and the firing too: each bound is from the time that makes it hold then.
    assert fired.at - runs.asked_at >= DEADLINE - 1
    assert fired.at - begun.at < DEADLINE + 10
    runs.brief.wait_for("TimedOut")


def test_a_deadline_of_an_hour_does_not_fire(runs: Runs) -> None:
    runs.brief.wait_for("TimedOut")
    held = runs.hour.get()
    assert phase_of(held) == "Running"
    assert [entry["type"] for entry in held["status"]["history"]] == ["StartAccepted", "WorkflowStarted"]


def test_a_run_ends_no_earlier_than_it_started(runs: Runs) -> None:
    status = runs.killed.wait_for("Cancelled").object["status"]
    assert datetime.fromisoformat(status["startTime"]) <= datetime.fromisoformat(status["endTime"])
