"""An execution and its operations wake each other where one bears on the other, and not a thousand times."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from desist.controller.kinds import EXECUTION, OPERATION, Key
from desist.controller.records import Resting
from desist.controller.views import PodRecord
from desist.controller.waking import CLOSING, CONFIRMED, COUNTED, Waking
from tests.support.builders import make_pod
from tests.unit.controller.fakes import RUN, SUCCEEDED, body, operation, record
from tests.unit.controller.test_executions import ENDED

WFX, OP = Key(EXECUTION.name, "wfx"), Key(OPERATION.name, "op")
RUNNING: dict[str, Any] = {"phase": "Running", "runId": RUN, "attempt": 1}


class Woken:
    """Both stores, and who was woken."""

    def __init__(self, **status: Any) -> None:
        self.now: list[Key] = []
        self.later: list[tuple[Key, float]] = []
        self.waiting: set[str] = set()
        """UIDs of what a reconcile was put off for."""
        self.waking = Waking(
            self.now.append, lambda key, seconds: self.later.append((key, seconds)), self.waiting.__contains__
        )
        self.version = 10
        self.status = RUNNING | status
        self.run()

    def run(self, **status: Any) -> None:
        """The execution is like this by now."""
        self.version += 1
        self.status |= status
        self.waking.executions.note(record(metadata=self.metadata(), status=self.status))

    def metadata(self, **more: Any) -> dict[str, Any]:
        return {**body()["metadata"], "resourceVersion": str(self.version), **more}

    def operation(self, uid: str = "op", version: int = 5, **parts: Any) -> None:
        self.waking.operations.note(operation(uid, version, **parts))

    def clear(self) -> None:
        self.now.clear()
        self.later.clear()


@pytest.mark.parametrize(
    "change",
    [
        {"phase": "Cancelling"},
        {"runId": "01HZZZZZZZZZZZZZZZZZZZZZZY"},
        {"attempt": 2},
        {"endTime": "2026-05-01T00:00:00Z"},
        {"cancellation": {"mode": "Kill", "commandId": "c", "gracePeriodSeconds": 5}},
        {"cancellation": {"forgetLostNodes": True}},
        {"processes": [{"pod": "p", "podUid": "u", "state": "alive", "since": "2026-05-01T00:00:00Z"}]},
    ],
)
def test_what_bears_on_operations_wakes_all_that_are_open(change: dict[str, Any]) -> None:
    woken = Woken()
    woken.operation("a")
    woken.operation("b")
    woken.operation("ended", status=SUCCEEDED)
    woken.clear()
    woken.run(**change)
    assert set(woken.now) == {Key(OPERATION.name, "a"), Key(OPERATION.name, "b")}


def test_what_does_not_bear_on_them_wakes_none() -> None:
    woken = Woken()
    woken.operation()
    woken.clear()
    woken.run(waitingOn=["a node"], commandCount=2, operations={"open": 1})
    assert (woken.now, woken.later) == ([], [])


def test_an_execution_that_is_deleted_or_goes_wakes_them() -> None:
    woken = Woken()
    woken.operation()
    woken.clear()
    woken.version += 1
    deleted = woken.metadata(deletionTimestamp="2026-05-01T00:00:00Z")
    woken.waking.executions.note(record(metadata=deleted, status=woken.status))
    assert woken.now == [OP]
    woken.waking.executions.forget("wfx")
    assert woken.now == [OP, OP]


def test_an_execution_that_turns_up_after_its_operations_wakes_them() -> None:
    woken = Woken()
    woken.waking.executions.forget("wfx")
    woken.operation()
    woken.clear()
    woken.run()
    assert woken.now == [OP]


def test_the_last_open_operation_that_closes_wakes_its_execution_and_no_other_does_at_once() -> None:
    woken = Woken()
    woken.operation("a")
    woken.operation("b")
    woken.clear()
    woken.operation("a", 6, status=SUCCEEDED)
    assert (woken.now, woken.later) == ([], [(WFX, COUNTED)])
    woken.operation("b", 6, status=SUCCEEDED)
    assert woken.now == [WFX]


def test_what_changes_no_count_wakes_no_execution() -> None:
    woken = Woken()
    woken.operation()
    woken.clear()
    woken.operation("op", 6, status={"phase": "Running", "attempt": 1})
    assert (woken.now, woken.later) == ([], [])


@pytest.mark.parametrize("status", [{"phase": "KillCancelling"}, {"endTime": "2026-05-01T00:00:00Z"}])
def test_while_the_run_is_being_closed_its_execution_looks_soon(status: dict[str, Any]) -> None:
    woken = Woken(**status)
    woken.operation("a")
    woken.operation("b")
    woken.clear()
    woken.operation("a", 6, status=SUCCEEDED)
    assert (woken.now, woken.later) == ([], [(WFX, CLOSING)])


def test_while_it_is_being_closed_an_operation_that_begins_or_runs_counts_too_and_nothing_else_does() -> None:
    woken = Woken(phase="ForceCancelling")
    woken.operation()
    woken.clear()
    begun = {"phase": "Pending", "attempt": 1, "acceptedAt": "2026-05-01T00:00:00Z"}
    woken.operation("op", 6, status=begun)
    assert (woken.now, woken.later) == ([], [(WFX, CLOSING)])
    woken.operation("op", 7, status=begun | {"waitingOn": ["a node"]})
    assert woken.later == [(WFX, CLOSING)]
    going_on = Woken()
    going_on.operation()
    going_on.clear()
    going_on.operation("op", 6, status=begun)
    assert going_on.later == []


def failed(category: str, message: str = "why") -> dict[str, Any]:
    failure = {"id": "f", "category": category, "propagation": "operation", "message": message}
    return {"phase": "Failed", "observedGeneration": 1, "failure": failure}


def test_one_that_is_found_to_be_another_runs_wakes_the_execution_once() -> None:
    woken = Woken()
    woken.operation("kept")
    woken.clear()
    woken.operation("op", status=failed("not_of_this_run"))
    assert woken.now == [WFX]
    woken.operation("op", 6, status=failed("not_of_this_run"))
    assert woken.now == [WFX]


def test_an_operation_that_is_gone_wakes_its_execution() -> None:
    woken = Woken()
    woken.operation("op", status=SUCCEEDED)
    woken.clear()
    woken.waking.operations.forget("op")
    assert woken.now == [WFX]


def pod(operation_uid: str = "op", execution: str = "wfx", phase: str = "Running") -> PodRecord:
    view = make_pod("p", uid="p").obj()
    return PodRecord("shop", execution, replace(view, operation=operation_uid, phase=phase))


def test_a_pod_of_an_operation_wakes_that_and_nobody_else() -> None:
    woken = Woken()
    woken.operation()
    woken.clear()
    woken.waking.pod_changed(pod(), ran=False, runs=True)
    woken.waking.pod_changed(pod(), ran=True, runs=False)
    assert woken.now == [OP, OP]


def test_a_pod_whose_operation_is_not_known_or_is_another_executions_wakes_the_execution_that_controls_it() -> None:
    woken = Woken()
    woken.waking.pod_changed(pod("unknown"), ran=True, runs=True)
    assert woken.now == [Key(OPERATION.name, "unknown"), WFX]
    woken.operation("op", executionRef={"name": "other", "uid": "another"})
    woken.clear()
    woken.waking.pod_changed(pod(), ran=True, runs=True)
    assert woken.now == [OP, WFX]


@pytest.mark.parametrize(("ran", "runs", "also"), [(False, True, [WFX]), (True, False, [WFX]), (True, True, [])])
def test_a_pod_that_turns_up_or_ends_while_its_run_is_being_closed_wakes_the_execution(
    ran: bool, runs: bool, also: list[Key]
) -> None:
    woken = Woken(phase="KillCancelling")
    woken.operation()
    woken.clear()
    woken.waking.pod_changed(pod(), ran, runs)
    assert woken.now == [OP, *also]


def test_so_does_one_that_turns_up_after_its_run_has_come_to_rest() -> None:
    woken = Woken()
    ended = {**ENDED, "observedGeneration": 1, "cancellation": None}
    woken.waking.executions.note(record(metadata=woken.metadata(resourceVersion="50"), status=ended))
    assert isinstance(woken.waking.executions.get("wfx"), Resting)
    woken.operation("op", status=SUCCEEDED)
    woken.clear()
    woken.waking.pod_changed(pod(), ran=False, runs=True)
    assert woken.now == [OP, WFX]


def test_a_pod_of_the_workflow_process_wakes_its_execution() -> None:
    woken = Woken()
    woken.waking.pod_changed(pod(""), ran=False, runs=True)
    assert woken.now == [WFX]


def test_what_only_confirms_a_deed_wakes_later_and_at_once_who_waits_for_it() -> None:
    setting = Woken()
    setting.now.clear()
    setting.later.clear()
    setting.waking.confirmed(WFX)
    assert (setting.now, setting.later) == ([], [(WFX, CONFIRMED)])
    setting.waiting.add(WFX.uid)
    setting.waking.confirmed(WFX)
    assert setting.now == [WFX]
