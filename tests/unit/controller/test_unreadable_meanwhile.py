"""What cannot be read when a reconcile needs it is no fault that is said again and again, and is read once mended.

Nobody else may wake the key then: that an execution is again as it was bears on none of its operations.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from desist.controller.kinds import OPERATION, Key
from desist.lifecycle.observed.questions import Questions
from desist.lifecycle.plan import Plan
from tests.unit.controller.fakes import NOW, body
from tests.unit.controller.test_operation_reconcile import RUNNING, Operating
from tests.unit.controller.test_reconcile import Setting
from tests.unit.controller.test_resting import resting, with_pod

UNREADABLE: dict[str, Any] = {"phase": "Exploded"}


def put(setting: Setting, version: int, status: dict[str, Any]) -> None:
    """Somebody writes the execution; no watch has brought it yet."""
    held = body(status=status)
    held["metadata"] = {**held["metadata"], "resourceVersion": str(version)}
    setting.fake.objects["order-1"] = held


async def test_an_object_that_was_made_unreadable_under_a_write_is_read_again_seldom() -> None:
    setting = Setting()
    put(setting, 9, UNREADABLE)
    setting.fake.outdated = {"status"}
    due = await setting.reconciler.reconcile("wfx")
    assert due is not None and due - NOW >= timedelta(minutes=1)


async def test_so_is_one_at_rest_that_is_needed_whole() -> None:
    setting = resting()
    with_pod(setting, uid="late", attempt=0, phase="Running", name="order-1-x-0")
    put(setting, 900, UNREADABLE)
    due = await setting.reconciler.reconcile("wfx")
    assert due is not None and due - NOW >= timedelta(minutes=1)


async def test_an_operation_goes_on_once_its_execution_is_again_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Operating(monkeypatch, Questions(execution=True), Questions(execution=True), Plan())
    put(setting, 9, UNREADABLE)
    due = await setting.reconcile()
    setting.run_is(**RUNNING)
    assert Key(OPERATION.name, "op") not in setting.fake.woken
    assert due is not None and due - NOW <= timedelta(minutes=1)
    await setting.reconcile()
    assert setting.seen[-1].execution_read
