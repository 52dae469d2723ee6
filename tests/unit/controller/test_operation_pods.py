"""A pod belongs to an operation where its label says so, and its execution controls it all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from desist.api.meta import OPERATION_ATTEMPT_LABEL, OPERATION_UID_LABEL, ObjectMeta
from desist.api.vocabulary import ProcessRole
from desist.controller.caches import Caches
from desist.controller.kinds import EXECUTION, OPERATION, Key
from desist.controller.raw import RawPod
from desist.controller.views import PodRecord, wanted_view
from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.observed.questions import WantedPod
from tests.unit.controller.test_caches import OWNER, pod
from tests.unit.controller.test_views import NOW, owner, raw_pod, record_of, view_of

RUN_LABELS = {"desist.dev/execution-uid": "wfx-uid", "desist.dev/run-id": "RUN"}
LABELS = RUN_LABELS | {OPERATION_UID_LABEL: "op-uid", OPERATION_ATTEMPT_LABEL: "3", "desist.dev/role": "operation"}
OP = Key(OPERATION.name, "op-uid")


def test_one_with_an_operations_label_belongs_to_that_operation() -> None:
    record = view_of(raw_pod(metadata__labels=LABELS))
    assert (record.key, record.execution_uid) == (OP, "wfx-uid")
    view = record.view
    assert (view.operation, view.attempt, view.role, view.run_id) == ("op-uid", 3, ProcessRole.OPERATION, "RUN")


def test_one_without_belongs_to_its_execution() -> None:
    assert view_of(raw_pod()).key == Key(EXECUTION.name, "wfx-uid")


def test_the_label_of_an_attempt_of_the_run_changes_nothing_about_an_operations_pod() -> None:
    record = view_of(raw_pod(metadata__labels=LABELS | {"desist.dev/attempt": "1"}))
    assert (record.key, record.view.attempt) == (OP, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata__labels": {**LABELS, OPERATION_ATTEMPT_LABEL: ""}},
        {"metadata__labels": RUN_LABELS | {OPERATION_UID_LABEL: "op-uid", "desist.dev/attempt": "1"}},
        {"metadata__labels": LABELS, "metadata__ownerReferences": [owner(kind="Operation", uid="op-uid")]},
    ],
    ids=["no attempt", "an attempt of the run", "not controlled by the execution"],
)
def test_what_only_looks_like_one_is_no_record(changes: dict[str, Any]) -> None:
    assert record_of(raw_pod(**changes)) is None


def found(wanted: WantedPod, **changes: Any) -> PodView | None:
    raw = msgspec.json.decode(msgspec.json.encode(raw_pod(**changes)), type=RawPod)
    return wanted_view(raw, "wfx-uid", wanted, NOW)


WANTED = WantedPod("order-1-abc", "RUN", 3, operation="op-uid")


def test_the_pod_that_was_asked_for_is_what_was_asked_for_also_without_labels() -> None:
    for labels in ({}, LABELS):
        view = found(WANTED, metadata__labels=labels)
        assert view is not None
        assert (view.operation, view.attempt, view.role) == ("op-uid", 3, ProcessRole.OPERATION)
    view = found(WantedPod("order-1-abc", "RUN", 2), metadata__labels={})
    assert view is not None and (view.operation, view.role) == ("", ProcessRole.WORKFLOW)


def test_the_pod_of_an_operation_that_had_the_name_before_is_anothers() -> None:
    assert found(WANTED, metadata__labels=LABELS | {OPERATION_UID_LABEL: "before"}) is None
    assert found(WantedPod("order-1-abc", "RUN", 2), metadata__labels=LABELS) is None
    known = replace(WANTED, uid="pod-uid")
    assert found(known, metadata__labels=LABELS | {OPERATION_UID_LABEL: "before"}) is not None


OPERATION_META = ObjectMeta(name="order-1-op", namespace="shop", uid="op-uid")


def of_operation(uid: str = "p1", execution: str = "wfx", operation: str = "op-uid") -> PodRecord:
    record = pod(uid, execution=execution)
    return replace(record, view=replace(record.view, operation=operation))


def test_an_operations_pods_are_its_own_and_their_executions() -> None:
    caches = Caches()
    assert caches.pod_changed(of_operation()) == OP
    caches.pod_changed(of_operation("p2", operation="another"))
    caches.pod_changed(pod("p3"))
    assert [view.uid for view in caches.pods(OPERATION_META, "wfx")] == ["p1"]
    assert {view.uid for view in caches.operation_pods(OWNER)} == {"p1", "p2"}
    assert [view.uid for view in caches.pods(OWNER)] == ["p3"]
    caches.pod_deleted(of_operation(), seen=True)
    assert caches.pods(OPERATION_META, "wfx") == ()
    assert [view.uid for view in caches.deleted(OPERATION_META, "wfx")] == ["p1"]
    assert {view.uid for view in caches.operation_pods(OWNER)} == {"p2"}
    caches.release(OP)
    assert caches.deleted(OPERATION_META, "wfx") == ()


def test_a_pod_that_another_execution_controls_is_not_the_operations_whatever_its_label_says() -> None:
    caches = Caches()
    caches.pod_changed(of_operation("forged", execution="another"))
    assert (caches.pods(OPERATION_META, "wfx"), caches.operation_pods(OWNER)) == ((), ())
    caches.pod_changed(of_operation("own"))
    caches.pod_deleted(of_operation("forged", execution="another"), seen=True)
    assert [view.uid for view in caches.pods(OPERATION_META, "wfx")] == ["own"]
    assert [view.uid for view in caches.operation_pods(OWNER)] == ["own"]


def test_a_pod_of_another_namespace_is_not_the_executions() -> None:
    caches = Caches()
    caches.pod_changed(replace(of_operation(), namespace="another"))
    assert caches.operation_pods(OWNER) == ()
