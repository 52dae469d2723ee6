"""Somebody takes our label off a pod: to every watch it is deleted, and yet its process lives."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import programs, proof
from tests.support.lab import Execution, Lab, phase_of, template
from tests.support.logs import wait_until_started

pytestmark = pytest.mark.usefixtures("release_operator")

LABEL = "desist.dev/execution-uid"


def take_label_off(execution: Execution) -> Any:
    """Take it off the only pod, and give the pod as it was."""
    (pod,) = execution.pods()
    body = {"metadata": {"labels": {LABEL: None}}}
    execution.lab.core.patch_namespaced_pod(pod.metadata.name, execution.lab.name, body)
    assert execution.pods() == []
    return pod


@pytest.mark.conformance("C15")
def test_a_process_whose_pod_has_lost_its_label_is_stopped_and_the_run_ends_with_it(lab: Lab) -> None:
    execution = lab.start(programs.DEAF)
    wait_until_started(execution)
    take_label_off(execution)
    execution.stop("Cancel")
    execution.wait_for("Cancelling")
    assert execution.processes(), "a mere Cancel has killed it"
    execution.stop("Kill", gracePeriodSeconds=1)
    held = execution.wait_for("Cancelled").object
    assert proof.gone_for_good(execution.marker)
    assert (held["status"]["processes"][0]["state"], held["status"]["processes"][0]["exitCode"]) == ("gone", 137)
    assert "PodVanished" not in [entry["type"] for entry in held["status"]["history"]]


def test_a_pod_that_lost_its_label_before_it_had_a_node_is_not_taken_for_gone(lab: Lab) -> None:
    nowhere = template(programs.command(programs.WORKS, f"mark-{lab.name}"), nodeSelector={"no-node": "has-this"})
    execution = lab.create({"workflowSpec": {"template": nowhere}}, f"mark-{lab.name}")
    execution.wait_for(lambda held: any(p.get("podUid") for p in held["status"].get("processes", ())))
    pod = take_label_off(execution)
    execution.stop("Kill")
    ended = execution.wait_for("Cancelled").object
    assert phase_of(ended) == "Cancelled"
    assert ended["status"]["attempt"] == 1, "it was taken for gone, and run again"
    left = [p.metadata.uid for p in lab.core.list_namespaced_pod(lab.name).items]
    assert pod.metadata.uid not in left, "the run has ended, and its pod may yet start"
