"""A pod that somebody has filled up: it stays guarded, and its kubelet can still write.

CEL walks over a map in a time that grows with the square of its size. With policies that did so, a write to a pod with
40,000 labels took longer than the API server allows, the kubelet's included, and so no end was ever reported.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.admission.accounts import DRY, MALLORY, Account, acting_as, pods_path, refused
from tests.cluster.admission.conftest import pod
from tests.support import programs, proof
from tests.support.lab import Execution, Lab
from tests.support.logs import wait_until_started

pytestmark = pytest.mark.conformance("I6")


@pytest.fixture(scope="module")
def filled(mallory: Account, room: Lab) -> Execution:
    """A running execution, after somebody has put 40,000 labels and 2,000 annotations on its pod.

    With what the API server notes about who set them, that is two thirds of what etcd takes. A pod that is full cannot
    be written by anybody, and no policy changes that.
    """
    execution = room.start(programs.DEAF)
    wait_until_started(execution)
    path = path_of(execution)
    for field, count in (("labels", 40_000), ("annotations", 2_000)):
        answer = mallory.ask("PATCH", path, {"metadata": {field: {f"k{n}": "" for n in range(count)}}}, "merge")
        assert answer.status == 200, answer.message
    return execution


def path_of(execution: Execution) -> str:
    (held,) = execution.pods()
    return pods_path(execution.lab, held.metadata.name)


FORGED: dict[str, tuple[str, dict[str, Any]]] = {
    "a stop": ("annotation", {"annotations": {"desist.dev/stop": "forged"}}),
    "another execution's label": ("label", {"labels": {"desist.dev/execution-uid": "x"}}),
    "a label less": ("label", {"labels": {"desist.dev/execution-uid": None}}),
    "no owner": ("owner", {"ownerReferences": None}),
}


@pytest.mark.parametrize("change", FORGED)
def test_it_is_guarded_as_before(mallory: Account, filled: Execution, change: str) -> None:
    what, metadata = FORGED[change]
    assert refused(mallory.ask("PATCH", path_of(filled), {"metadata": metadata}, "merge", **DRY), what)


def test_nobody_gives_it_hundreds_of_owners(mallory: Account, filled: Execution) -> None:
    (held,) = filled.pods()
    (own,) = held.metadata.owner_references
    kept = {"apiVersion": own.api_version, "kind": own.kind, "name": own.name, "uid": own.uid}
    others = [{"apiVersion": "v1", "kind": "Secret", "name": "a", "uid": f"u{n}"} for n in range(100)]
    body = {"metadata": {"ownerReferences": [kept | {"controller": True, "blockOwnerDeletion": False}, *others]}}
    answer = mallory.ask("PATCH", path_of(filled), body, "merge", **DRY)
    assert answer.status == 403
    assert "at most 100 owners" in answer.message, answer.message


def test_a_pod_that_is_filled_before_it_is_forged_is_refused(mallory: Account, room: Lab) -> None:
    labels = {f"k{n}": "" for n in range(1000)}
    forged = pod("forged", labels=labels | {"desist.dev/execution-uid": "x"})
    assert refused(mallory.ask("POST", pods_path(room), forged, **DRY), "label", MALLORY)
    assert mallory.ask("POST", pods_path(room), pod("plain", labels=labels), **DRY).status == 201


def test_its_kubelet_still_writes_and_its_run_is_stopped_with_proof(filled: Execution) -> None:
    (held,) = filled.pods()
    kubelet = acting_as(f"system:node:{held.spec.node_name}", group="system:nodes")
    body = {"status": {"conditions": [{"type": "example.com/x", "status": "True"}]}}
    assert kubelet.ask("PATCH", f"{path_of(filled)}/status", body, "strategic", **DRY).status == 200
    filled.stop("Kill", gracePeriodSeconds=1)
    filled.wait_for("Cancelled")
    assert proof.gone_for_good(filled.marker)
