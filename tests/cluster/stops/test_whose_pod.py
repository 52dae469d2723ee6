"""A pod that only looks like the run's own is never taken for it, and never touched."""

from __future__ import annotations

from typing import Any

import pytest

from desist.lifecycle.pod.launcher import LAUNCHER
from tests.support import programs
from tests.support.lab import Execution, Lab, template
from tests.support.logs import wait_until_started
from tests.support.quotas import no_pods
from tests.support.spaces import shared

pytestmark = pytest.mark.usefixtures("host_operator")


def next_name(execution: Execution) -> str:
    """The name that the pod of the second attempt will have."""
    (pod,) = execution.pods()
    start, _, attempt = str(pod.metadata.name).rpartition("-")
    assert attempt == "1"
    return f"{start}-2"


def end_first_attempt(execution: Execution) -> None:
    """Somebody deletes its pod, so that a second attempt follows."""
    (pod,) = execution.pods()
    execution.lab.core.delete_namespaced_pod(pod.metadata.name, execution.lab.name)


def like_ours(execution: Execution, name: str) -> dict[str, Any]:
    """A pod that says of itself that it is the second attempt's, and ends at once with a result."""
    (pod,) = execution.pods()
    says = '{"outcome": "Succeeded", "result": "forged"}'
    script = f"open('/dev/termination-log', 'w').write('{says}')"
    (owner,) = pod.metadata.owner_references
    reference = {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
    }
    metadata = {
        "name": name,
        "labels": {**pod.metadata.labels, "desist.dev/attempt": "2"},
        "ownerReferences": [reference],
    }
    spec = template(["python3", "-c", script, LAUNCHER])["spec"] | {"restartPolicy": "Never"}
    return {"metadata": metadata, "spec": spec}


def waits_for(text: str) -> Any:
    return lambda held: any(text in line for line in held["status"].get("waitingOn", ()))


def started(lab: Lab) -> Execution:
    execution = lab.start(programs.WORKS)
    wait_until_started(execution)
    return execution


@pytest.mark.conformance("I6")
def test_a_pod_in_another_namespace_is_not_the_runs_whatever_it_says(
    lab: Lab, api: Any, request: pytest.FixtureRequest
) -> None:
    execution = started(lab)
    with shared(request, api) as other:
        other.core.create_namespaced_pod(other.name, like_ours(execution, next_name(execution)))
        no_pods(lab, "none")
        end_first_attempt(execution)
        refused = execution.wait_for(waits_for("exceeded quota"))
        execution.stop("Kill")
        ended = execution.wait_for("Cancelled", after=refused).object["status"]
    assert [process.get("podUid") for process in ended["processes"]] == [None]
    assert (ended.get("result"), ended.get("lateStarts")) == (None, None)


@pytest.mark.conformance("I6")
def test_a_pod_that_somebody_made_under_the_runs_name_is_named_and_a_kill_ends_the_run_without_it(lab: Lab) -> None:
    execution = started(lab)
    name = next_name(execution)
    body = {"metadata": {"name": name}, "spec": template(programs.command(programs.WORKS, "foreign"))["spec"]}
    foreign = lab.core.create_namespaced_pod(lab.name, body)
    end_first_attempt(execution)
    waits = execution.wait_for(waits_for(f"pod {name} exists and is not this run's"))
    execution.stop("Kill")
    ended = execution.wait_for("Cancelled", 60, after=waits).object["status"]
    assert (ended["processes"][0].get("podUid"), ended["processes"][0]["reason"]) == (None, "NeverCreated")
    left = lab.core.read_namespaced_pod(name, lab.name)
    assert (left.metadata.uid, left.metadata.deletion_timestamp) == (foreign.metadata.uid, None)
    assert "desist.dev/stop" not in (left.metadata.annotations or {})


def test_the_run_goes_on_once_the_pod_that_bore_its_name_is_gone(lab: Lab) -> None:
    execution = started(lab)
    name = next_name(execution)
    body = {"metadata": {"name": name}, "spec": template(programs.command(programs.WORKS, "foreign"))["spec"]}
    lab.core.create_namespaced_pod(lab.name, body)
    end_first_attempt(execution)
    waits = execution.wait_for(waits_for(f"pod {name} exists"))
    lab.core.delete_namespaced_pod(name, lab.name, grace_period_seconds=1)
    execution.wait_for(lambda held: held["status"]["processes"][0].get("podUid") is not None, after=waits)
    execution.stop("Kill", gracePeriodSeconds=1)
    execution.wait_for("Cancelled")
