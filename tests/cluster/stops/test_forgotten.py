"""Somebody deletes a pod by force: nobody sees its processes end, and a request may say not to wait for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import programs, proof
from tests.support.lab import Lab, template
from tests.support.logs import wait_until_started

pytestmark = pytest.mark.usefixtures("release_operator")


def missed(held: dict[str, Any]) -> bool:
    return any(process.get("reason") == "PodMissed" for process in held["status"].get("processes", ()))


@pytest.mark.conformance("C7")
def test_forget_ends_the_wait_for_a_vanished_pod(lab: Lab) -> None:
    marker = f"mark-{lab.name}"
    long = template(programs.command(programs.WORKS, marker), terminationGracePeriodSeconds=600)
    execution = lab.create({"workflowSpec": {"template": long}}, marker)
    wait_until_started(execution)
    (pod,) = execution.pods()
    lab.core.delete_namespaced_pod(pod.metadata.name, lab.name, grace_period_seconds=0)
    waits = execution.wait_for(missed)
    execution.stop("Kill", gracePeriodSeconds=1)
    stopped = execution.wait_for("KillCancelling", after=waits)
    execution.stop("Kill", gracePeriodSeconds=1, onLostNode="Forget")
    ended = execution.wait_for("Cancelled", 60, after=stopped).object["status"]
    assert (ended["processes"][0]["state"], ended["processes"][0]["reason"]) == ("unproven", "Forgotten")
    # The kubelet ends it some seconds after the pod was forgotten, which nobody can know: that is what unproven means.
    proof.wait_until_gone(marker)
