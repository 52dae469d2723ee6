"""What each mode does to real processes, read from the nodes' process tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from kubernetes import client, watch

from tests.support import programs, proof
from tests.support.lab import Lab, condition, history, phase_of, record, template
from tests.support.logs import log_left, log_of, wait_until_started

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("release_operator")]

CHILDREN = """
import signal, subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"
for number in range(3):
    subprocess.Popen(["setsid", "--fork", "python3", "-c", deaf, sys.argv[-1]])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("started", flush=True)
time.sleep(3600)
"""
SLOW_TO_CLEAN = """
import signal, sys, time
def stop(number, frame):
    time.sleep(2)
    print("cleaned up", flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, stop)
print("started", flush=True)
while True:
    time.sleep(3600)
"""
REPORTS = """
import json, os, signal, sys, time
def stop(number, frame):
    with open(os.environ["DESIST_OUTCOME"], "w") as report:
        json.dump(json.loads(sys.argv[1]), report)
    sys.exit(int(sys.argv[2]))
signal.signal(signal.SIGTERM, stop)
print("started", flush=True)
while True:
    time.sleep(3600)
"""


def seconds_between(earlier: str, later: str) -> float:
    """Between two times of status."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


@pytest.mark.conformance("A1", "B1", "G1", "G2", "C15")
def test_cancel_tells_the_process_and_waits_for_its_clean_up(lab: Lab) -> None:
    execution = lab.start(SLOW_TO_CLEAN)
    wait_until_started(execution)
    execution.stop("Cancel", reason="customer asked")
    held = execution.wait_for("Cancelled").object
    assert execution.phases() == ["Pending", "Running", "Cancelling", "Cancelled"]
    assert "cleaned up" in log_of(execution)
    assert held["status"]["processes"][0]["exitCode"] == 3
    assert held["status"]["processes"][0]["state"] == "gone"
    assert history(held)[:3] == ["StartAccepted", "WorkflowStarted", "CancelRequested"]
    assert history(held)[-1] == "WorkflowCancelled"
    requested, ended = (
        next(e for e in held["status"]["history"] if e["type"] == t) for t in ("CancelRequested", "WorkflowCancelled")
    )
    assert requested["commandId"] == ended["commandId"] == record(held)["id"]
    assert requested["reason"] == ended["reason"] == "customer asked"
    assert proof.gone_for_good(execution.marker)


@pytest.mark.conformance("A3", "C1", "C12", "B7")
def test_kill_asks_first_and_kills_at_the_grace_on_two_nodes(lab: Lab) -> None:
    nodes = ("desist-worker", "desist-worker2")
    runs = []
    for node in nodes:
        marker = f"mark-{node}-{lab.name}"
        pod = template(programs.command(CHILDREN, marker), nodeSelector={"kubernetes.io/hostname": node})
        runs.append(lab.create({"workflowSpec": {"template": pod, "stopPolicy": {"gracePeriodSeconds": 3}}}, marker))
    for execution, node in zip(runs, nodes, strict=True):
        wait_until_started(execution)
        assert {process.node for process in execution.processes()} == {node}
    for execution in runs:
        execution.stop("Kill")
    for execution in runs:
        held = execution.wait_for("Cancelled").object
        assert execution.phases()[-2:] == ["KillCancelling", "Cancelled"]
        assert held["status"]["processes"][0]["exitCode"] == 137
        since = next(e["time"] for e in held["status"]["history"] if e["type"] == "KillRequested")
        assert seconds_between(since, held["status"]["cancellation"]["killAt"]) >= 3
        # endTime is the kubelet's, in whole seconds
        assert seconds_between(since, held["status"]["endTime"]) >= 2
    assert proof.gone_for_good(*(execution.marker for execution in runs))


@pytest.mark.conformance("A2", "A4", "A5", "C12", "B22")
@pytest.mark.parametrize(
    ("mode", "between", "end"), [("Force", "ForceCancelling", "Cancelled"), ("Terminate", "Terminating", "Terminated")]
)
def test_force_and_terminate_kill_at_once_and_no_clean_up_runs(lab: Lab, mode: str, between: str, end: str) -> None:
    execution = lab.start(SLOW_TO_CLEAN)
    wait_until_started(execution)
    execution.stop(mode)
    held = execution.wait_for(end).object
    assert execution.phases() == ["Pending", "Running", between, end]
    assert "cleaned up" not in (log_left(execution) or "")
    assert held["status"]["processes"][0]["exitCode"] == 137
    assert len(execution.pods()) <= 1
    assert proof.gone_for_good(execution.marker)


@pytest.mark.conformance("A6", "B22", "G6", "H16")
def test_each_step_up_is_accepted_once_and_recorded_in_order(lab: Lab) -> None:
    execution = lab.start(programs.DEAF, stopPolicy={"gracePeriodSeconds": 2})
    wait_until_started(execution)
    execution.stop("Cancel", reason="please", requestId="ticket-1")
    execution.wait_for("Cancelling")
    execution.stop("Kill", reason="now", requestId="ticket-2")
    held = execution.wait_for("Cancelled").object
    first, second = record(held, 0), record(held, 1)
    assert (first["mode"], second["mode"]) == ("Cancel", "Kill")
    assert first["supersededBy"] == second["id"]
    assert (first["requestId"], second["requestId"]) == ("ticket-1", "ticket-2")
    assert first["acceptedAt"] <= second["acceptedAt"]
    assert second["sequence"] > first["sequence"]
    assert held["status"]["history"][-1]["reason"] == "now"
    assert [c["outcome"] for c in (first, second)] == ["cancelled", "cancelled"]


@pytest.mark.conformance("A8", "B7", "C12")
def test_a_stop_becomes_a_kill_by_itself(lab: Lab) -> None:
    execution = lab.start(programs.DEAF, stopPolicy={"gracePeriodSeconds": 1})
    wait_until_started(execution)
    execution.stop("Cancel", killAfterSeconds=3, reason="deploy")
    held = execution.wait_for("Cancelled").object
    assert execution.phases() == ["Pending", "Running", "Cancelling", "KillCancelling", "Cancelled"]
    assert [c["source"] for c in held["status"]["commands"]] == ["api", "escalation"]
    assert record(held)["reason"] == "deploy"
    assert "CancellationEscalated" in history(held)
    assert 3 <= seconds_between(record(held, 0)["acceptedAt"], record(held)["acceptedAt"]) < 20
    assert proof.gone_for_good(execution.marker)


@pytest.mark.conformance("C2")
@pytest.mark.parametrize(
    ("policy", "request_", "grace", "cut"),
    [
        ({"gracePeriodSeconds": 2}, {}, 2, False),
        ({"gracePeriodSeconds": 30}, {"gracePeriodSeconds": 1}, 1, False),
        ({"gracePeriodSeconds": 1, "maxGracePeriodSeconds": 2}, {"gracePeriodSeconds": 600}, 2, True),
    ],
)
def test_the_grace_is_the_workflows_or_the_requests_cut_to_the_maximum(
    lab: Lab, policy: dict[str, int], request_: dict[str, int], grace: int, cut: bool
) -> None:
    execution = lab.start(programs.DEAF, stopPolicy=policy)
    wait_until_started(execution)
    execution.stop("Kill", **request_)
    held = execution.wait_for("Cancelled").object
    assert held["status"]["cancellation"]["gracePeriodSeconds"] == grace
    assert ("maxGracePeriodSeconds" in record(held).get("message", "")) is cut


@pytest.mark.conformance("B17", "B18")
@pytest.mark.parametrize(
    ("outcome", "code", "end"),
    [
        ({"outcome": "Succeeded", "result": {"booked": 40}}, 0, "Succeeded"),
        ({"outcome": "Failed", "failure": {"message": "the ledger is torn"}}, 0, "Failed"),
        ({"outcome": "Cancelled", "result": "half"}, 9, "Cancelled"),
    ],
)
def test_what_the_process_reports_while_it_is_cancelled_is_the_truth(
    lab: Lab, outcome: dict[str, Any], code: int, end: str
) -> None:
    import json

    marker = f"mark-{end}-{lab.name}"
    command = ["python3", "-uc", REPORTS, json.dumps(outcome), str(code), marker]
    execution = lab.create({"workflowSpec": {"template": template(command)}}, marker)
    wait_until_started(execution)
    execution.stop("Cancel", reason="too late")
    held = execution.wait_for(end).object
    assert held["status"].get("result") == outcome.get("result")
    assert record(held)["status"] == "Accepted"
    if end == "Cancelled":
        assert record(held).get("supersededBy") is None
    else:
        assert record(held)["supersededBy"] == "completion"
    if end == "Failed":
        assert held["status"]["failure"]["message"] == "the ledger is torn"
        assert held["status"]["failure"]["category"] == "application"
        assert held["status"]["history"][-1]["failure"] == held["status"]["failure"]


@pytest.mark.conformance("C17", "A5", "G3")
def test_a_deadline_is_not_taken_for_a_cancel(lab: Lab) -> None:
    # They count from the acceptance: until then there is to be a pod, or even a program that runs.
    alone = lab.start(programs.DEAF, {"activeDeadlineSeconds": 5}, stopPolicy={"gracePeriodSeconds": 2})
    after = lab.start(programs.DEAF, {"activeDeadlineSeconds": 5}, stopPolicy={"gracePeriodSeconds": 4})
    before = lab.start(programs.DEAF, {"activeDeadlineSeconds": 60}, stopPolicy={"gracePeriodSeconds": 1})
    wait_until_started(before)
    before.stop("Cancel", reason="first")
    after.wait_for("KillCancelling")
    after.stop("Cancel", reason="second")
    held = alone.wait_for("TimedOut").object
    assert record(held)["source"] == "deadline"
    assert held["status"]["failure"]["category"] == held["status"]["failure"]["propagation"] == "timed_out"
    assert held["status"]["history"][-1]["failure"]["id"] == held["status"]["failure"]["id"]
    assert phase_of(after.wait_for("TimedOut").object) == "TimedOut"
    assert phase_of(before.wait_for("Cancelled").object) == "Cancelled"


@pytest.mark.conformance("E11", "B20", "C16")
def test_a_deleted_or_evicted_pod_is_no_cancel_the_process_runs_again(lab: Lab) -> None:
    execution = lab.start(programs.POLITE)
    wait_until_started(execution)
    first = execution.pods()[0]
    eviction = {"metadata": {"name": first.metadata.name, "namespace": lab.name}}
    lab.core.create_namespaced_pod_eviction(first.metadata.name, lab.name, eviction)
    again = execution.wait_for(lambda held: held.get("status", {}).get("attempt") == 2)
    held = execution.wait_for(
        lambda h: any(p["state"] == "alive" and "node" in p for p in h["status"].get("processes", ())), after=again
    )
    assert held.object["status"]["disruptions"] == 1
    assert history(held.object).count("PodDisrupted") == 1
    assert history(held.object).count("WorkflowStarted") == 1
    assert not any(phase in ("Cancelling", "Cancelled") for phase in execution.phases())
    late = _copy_of(first)
    _wait_until_gone(lab, first)
    lab.core.create_namespaced_pod(lab.name, late)
    counted = execution.wait_for(lambda h: h.get("status", {}).get("lateStarts", 0) >= 1).object
    assert phase_of(counted) == "Running"
    assert counted["status"]["attempt"] == 2
    execution.stop("Kill", gracePeriodSeconds=1)
    assert phase_of(execution.wait_for("Cancelled").object) == "Cancelled"
    assert proof.gone_for_good(execution.marker)


def _wait_until_gone(lab: Lab, pod: Any, seconds: int = 60) -> None:
    """Until its name is free: a kubelet reports the end of its containers some seconds before it lets the pod go."""
    name, pods = pod.metadata.name, lab.core.list_namespaced_pod
    one = {"namespace": lab.name, "field_selector": f"metadata.name={name}"}
    listed = pods(**one)
    since = {"resource_version": listed.metadata.resource_version, "timeout_seconds": seconds}
    events: Any = watch.Watch().stream(pods, **one, **since) if listed.items else ()
    gone = not listed.items or any(event["type"] == "DELETED" for event in events)
    assert gone, f"pod {name} is still there after {seconds} s"


def _copy_of(pod: Any) -> dict[str, Any]:
    """The pod of an earlier attempt once more, as a create that had timed out would make it."""
    body: dict[str, Any] = client.ApiClient().sanitize_for_serialization(pod)
    metadata = {
        key: body["metadata"][key]
        for key in ("name", "labels", "annotations", "ownerReferences")
        if key in body["metadata"]
    }
    spec = {
        key: value for key, value in body["spec"].items() if key not in ("nodeName", "serviceAccount", "tolerations")
    }
    token = [volume["name"] for volume in spec.get("volumes", ()) if volume["name"].startswith("kube-api-access")]
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] not in token]
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        container["volumeMounts"] = [m for m in container.get("volumeMounts", ()) if m["name"] not in token]
    return {"metadata": metadata, "spec": spec}


@pytest.mark.conformance("C5")
def test_a_process_that_is_gone_already_resolves_the_request(lab: Lab) -> None:
    execution = lab.start(programs.FINISHES)
    execution.stop("Kill")
    seen = execution.wait_for(lambda held: bool(condition(held, "Finished").get("status") == "True")).object
    assert phase_of(seen) in ("Succeeded", "Cancelled")
    assert proof.gone_for_good(execution.marker)


@pytest.mark.conformance("B2", "C6", "C16")
def test_a_run_that_is_stopped_right_after_its_creation_starts_at_most_one_process(lab: Lab) -> None:
    runs = [lab.start(programs.POLITE) for _ in range(6)]
    for number, execution in enumerate(runs):
        execution.stop(("Cancel", "Force", "Kill")[number % 3])
    for execution in runs:
        held = execution.wait_for("Cancelled").object
        assert held["status"].get("attempt", 0) <= 1
        assert len(execution.pods()) <= 1
    assert proof.gone_for_good(*(execution.marker for execution in runs))


@pytest.mark.conformance("B9", "B2")
def test_an_execution_that_is_created_with_its_cancellation_never_starts(lab: Lab) -> None:
    spec = {"workflowSpec": {"template": template(programs.command(programs.WORKS, "mark-never"))}}
    execution = lab.create({**spec, "cancellation": {"mode": "Cancel"}}, "mark-never")
    held = execution.wait_for("Cancelled").object
    assert record(held)["status"] == "Accepted"
    assert not execution.pods()
    named = lab.create(
        {**spec, "cancellation": {"mode": "Cancel", "runId": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}}, "mark-named"
    )
    held = named.wait_for(lambda seen: bool(seen.get("status", {}).get("commands"))).object
    assert record(held)["rejectionReason"] == "instance_not_started"
    wait_until_started(named)
