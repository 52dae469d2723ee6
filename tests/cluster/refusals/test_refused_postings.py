"""A cluster that refuses the posting of a stop: every mode ends its run all the same, and a Cancel says who refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import admission, programs, proof
from tests.support.lab import Execution, Lab, template
from tests.support.logs import wait_until_started
from tests.support.spaces import shared

pytestmark = [pytest.mark.usefixtures("release_operator"), pytest.mark.conformance("C19")]

MESSAGE = "pods of this namespace are frozen"
HARD = ("Force", "Terminate", "Kill")
NOWHERE = {"nodeSelector": {"desist.dev/no-such-node": "true"}}


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, api: Any, crds: None) -> Iterator[Lab]:
    with shared(request, api) as lab:
        yield lab


@pytest.fixture(scope="module")
def started(place: Lab, release_operator: Any) -> dict[str, Execution]:
    """One run for each case, all started before anything is refused."""
    runs = {mode: place.start(programs.DEAF) for mode in HARD}
    runs["Cancel"] = place.start(programs.DEAF)
    held = {"template": template(programs.command(programs.WORKS, "never-runs"), **NOWHERE)}
    runs["Pending"] = place.create({"workflowSpec": held}, "never-runs")
    for name, run in runs.items():
        if name != "Pending":
            wait_until_started(run)
    runs["Pending"].wait_for(lambda seen: any("node" in text for text in seen["status"].get("waitingOn", ())))
    return runs


@pytest.fixture(scope="module")
def frozen(place: Lab, started: dict[str, Execution]) -> Iterator[dict[str, Execution]]:
    with admission.refusing(place, ("UPDATE",), MESSAGE):
        yield started


@pytest.mark.parametrize("mode", HARD)
def test_a_mode_with_a_deadline_ends_a_running_process_that_a_policy_keeps_from_being_told(
    frozen: dict[str, Execution], mode: str
) -> None:
    run = frozen[mode]
    run.stop(mode, **({"gracePeriodSeconds": 3} if mode == "Kill" else {}))
    run.wait_for("Terminated" if mode == "Terminate" else "Cancelled")
    assert proof.gone_for_good(run.marker)


def test_a_pod_that_never_started_is_deleted_though_its_mailbox_cannot_be_written(
    frozen: dict[str, Execution],
) -> None:
    frozen["Pending"].stop("Kill")
    frozen["Pending"].wait_for("Cancelled")
    assert frozen["Pending"].pods() == []


def test_a_cancel_names_who_refuses_and_a_kill_ends_it(frozen: dict[str, Execution]) -> None:
    run = frozen["Cancel"]
    run.stop("Cancel")
    seen = run.wait_for(lambda held: any(MESSAGE in text for text in held["status"].get("waitingOn", ())))
    assert seen.object["status"]["phase"] == "Cancelling"
    assert MESSAGE in run.wait_for_event("StopRefused")
    assert run.processes(), "a Cancel kills nobody"
    run.stop("Kill", gracePeriodSeconds=1)
    run.wait_for("Cancelled")
    assert proof.gone_for_good(run.marker)


def test_a_webhook_that_cannot_be_called_holds_no_kill_up(lab: Lab) -> None:
    run = lab.start(programs.DEAF)
    wait_until_started(run)
    with admission.broken_webhook(lab, ("UPDATE",)):
        run.stop("Kill", gracePeriodSeconds=2)
        run.wait_for("Cancelled")
    assert proof.gone_for_good(run.marker)


@pytest.mark.parametrize("mode", ["Kill", "Force"])
def test_annotations_that_others_have_filled_hold_no_stop_up(lab: Lab, mode: str) -> None:
    run = lab.start(programs.DEAF)
    wait_until_started(run)
    (pod,) = run.pods()
    filler = "x" * (256 * 1024 - sum(len(k) + len(v) for k, v in pod.metadata.annotations.items()) - 20)
    lab.core.patch_namespaced_pod(pod.metadata.name, lab.name, {"metadata": {"annotations": {"filler": filler}}})
    run.stop(mode, reason="no room for it")
    run.wait_for("Cancelled")
    assert proof.gone_for_good(run.marker)


def test_a_mailbox_that_another_wrote_or_took_away_is_written_again(lab: Lab) -> None:
    run = lab.start(programs.DEAF)
    wait_until_started(run)
    run.stop("Cancel")
    (pod,) = run.pods()
    for value in (None, '{"sequence":99,"runId":"x","commandId":"y","mode":"Cancel","signal":"SIGHUP"}'):
        change = {"metadata": {"annotations": {"desist.dev/stop": value}}}
        lab.core.patch_namespaced_pod(pod.metadata.name, lab.name, change)
    run.stop("Kill", gracePeriodSeconds=1)
    run.wait_for("Cancelled")
    assert proof.gone_for_good(run.marker)
