"""Ended runs are left alone, and read again when one of their pods may be a process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from desist.controller.operation_records import OperationRecord
from desist.controller.records import Resting, execution_record
from desist.controller.views import PodRecord
from tests.support.builders import make_pod
from tests.unit.controller.fakes import SUCCEEDED, operation
from tests.unit.controller.test_executions import ENDED
from tests.unit.controller.test_reconcile import Setting

SPEC: dict[str, Any] = {"workflowRef": {"name": "order"}, "cancellation": {"mode": "Kill", "reason": "why"}}
STATUS = {**ENDED, "observedGeneration": 1}


def resting() -> Setting:
    setting = Setting(spec=SPEC, status=STATUS)
    assert isinstance(setting.executions.get("wfx"), Resting)
    return setting


def with_pod(setting: Setting, **changes: Any) -> None:
    pod = replace(make_pod().obj(), run_id=ENDED["runId"], **changes)
    setting.caches.pod_changed(PodRecord("shop", "wfx", pod))


async def test_a_run_at_rest_costs_no_request() -> None:
    setting = resting()
    assert await setting.reconciler.reconcile("wfx") is None
    with_pod(setting, uid="p", attempt=1, phase="Failed")
    assert await setting.reconciler.reconcile("wfx") is None
    assert setting.fake.calls == []


async def test_a_pod_that_nobody_wants_is_stopped_by_a_fresh_look() -> None:
    setting = resting()
    with_pod(setting, uid="late", attempt=0, phase="Running", name="order-1-x-0")
    await setting.reconciler.reconcile("wfx")
    assert setting.fake.calls[:2] == ["get order-1", "status Cancelled"]
    status = setting.known.execution.status
    assert status is not None
    assert [process.pod_uid for process in status.processes] == ["p", "late"]


def late_operation(run: str = ENDED["runId"]) -> OperationRecord:
    record = operation(status=SUCCEEDED)
    return replace(record, seen=replace(record.seen, late=True, run_id=run))


async def test_an_operation_that_turned_up_late_is_counted_by_a_fresh_look() -> None:
    setting = resting()
    setting.operations.note(late_operation())
    await setting.reconciler.reconcile("wfx")
    assert setting.fake.calls[:1] == ["get order-1"]
    counted = Setting(spec=SPEC, status={**STATUS, "operations": {"late": 1}})
    earlier = resting()
    earlier.operations.note(late_operation("01JZZZZZZZZZZZZZZZZZZZZZZY"))
    await earlier.reconciler.reconcile("wfx")
    assert earlier.fake.calls == [], "one of an earlier run was counted there"
    held = counted.executions.get("wfx")
    assert isinstance(held, Resting) and held.late == 1
    counted.operations.note(late_operation())
    await counted.reconciler.reconcile("wfx")
    assert counted.fake.calls == []


async def test_a_pod_of_an_operation_that_may_be_a_process_is_looked_at() -> None:
    setting = resting()
    pod = replace(make_pod(uid="p").running().obj(), operation="unknown")
    setting.caches.pod_changed(PodRecord("shop", "wfx", replace(pod, phase="Succeeded")))
    await setting.reconciler.reconcile("wfx")
    assert setting.fake.calls == []
    setting.caches.pod_changed(PodRecord("shop", "wfx", pod))
    await setting.reconciler.reconcile("wfx")
    assert setting.fake.calls[:1] == ["get order-1"]


async def test_a_new_request_wakes_it_with_all_that_it_is() -> None:
    setting = resting()
    asked = {**SPEC, "cancellation": {"mode": "Force"}}
    held = setting.fake.objects["order-1"]
    held["metadata"] = {**held["metadata"], "resourceVersion": "9", "generation": 2}
    held["spec"] = asked
    setting.executions.note(execution_record(held))
    await setting.reconciler.reconcile("wfx")
    status = setting.fake.objects["order-1"]["status"]
    assert [(record["mode"], record["status"]) for record in status["commands"]] == [("Force", "Rejected")]
    assert isinstance(setting.executions.get("wfx"), Resting)
