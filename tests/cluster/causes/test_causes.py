"""Why processes end, on real kubelets: drains, limits, nodes that reject a pod, and signals from inside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import watch

from tests.support import programs, proof
from tests.support.lab import Execution, Lab, phase_of, template
from tests.support.logs import wait_for_log, wait_until_started
from tests.support.sight import STEADY_NODE
from tests.support.spaces import shared
from tests.support.watching import Object

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("release_operator")]

GUIDE = Path(__file__).parents[3] / "docs" / "workflows.md"
KUBELET_MEASURES_WITHIN = 200
"""Seconds: a kubelet measures volumes once a minute, and acts on what it measured every ten seconds."""


@pytest.fixture(scope="module")
def place(api: Any, crds: None, release_operator: Any, request: pytest.FixtureRequest) -> Iterator[Lab]:
    with shared(request, api) as lab:
        yield lab


def run(lab: Lab, made: dict[str, Any], marker: str = "") -> Execution:
    return lab.create({"workflowSpec": {"template": made}}, marker)


def shell(script: str, **container: Any) -> dict[str, Any]:
    made = template(["bash", "-c", script])
    made["spec"]["containers"][0].update(container)
    return made


@pytest.fixture(scope="module", autouse=True)
def over_limits(place: Lab) -> dict[str, Execution]:
    """What uses more of its node's disk than it asked for.

    All at once, and before the module's first test: a kubelet takes its time, in which the other tests are run.
    """
    volume = shell("dd if=/dev/zero of=/data/much bs=1M count=24; echo started; exec sleep 3600")
    volume["spec"]["volumes"] = [{"name": "data", "emptyDir": {"sizeLimit": "4Mi"}}]
    volume["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    layer = shell(
        "dd if=/dev/zero of=/tmp/much bs=1M count=24; echo started; exec sleep 3600",
        resources={"limits": {"ephemeral-storage": "4Mi"}},
    )
    large = shell("dd if=/dev/zero of=$(dirname $DESIST_OUTCOME)/much bs=1M count=4; sleep 100")
    return {"an emptyDir": run(place, volume), "ephemeral storage": run(place, layer), "the outcome": run(place, large)}


def on_attempt(number: int) -> Any:
    """Whether the attempt of that number has a process that runs: of one that may yet start no boot is noted."""

    def runs(held: Object) -> bool:
        status = held.get("status", {})
        alive = any(p["state"] == "alive" and p.get("bootId") for p in status.get("processes", ()))
        return bool(status.get("attempt") == number and alive)

    return runs


def wait_until_init_runs(execution: Execution, seconds: int = 120) -> None:
    """Until an init container of its pod runs, so that its log can be asked for."""
    selector = f"desist.dev/execution-uid={execution.uid}"
    listing, name = execution.lab.core.list_namespaced_pod, execution.lab.name
    stream: Any = watch.Watch().stream(listing, name, label_selector=selector, timeout_seconds=seconds)
    for event in stream:
        statuses = event["object"].status.init_container_statuses or ()
        if any(each.name == "lock" and each.state.running for each in statuses):
            return
    raise AssertionError(f"no init container of {execution.name} ran within {seconds} s: {execution.describe()}")


def documented() -> dict[str, Any]:
    """The Workflow of the guide, as it stands there, in an image that this cluster has."""
    first = re.search(r"(?:^    .*\n|^\n)+", GUIDE.read_text().partition("says how far it came:\n")[2], re.MULTILINE)
    assert first is not None
    text = "\n".join(line[4:] for line in first[0].splitlines())
    spec: dict[str, Any] = next(yaml.safe_load_all(text))["spec"]
    spec["template"]["spec"]["containers"][0]["image"] = programs.WORKLOAD
    return spec


@pytest.mark.conformance("B17", "E11")
def test_the_documented_program_writes_cancelled_on_a_drain_and_is_run_again(place: Lab) -> None:
    execution = place.create({"workflowSpec": documented(), "arguments": {"rows": 100_000}})
    execution.wait_for("Running")
    wait_for_log(execution, "row 2")
    pod = execution.pods()[0].metadata.name
    eviction = {"metadata": {"name": pod, "namespace": place.name}}
    place.core.create_namespaced_pod_eviction(pod, place.name, eviction)
    again = execution.wait_for(on_attempt(2)).object
    entry = next(each for each in again["status"]["history"] if each["type"] == "PodDisrupted")
    assert "the pod was drained from its node" in entry["message"]
    assert "its outcome Cancelled does not count" in entry["message"]
    wait_for_log(execution, "row 2")
    execution.stop("Cancel", reason="enough")
    held = execution.wait_for("Cancelled").object
    assert held["status"]["result"]["rows"] >= 2
    assert held["status"]["disruptions"] == 1


def tried(lab: Lab, script: str, **policy: int) -> Execution:
    spec = {"template": shell(script), "retryPolicy": policy}
    return lab.create({"workflowSpec": spec})


def test_a_program_that_fails_is_tried_again_as_its_workflow_says(place: Lab) -> None:
    execution = tried(place, "exit $((DESIST_ATTEMPT < 3 ? 7 : 0))", maximumAttempts=3, backoffCoefficient=1)
    status = execution.wait_for("Succeeded").object["status"]
    assert (status["attempt"], status["failedAttempts"]) == (3, 2)
    assert [entry["type"] for entry in status["history"]].count("AttemptFailed") == 2
    assert len(execution.pods()) == 3


@pytest.mark.conformance("B22")
def test_a_stop_in_the_wait_after_a_failure_ends_the_run_and_nothing_is_tried_again(place: Lab) -> None:
    execution = tried(place, "exit 7", maximumAttempts=5, initialIntervalSeconds=3600)
    execution.wait_for(lambda seen: seen.get("status", {}).get("failedAttempts") == 1)
    execution.stop("Cancel")
    status = execution.wait_for("Cancelled", 60).object["status"]
    assert (status["attempt"], len(execution.pods())) == (1, 1)


@pytest.mark.conformance("E4")
def test_a_node_that_rejects_each_pod_leaves_few_of_them(place: Lab) -> None:
    made = template(["true"], nodeName=STEADY_NODE)
    made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1000"}}
    execution = run(place, made)
    held = execution.wait_for(lambda seen: seen.get("status", {}).get("disruptions", 0) >= 6).object
    assert phase_of(held) == "Pending"
    reasons = [entry["message"] for entry in held["status"]["history"] if entry["type"] == "PodDisrupted"]
    assert len(reasons) == 6
    assert all("the node rejected the pod" in text and "OutOfcpu" in text for text in reasons)
    execution.stop("Cancel")
    execution.wait_for("Cancelled")
    failed = [pod for pod in execution.pods() if pod.status.phase == "Failed"]
    assert len(failed) <= 4, "three of earlier attempts, and the current one's"


@pytest.mark.conformance("C22")
@pytest.mark.parametrize(("code", "end"), [(0, "Succeeded"), (3, "Failed")])
def test_a_sigterm_from_inside_explains_nothing_and_the_exit_is_the_programs_own(
    place: Lab, code: int, end: str
) -> None:
    execution = run(place, shell(f"trap 'exit {code}' TERM; kill -TERM 1; while true; do sleep 0.1; done"))
    held = execution.wait_for(end).object
    assert held["status"]["processes"][0]["exitCode"] == code
    assert held["status"]["attempt"] == 1
    assert held["status"].get("failure", {}).get("category") in (None, "application")


@pytest.mark.conformance("C22")
def test_after_a_sigterm_from_inside_a_cancel_is_still_told(place: Lab) -> None:
    counts = """
trap 'heard=$((heard + 1)); echo heard $heard; [ $heard = 2 ] && exit 0' TERM
kill -TERM 1
until [ "${heard:-0}" = 1 ]; do sleep 0.1; done
echo started
while true; do sleep 0.1; done
"""
    execution = run(place, shell(counts))
    wait_until_started(execution)
    execution.stop("Cancel")
    held = execution.wait_for("Cancelled").object
    assert held["status"]["processes"][0]["exitCode"] == 0


@pytest.mark.conformance("B18")
def test_an_init_container_has_time_to_let_go_of_its_lock_under_cancel(place: Lab) -> None:
    marker = f"mark-lock-{place.name}"
    script = "trap 'sleep 2; echo let go; exit 4' TERM; echo locked; while true; do sleep 0.1; done"
    init = {"name": "lock", "image": programs.WORKLOAD, "command": ["bash", "-c", script, marker]}
    made = template(["true"], initContainers=[init], terminationGracePeriodSeconds=30)
    execution = run(place, made, marker)
    wait_until_init_runs(execution)
    with ThreadPoolExecutor(1) as beside:
        # Followed from before the stop: soon after it the pod is gone, and its log too.
        lets_go = beside.submit(wait_for_log, execution, "let go", 120, "lock")
        wait_for_log(execution, "locked", container="lock")
        execution.stop("Cancel")
        lets_go.result()
    held = execution.wait_for("Cancelled").object
    assert held["status"]["failure"]["category"] == "cancelled"
    assert proof.gone_for_good(marker)


@pytest.mark.conformance("C19")
def test_a_pod_without_room_for_a_stop_is_refused_at_the_start_with_words(place: Lab) -> None:
    full = {"metadata": {"annotations": {"example.test/notes": "x" * 250_000}}, **template(["true"])}
    execution = run(place, full)

    def stalled(held: Object) -> bool:
        conditions = held.get("status", {}).get("conditions", ())
        return any(c["type"] == "Stalled" and c["reason"] == "TemplateInvalid" for c in conditions)

    held = execution.wait_for(stalled).object
    (said,) = (c["message"] for c in held["status"]["conditions"] if c["type"] == "Stalled")
    assert "metadata.annotations" in said
    assert not execution.pods()
    execution.stop("Cancel")
    execution.wait_for("Cancelled")


@pytest.mark.conformance("E4", "G3")
@pytest.mark.parametrize("what", ["an emptyDir", "ephemeral storage"])
def test_a_pod_over_its_own_limits_fails_and_is_not_run_again(what: str, over_limits: dict[str, Execution]) -> None:
    execution = over_limits[what]
    held = execution.wait_for("Failed", KUBELET_MEASURES_WITHIN).object
    failure, process = held["status"]["failure"], held["status"]["processes"][0]
    assert failure["category"] == "limits"
    assert "limit" in failure["message"].partition("Evicted: ")[2].lower(), "the kubelet's own words"
    assert (process["reason"], held["status"]["attempt"]) == ("Evicted", 1)
    assert "disruptions" not in held["status"]


def test_a_large_file_beside_the_outcome_gets_no_pod_evicted(over_limits: dict[str, Execution]) -> None:
    """It has lived for as long as a kubelet takes to evict the others."""
    held = over_limits["the outcome"].wait_for("Succeeded", KUBELET_MEASURES_WITHIN).object
    assert held["status"]["attempt"] == 1
