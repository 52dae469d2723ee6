"""The process itself: it waits for what it needs, tells the truth about itself, and ends when it is told to."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.cluster.home import home
from tests.support import programs
from tests.support.apiproxy import ApiProxy
from tests.support.faults import Delay, Fault
from tests.support.lab import Lab, template
from tests.support.logs import wait_until_started
from tests.support.operator_process import OperatorProcess

# CRDs that are not served are gone for everybody.
pytestmark = pytest.mark.alone

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
EXECUTIONS = "/workflowexecutions"
WORKFLOWS = "/workflows"
SOON = 15.0
"""Seconds: about one on a machine at rest; a worker that is waited for in vain takes the pod's whole grace."""
CRDS = ("workflowexecutions.desist.dev", "workflows.desist.dev")


@pytest.fixture
def fresh(
    release_away: None, crds: None, through_proxy: Path, environment: dict[str, str]
) -> Iterator[OperatorProcess]:
    """An operator of this test alone, not started yet."""
    operator = OperatorProcess(through_proxy, home().log("operator-process"), environment)
    yield operator
    operator.kill()


@pytest.fixture
def seldom_compared(
    release_away: None, crds: None, through_proxy: Path, environment: dict[str, str]
) -> Iterator[OperatorProcess]:
    """Likewise, and no list finds what a watch has missed."""
    settings = environment | {"DESIST_RESYNC_SECONDS": "3600"}
    operator = OperatorProcess(through_proxy, home().log("operator-process"), settings)
    yield operator
    operator.kill()


@pytest.fixture
def serve(kubectl: Kubectl, crds: None) -> Iterator[Callable[[str, bool], None]]:
    """Takes a CRD out of service and back; its objects stay. To the API's users it is as if it were not there."""

    def serve(crd: str, served: bool) -> None:
        patch = json.dumps([{"op": "replace", "path": "/spec/versions/0/served", "value": served}])
        done = kubectl("patch", "crd", crd, "--type", "json", "--patch", patch)
        assert done.returncode == 0, done.stderr

    yield serve
    for crd in CRDS:
        serve(crd, True)


@pytest.mark.parametrize("missing", [CRDS[:1], CRDS], ids=["one is missing", "both are missing"])
def test_it_waits_for_crds_that_come_later_and_then_works(
    missing: tuple[str, ...],
    fresh: OperatorProcess,
    serve: Callable[[str, bool], None],
    kubectl: Kubectl,
    request: pytest.FixtureRequest,
) -> None:
    for crd in missing:
        serve(crd, False)
        _wait_until_unserved(kubectl, crd)
    fresh.launch()
    fresh.wait_for_line("the CRDs of desist.dev/v1alpha1 are not installed", 60)
    assert fresh.probe("/livez")[0] == 200
    assert fresh.probe("/readyz")[0] == 503
    for crd in missing:
        serve(crd, True)
    fresh.wait_for_line("ready: ", 60)
    lab: Lab = request.getfixturevalue("lab")
    lab.start(programs.FINISHES).wait_for("Succeeded")


def test_sigterm_ends_it_soon_with_work_at_hand(fresh: OperatorProcess, lab: Lab) -> None:
    fresh.start()
    executions = [lab.start(programs.DEAF) for _ in range(3)]
    for execution in executions:
        wait_until_started(execution)
    executions[0].stop("Kill", gracePeriodSeconds=3)
    executions[0].wait_for("KillCancelling")
    code, seconds = fresh.stop()
    assert (code, seconds < SOON) == (0, True), f"exit code {code} after {seconds:.1f} s"
    fresh.start()
    executions[0].wait_for("Cancelled")


def test_sigterm_ends_it_while_it_waits_for_crds(fresh: OperatorProcess, proxy: ApiProxy) -> None:
    proxy.down()
    fresh.launch()
    fresh.wait_for_line("the API server does not answer", 60)
    _, seconds = fresh.stop()
    proxy.up()
    assert seconds < SOON


def test_a_watch_of_kopfs_that_is_deaf_fails_the_liveness_probe_and_loses_nothing(
    fresh: OperatorProcess, lab: Lab, proxy: ApiProxy
) -> None:
    deaf = proxy.add(Fault(Delay(600), path=WORKFLOWS, query="watch=true", times=1))
    fresh.start()
    # A Workflow that is made before kopf's list would be in it.
    proxy.wait_for_requests(lambda _: deaf.times == 0, 1, 60)
    lab.workflow("late", {"template": template(programs.command(programs.FINISHES, "late"))})
    execution = lab.create({"workflowRef": {"name": "late"}})
    execution.wait_for("Succeeded", 60)
    fresh.wait_for_probe("/livez", 503, 60)
    assert "the watch of Workflow is deaf" in fresh.probe("/livez")[1]
    proxy.remove(deaf)
    fresh.kill()


def test_a_watch_of_executions_that_is_silent_is_made_anew_and_the_stop_of_meanwhile_obeyed(
    seldom_compared: OperatorProcess, lab: Lab, proxy: ApiProxy
) -> None:
    fresh = seldom_compared
    fresh.start()
    execution = lab.start(programs.WORKS)
    wait_until_started(execution)
    silent = proxy.add(Fault(Delay(600), path=EXECUTIONS, query="watch=true", times=1))
    proxy.wait_for_watches(4, 30)  # pods, nodes, executions, operations: each is made anew now and then
    assert proxy.cut() >= 4
    proxy.wait_for_requests(lambda _: silent.times == 0, 1, 60)
    execution.stop("Cancel")
    execution.wait_for("Cancelling", 60)
    execution.wait_for("Cancelled")
    assert fresh.probe("/livez")[0] == 200
    proxy.remove(silent)


def test_a_probe_port_that_is_taken_ends_it_with_a_message(fresh: OperatorProcess, environment: dict[str, str]) -> None:
    fresh.start()
    port = fresh.probe_port()
    other = OperatorProcess(home().kubeconfig, home().log("operator-process"), {"DESIST_PROBE_PORT": str(port)})
    other.launch()
    try:
        assert other.wait(60) != 0
        assert any("in use" in str(line) for line in other.lines())
    finally:
        other.kill()


def test_a_wrong_setting_ends_it_in_one_line(through_proxy: Path) -> None:
    operator = OperatorProcess(through_proxy, home().log("operator-process"), {"DESIST_WORKERS": "lots"})
    operator.launch()
    assert operator.wait(60) == 1
    assert [line["message"] for line in operator.lines()] == [
        "desist: DESIST_WORKERS is 'lots'; it must be a whole number from 1 to 256"
    ]


def _wait_until_unserved(kubectl: Kubectl, crd: str) -> None:
    """Until discovery, which the operator asks, does not name it any more; it cannot be watched."""
    plural, end = crd.partition(".")[0], time.monotonic() + 60
    while plural in (said := kubectl("get", "--raw", "/apis/desist.dev/v1alpha1")).stdout.split('"'):
        assert time.monotonic() < end, f"{crd} is still served"
        time.sleep(0.2)
    assert said.returncode == 0 or "NotFound" in said.stderr, said.stderr
