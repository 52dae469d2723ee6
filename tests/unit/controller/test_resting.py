"""Ended runs are left alone, and read again when one of their pods may be a process."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from desist.controller.operation_records import OperationRecord
from desist.controller.records import Resting, execution_record
from desist.controller.views import PodRecord
from desist.lifecycle.stop.sweep import AT_ONCE, KEPT_FAILED
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


async def test_of_the_pods_of_failed_operations_a_run_at_rest_keeps_the_last_few_as_any_other() -> None:
    setting = resting()
    for number in range(KEPT_FAILED + AT_ONCE + 2):
        ended = {**SUCCEEDED, "phase": "Cancelled", "endTime": f"2026-05-01T00:01:{number:02}.000000Z"}
        setting.operations.note(operation(f"op-{number:02}", status=ended))
        pod = replace(
            make_pod(uid=f"p-{number:02}").obj(), operation=f"op-{number:02}", phase="Failed", name=f"p-{number:02}"
        )
        setting.caches.pod_changed(PodRecord("shop", "wfx", pod))
    left, owner = AT_ONCE + 2, setting.executions.get("wfx")
    assert owner is not None
    while left > 0:
        setting.wall += 1
        setting.fake.calls.clear()
        due = await setting.reconciler.reconcile("wfx")
        assert due == setting.now() + timedelta(seconds=1) or left <= AT_ONCE
        deleted = [call.split()[1] for call in setting.fake.calls if call.startswith("delete")]
        assert deleted == [f"p-{AT_ONCE + 2 - left + n:02}" for n in range(min(left, AT_ONCE))]
        for name in deleted:
            gone = next(pod for pod in setting.caches.operation_pods(owner.metadata) if pod.name == name)
            setting.caches.pod_deleted(PodRecord("shop", "wfx", gone), seen=True)
        left -= len(deleted)
    setting.fake.calls.clear()
    assert await setting.reconciler.reconcile("wfx") is None
    assert setting.fake.calls == []


@pytest.mark.parametrize("gone", [False, True])
async def test_the_end_of_a_process_that_was_closed_without_proof_is_told_once(gone: bool) -> None:
    forgotten = [{**ENDED["processes"][0], "state": "unproven", "reason": "Forgotten"}]
    setting = Setting(spec=SPEC, status={**STATUS, "processes": forgotten})
    held = setting.executions.get("wfx")
    assert isinstance(held, Resting) and held.unproven_pod
    pod = make_pod("order-1-x-1", uid="p").running().exited(0).over().obj()
    with_pod(setting, **{name: getattr(pod, name) for name in ("name", "uid", "attempt", "phase", "containers")})
    if gone:
        (last,) = setting.caches.pods(held.metadata)
        setting.caches.pod_deleted(PodRecord("shop", "wfx", last), seen=True)
    await setting.reconciler.reconcile("wfx")
    assert setting.fake.calls[:2] == ["get order-1", "status Cancelled"]
    assert [call for call in setting.fake.calls if "LateResult" in call]
    setting.fake.calls.clear()
    await setting.reconciler.reconcile("wfx")
    assert setting.fake.calls == []
