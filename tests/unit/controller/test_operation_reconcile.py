"""One reconcile of an operation: what it may look at, what it asks for, and when its pod is not created after all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from desist.api.base import Opaque
from desist.api.meta import OPERATION_ATTEMPT_LABEL, OPERATION_UID_LABEL, RUN_ID_LABEL
from desist.api.status import OperationStatus
from desist.api.vocabulary import Phase
from desist.controller.kinds import OPERATION, Key
from desist.controller.operation_records import Ended
from desist.controller.records import execution_record
from desist.controller.views import PodRecord
from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.observed.questions import Questions, WantedPod
from desist.lifecycle.observed.sight import Observed, ObservedOperation, TooLarge
from desist.lifecycle.operation.close import KEPT_FOR
from desist.lifecycle.plan import CreatePod, Plan, WriteStatus
from tests.support.builders import make_pod
from tests.unit.controller.fakes import NOW, RUN, SUCCEEDED, body, operation, operation_body
from tests.unit.controller.test_reconcile import Setting

RUNNING: dict[str, Any] = {"phase": "Running", "runId": RUN, "attempt": 1}
LABELS = {OPERATION_UID_LABEL: "op", OPERATION_ATTEMPT_LABEL: "1", RUN_ID_LABEL: RUN}
CREATE = CreatePod("order-1-op-1", Opaque.of({"metadata": {"name": "order-1-op-1", "labels": LABELS}}))
BEGIN = WriteStatus(OperationStatus(phase=Phase.PENDING, attempt=1))
ENDS = WriteStatus(OperationStatus(phase=Phase.FAILED, attempt=1))
Decide = Callable[[ObservedOperation, datetime], Plan | Questions]


class Operating(Setting):
    """One execution that runs, one operation of it, and a core that is played."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *decided: Plan | Questions, **parts: Any) -> None:
        self.seen: list[ObservedOperation] = []
        self.decided = list(decided)
        monkeypatch.setattr("desist.controller.rows.decide_operation", self.decide)
        super().__init__(status=RUNNING)
        self.fake.objects["order-1-op"] = operation_body(**parts)
        self.operations.note(operation(**parts))
        self.row = self.intake.table[OPERATION.name]

    def decide(self, observed: ObservedOperation, _: datetime) -> Plan | Questions:
        self.seen.append(observed)
        return self.decided.pop(0) if self.decided else Plan()

    async def reconcile(self) -> datetime | None:
        return await self.row.reconcile("op")

    def run_is(self, **status: Any) -> None:
        """A watch brings another state of the execution."""
        held = body(status=RUNNING | status)
        held["metadata"] = {**held["metadata"], "resourceVersion": "50"}
        self.fake.objects["order-1"] = held
        self.executions.note(execution_record(held))


def pod(name: str = "order-1-op-1", of: str = "op", execution: str = "wfx", **changes: Any) -> PodRecord:
    view = replace(make_pod(name, run_id=RUN, uid=name).running().obj(), operation=of, **changes)
    return PodRecord("shop", execution, view)


async def test_it_sees_its_execution_its_pods_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Operating(monkeypatch)
    setting.operations.note(operation("before", metadata={"creationTimestamp": "2026-04-01T00:00:00Z"}))
    for record in (pod(), pod("workflow", ""), pod("other", "another"), pod("forged", execution="another")):
        setting.caches.pod_changed(record)
    await setting.reconcile()
    (seen,) = setting.seen
    assert seen.execution is setting.known.execution
    assert [view.name for view in seen.pods] == ["order-1-op-1"]
    assert (seen.earlier, seen.execution_read, seen.too_large) == (1, False, None)


async def test_it_sees_no_execution_where_the_name_is_not_that_of_the_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Operating(monkeypatch, executionRef={"name": "made-up", "uid": "wfx"})
    await setting.reconcile()
    assert setting.seen[0].execution is None


async def test_what_of_it_is_too_large_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Operating(monkeypatch, arguments={"text": "a" * 40_000})
    await setting.reconcile()
    assert isinstance(setting.seen[0].too_large, TooLarge)


async def test_an_execution_sees_its_operations_and_their_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Observed] = []

    def decide(observed: Observed, _: datetime) -> Plan:
        seen.append(observed)
        return Plan()

    monkeypatch.setattr("desist.controller.rows.decide", decide)
    again = Setting(status=RUNNING)
    again.operations.note(operation())
    for record in (pod(), pod("left", "not there any more"), pod("workflow", ""), pod("forged", execution="another")):
        again.caches.pod_changed(record)
    await again.reconciler.reconcile("wfx")
    assert [each.uid for each in seen[0].operations] == ["op"]
    assert {view.name for view in seen[0].operation_pods} == {"order-1-op-1", "left"}
    assert [view.name for view in seen[0].pods] == ["workflow"]
    assert (seen[0].operations_listed, seen[0].counted_at) == (False, None)


async def test_its_execution_is_read_after_the_operation_was_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Operating(monkeypatch, Questions(execution=True), Plan(), Questions(execution=True))
    await setting.reconcile()
    assert setting.fake.calls == ["metadata order-1"]
    assert setting.seen[1].execution_read and setting.seen[1].execution is setting.known.execution
    await setting.reconcile()
    assert setting.fake.calls == ["metadata order-1"], "one read is enough for what was noted before it"
    setting.operations.note(operation(version=6))
    setting.decided = [Questions(execution=True)]
    await setting.reconcile()
    assert setting.fake.calls == ["metadata order-1"] * 2


CREATORS = [
    (make_pod(uid="w").running().obj(), "w"),
    (make_pod(uid="w").running().exited().obj(), ""),
    (make_pod(uid="w").running().deleting().obj(), ""),
    (None, ""),
]


@pytest.mark.parametrize(("live", "uid"), CREATORS, ids=["running", "ended", "being deleted", "gone"])
async def test_the_pod_that_asks_for_it_is_read_and_counts_while_it_lives(
    monkeypatch: pytest.MonkeyPatch, live: PodView | None, uid: str
) -> None:
    setting = Operating(monkeypatch, Questions(creator=True))
    setting.fake.live = live
    await setting.reconcile()
    assert setting.fake.calls == [f"live {operation().operation.spec.created_by.pod_name}"]
    assert (setting.seen[1].creator_read, setting.seen[1].creator_uid) == (True, uid)


@pytest.mark.parametrize("arguments", [{"order": 1}, None])
async def test_its_arguments_are_read_when_they_are_needed(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any] | None
) -> None:
    setting = Operating(monkeypatch, Questions(arguments=True), arguments=arguments)
    await setting.reconcile()
    assert setting.fake.calls == ["get order-1-op"]
    wanted = None if arguments is None else Opaque.of(arguments)
    assert (setting.seen[1].arguments_read, setting.seen[1].arguments) == (True, wanted)


@pytest.mark.parametrize("how", ["gone", "another"])
async def test_one_that_is_gone_when_it_is_read_is_forgotten(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    setting = Operating(monkeypatch, Questions(arguments=True))
    if how == "gone":
        del setting.fake.objects["order-1-op"]
    else:
        setting.fake.objects["order-1-op"] = operation_body(metadata={"uid": "another"})
    assert await setting.reconcile() is None
    assert setting.operations.get("op") is None


async def test_its_attempt_is_in_status_before_its_pod_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Operating(monkeypatch, Plan((BEGIN, CREATE)))
    await setting.reconcile()
    assert setting.fake.calls == ["status Pending", "create"]
    assert setting.memory.made("op", "order-1-op-1") == ""
    record = setting.operations.get("op")
    assert record is not None and record.metadata.resource_version == "6"


@pytest.mark.parametrize("how", ["stopped meanwhile", "gone meanwhile"])
async def test_no_pod_is_made_where_its_execution_is_not_any_more_what_it_was_judged_by(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    setting = Operating(monkeypatch, Plan((BEGIN, CREATE)))
    written = setting.fake.replace_status

    async def meanwhile(*asked: Any) -> dict[str, Any]:
        if how == "gone meanwhile":
            setting.executions.forget("wfx")
        else:
            setting.run_is(phase="KillCancelling")
        return await written(*asked)

    monkeypatch.setattr(setting.fake, "replace_status", meanwhile)
    due = await setting.reconcile()
    assert [call.split()[0] for call in setting.fake.calls] == ["status", "get"]
    assert due is not None and due > NOW, "it is decided again, soon"


async def test_a_pod_is_made_where_only_what_does_not_bear_on_it_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Operating(monkeypatch, Plan((BEGIN, CREATE)))
    written = setting.fake.replace_status

    async def meanwhile(*asked: Any) -> dict[str, Any]:
        setting.run_is(waitingOn=["a sidecar"])
        return await written(*asked)

    monkeypatch.setattr(setting.fake, "replace_status", meanwhile)
    await setting.reconcile()
    assert setting.fake.calls == ["status Pending", "create"]


async def test_what_a_write_permits_follows_in_a_reconcile_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Operating(monkeypatch, Plan((BEGIN,)), Plan(), Plan((ENDS,)))
    assert await setting.reconcile() == NOW, "an own write brings no event"
    assert await setting.reconcile() is None
    assert await setting.reconcile() is None, "it has ended"


async def test_the_pod_of_one_that_succeeded_is_looked_at_when_it_is_no_longer_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting = Operating(monkeypatch, status=SUCCEEDED)
    setting.caches.pod_changed(pod(phase="Succeeded"))
    due = NOW + timedelta(minutes=1) + KEPT_FOR
    assert await setting.reconcile() == due
    setting.wall = (due - NOW).total_seconds()
    await setting.reconcile()
    assert (setting.fake.calls, len(setting.seen)) == (["get order-1-op"], 1)
    setting.caches.pod_changed(pod(phase="Succeeded", deletion_timestamp=NOW, resource_version="99"))
    assert await setting.reconcile() is None


async def test_an_ended_one_is_read_again_only_where_one_of_its_pods_may_be_a_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting = Operating(monkeypatch, status=SUCCEEDED | {"phase": "Failed"})
    assert isinstance(setting.operations.get("op"), Ended)
    setting.caches.pod_changed(pod(phase="Succeeded"))
    assert await setting.reconcile() is None
    assert (setting.fake.calls, setting.seen) == ([], [])
    setting.caches.pod_changed(pod("late"))
    await setting.reconcile()
    assert setting.fake.calls == ["get order-1-op"]
    assert len(setting.seen[0].pods) == 2


async def test_a_live_pod_is_asked_for_as_the_operations_and_its_execution_controls_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = WantedPod("order-1-op-1", RUN, 1)
    setting = Operating(monkeypatch, Questions(live_pod=wanted))
    owners: list[str] = []
    answer = setting.fake.live_pod

    async def live_pod(owner: Any, asked: WantedPod) -> PodView | None:
        owners.append(owner.uid)
        assert asked == replace(wanted, operation="op")
        return await answer(owner, asked)

    monkeypatch.setattr(setting.fake, "live_pod", live_pod)
    await setting.reconcile()
    assert owners == ["wfx"]
    assert setting.seen[1].live_pod and setting.seen[1].missed_since == NOW


async def test_the_counts_that_an_execution_was_written_with_are_remembered_with_their_time() -> None:
    setting = Setting(status=RUNNING)
    status = setting.known.execution.status
    assert status is not None
    counted = execution_record(body(status={**RUNNING, "operations": {"open": 1}})).execution.status
    assert counted is not None
    applier = setting.reconciler.applier
    note = setting.executions.note
    await applier.apply(Plan((WriteStatus(status.replace(attempt=2)),)), setting.known, note)
    assert setting.memory.counted_at("wfx") is None
    await applier.apply(Plan((WriteStatus(counted),)), setting.known, note)
    assert setting.memory.counted_at("wfx") == NOW


async def test_what_an_execution_writes_wakes_its_operations_before_the_rest_of_its_plan_is_done() -> None:
    setting = Setting(status=RUNNING)
    setting.operations.note(operation())
    status = setting.known.execution.status
    assert status is not None
    setting.fake.woken.clear()
    setting.fake.fails = {"create"}
    plan = Plan((WriteStatus(status.replace(phase=Phase.KILL_CANCELLING)), CREATE))
    with pytest.raises(Exception, match="create"):
        await setting.reconciler.applier.apply(plan, setting.known, setting.executions.note)
    assert setting.fake.woken == [Key(OPERATION.name, "op")]
