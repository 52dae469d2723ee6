"""With the policies on, scheduler, kubelet, garbage collector and others do their work on an execution's pod."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes import watch

from tests.cluster.admission.accounts import DRY, Account, acting_as, delete_execution, pods_path, refused
from tests.support import programs, proof
from tests.support.lab import Execution, Lab, template
from tests.support.logs import wait_until_started

pytestmark = pytest.mark.usefixtures("mallory")


def wait_for_pod(execution: Execution) -> Any:
    """Its first pod, as soon as status names it."""
    execution.wait_for(lambda held: any(p.get("podUid") for p in held.get("status", {}).get("processes", ())))
    (held,) = execution.pods()
    return held


def wait_for_its_end(lab: Lab, uid: str, since: str) -> None:
    """Until the pod's DELETED event, of those after the version `since`."""
    stream: Any = watch.Watch().stream(
        lab.core.list_namespaced_pod, lab.name, resource_version=since, timeout_seconds=90
    )
    for event in stream:
        if event["type"] == "DELETED" and event["object"].metadata.uid == uid:
            return
    raise AssertionError(f"pod {uid} has not gone within 90 s")


@pytest.mark.conformance("I6")
def test_a_run_goes_through_and_another_is_stopped(lab: Lab) -> None:
    finishes, runs = lab.start(programs.FINISHES), lab.start(programs.DEAF)
    finishes.wait_for("Succeeded")
    wait_until_started(runs)
    runs.stop("Cancel")
    runs.wait_for("Cancelling")
    runs.stop("Kill", gracePeriodSeconds=1)
    runs.wait_for("Cancelled")
    assert proof.gone_for_good(runs.marker)


@pytest.mark.conformance("I6")
def test_another_lifts_a_gate_and_a_finalizer(lab: Lab, mallory: Account) -> None:
    gated = template(programs.command(programs.FINISHES, "m"), schedulingGates=[{"name": "example.com/quota"}])
    execution = lab.create({"workflowSpec": {"template": gated}})
    path = pods_path(lab, wait_for_pod(execution).metadata.name)
    held = {"metadata": {"finalizers": ["example.com/held"]}}
    assert mallory.ask("PATCH", path, held, "merge").status == 200
    lift = [{"op": "remove", "path": "/spec/schedulingGates/0"}]
    assert mallory.ask("PATCH", path, lift, "json").status == 200
    execution.wait_for("Succeeded")
    assert mallory.ask("DELETE", path).status == 200
    lifted = mallory.ask("PATCH", path, {"metadata": {"finalizers": None}}, "merge")
    assert lifted.status == 200
    wait_for_its_end(lab, lifted.body["metadata"]["uid"], lifted.body["metadata"]["resourceVersion"])


@pytest.mark.conformance("F15")
@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_a_deletion_that_does_not_orphan_takes_pod_and_process_along(lab: Lab, propagation: str) -> None:
    execution = lab.start(programs.WORKS)
    wait_until_started(execution)
    (pod,) = execution.pods()
    delete_execution(execution, propagation)
    wait_for_its_end(lab, pod.metadata.uid, pod.metadata.resource_version)
    execution.wait_until_deleted()
    assert proof.gone_for_good(execution.marker)


@pytest.mark.conformance("F15")
def test_a_deletion_that_orphans_leaves_pod_and_labels(lab: Lab, mallory: Account) -> None:
    execution = lab.start(programs.WORKS)
    wait_until_started(execution)
    (before,) = execution.pods()
    delete_execution(execution, "Orphan")
    execution.wait_until_deleted()
    orphan = lab.core.read_namespaced_pod(before.metadata.name, lab.name)
    assert orphan.metadata.owner_references is None
    assert orphan.metadata.labels == before.metadata.labels
    assert orphan.metadata.deletion_timestamp is None
    assert execution.processes(), "the orphan's process was stopped"
    path = pods_path(lab, orphan.metadata.name)
    owner = {"metadata": {"ownerReferences": [_owner(before)]}}
    assert refused(mallory.ask("PATCH", path, owner, "merge", **DRY), "owner")
    assert mallory.ask("DELETE", path).status == 200
    wait_for_its_end(lab, orphan.metadata.uid, orphan.metadata.resource_version)
    assert proof.gone_for_good(execution.marker)


def _owner(pod: Any) -> dict[str, Any]:
    (held,) = pod.metadata.owner_references
    return {"apiVersion": held.api_version, "kind": held.kind, "name": held.name, "uid": held.uid}


COLLECTORS = ("system:serviceaccount:kube-system:generic-garbage-collector", "system:kube-controller-manager")


@pytest.mark.conformance("F15", "I6")
@pytest.mark.parametrize("name", COLLECTORS)
def test_the_garbage_collector_may_take_owners_off_and_no_more(lab: Lab, name: str) -> None:
    collector = acting_as(name)
    pod = wait_for_pod(lab.start(programs.WORKS))
    path = pods_path(lab, pod.metadata.name)
    waits = {"metadata": {"ownerReferences": [_owner(pod) | {"controller": True, "blockOwnerDeletion": True}]}}
    off = {"metadata": {"ownerReferences": [{"$patch": "delete", "uid": _owner(pod)["uid"]}]}}
    for allowed in (waits, off):
        answer = collector.ask("PATCH", path, allowed, "strategic", **DRY)
        assert answer.status == 200, answer.message
    forged = {"metadata": {"annotations": {"desist.dev/stop": "forged"}}}
    assert refused(collector.ask("PATCH", path, forged, "merge", **DRY), "annotation", name)
    other = {"metadata": {"ownerReferences": [_owner(pod) | {"uid": "other"}]}}
    assert refused(collector.ask("PATCH", path, other, "strategic", **DRY), "owner", name)
