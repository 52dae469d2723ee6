"""What a watch never said is learnt from lists, and a watch that is deaf is called so."""

from __future__ import annotations

from typing import Any, cast

import pytest

from desist.controller import resync
from desist.controller.cluster import Cluster, Vanished
from desist.controller.executions import Executions
from desist.controller.intake import Intake
from desist.controller.kinds import EXECUTION, WORKFLOW, Key, Kind, Managed, table
from desist.controller.records import WorkflowRecord
from desist.controller.resync import Resync
from desist.controller.store import Listed, Store
from desist.kube.lanes import Budget
from tests.unit.controller.test_store import record


async def _nothing(_: str) -> None:
    return None


class Setting:
    """One kind whose list is told, and what the comparison makes of it."""

    def __init__(self, listed: dict[str, Listed], version: int) -> None:
        self.store: Store[WorkflowRecord] = Store()
        self.woken: list[Key] = []
        self.absent: set[str] = set()
        self._listed = listed, version
        self.row = Managed(WORKFLOW, self.store, _nothing)
        rows = table(self.row, Managed(EXECUTION, Executions(), _nothing))
        self.resync = Resync(cast(Cluster, self), Intake(rows, self.woken.append), 60)

    async def list_metadata(self, kind: Kind[Any]) -> tuple[dict[str, Listed], int]:
        return self._listed

    async def get(self, kind: Kind[Any], namespace: str, name: str, budget: Budget = Budget.STOP) -> dict[str, Any]:
        if name in self.absent:
            raise Vanished(name)
        metadata = {"name": name, "namespace": namespace, "uid": name, "resourceVersion": "9"}
        return {"metadata": metadata, "spec": {"template": {"spec": {}}}}


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resync, "PATIENCE", 0.01)


async def test_a_record_whose_object_is_gone_is_dropped() -> None:
    setting = Setting({}, 10)
    setting.store.note(record("old", 5))
    await setting.resync.compare(setting.row)
    assert setting.store.get("old") is None
    assert setting.woken == [Key("Workflow", "old")]
    assert setting.resync.deaf() is None


async def test_what_was_not_delivered_in_time_is_read_and_the_watch_is_deaf_until_it_says_something() -> None:
    setting = Setting({"new": Listed("shop", "new", 9)}, 10)
    await setting.resync.compare(setting.row)
    assert setting.store.get("new") is not None
    assert setting.resync.deaf() == "the watch of Workflow is deaf: 1 not delivered"
    await setting.resync.compare(setting.row)
    assert setting.resync.deaf() is not None
    setting.resync.heard(EXECUTION, listing=False)
    assert setting.resync.deaf() is not None
    setting.resync.heard(WORKFLOW, listing=False)
    assert setting.resync.deaf() is None


async def test_a_watch_that_has_delivered_nothing_though_there_is_something_is_not_ready() -> None:
    setting = Setting({}, 10)
    assert setting.resync.silent() is None
    setting.store.note(record("old", 5))
    assert setting.resync.silent() == "the watch of Workflow has not delivered anything yet"
    setting.resync.heard(EXECUTION, listing=True)
    assert setting.resync.silent() is not None
    setting.resync.heard(WORKFLOW, listing=True)
    assert setting.resync.silent() is None


async def test_what_the_watch_delivers_in_time_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting({"new": Listed("shop", "new", 9)}, 10)

    async def deliver(_: float) -> None:
        setting.store.note(record("new", 9, "new"))

    monkeypatch.setattr("desist.controller.resync.asyncio.sleep", deliver)
    await setting.resync.compare(setting.row)
    assert setting.resync.deaf() is None


async def test_what_went_meanwhile_does_not_count() -> None:
    setting = Setting({"new": Listed("shop", "new", 9)}, 10)
    setting.absent = {"new"}
    await setting.resync.compare(setting.row)
    assert setting.resync.deaf() is None
