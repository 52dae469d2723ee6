"""What a watch never said is learnt from lists, and a watch that is deaf is called so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from desist.controller import resync
from desist.controller.cluster import Cluster, Vanished
from desist.controller.executions import Executions
from desist.controller.intake import Intake
from desist.controller.kinds import EXECUTION, OPERATION, WORKFLOW, Key, Kind, Managed, table
from desist.controller.records import WorkflowRecord
from desist.controller.resync import Resync
from desist.controller.store import Listed, Store
from desist.controller.unreadable import Complaints
from desist.kube.errors import ApiError, ServerUnavailable
from desist.kube.lanes import Budget
from tests.unit.controller import fakes
from tests.unit.controller.test_store import record


def body_of(metadata: dict[str, Any], image: str = "i") -> dict[str, Any]:
    return {"metadata": metadata, "spec": {"template": {"spec": {"containers": [{"image": image}]}}}}


MIRRORED: dict[str, Any] = {EXECUTION.name: fakes.record(), OPERATION.name: fakes.operation()}
MIRRORED_LAST = [WORKFLOW.name, EXECUTION.name, OPERATION.name]
"""The order of the table."""


async def _nothing(_: str) -> None:
    return None


class Setting:
    """One kind whose list is told, and what the comparison makes of it."""

    def __init__(self, listed: dict[str, Listed], version: int) -> None:
        self.store: Store[WorkflowRecord] = Store()
        self.woken: list[Key] = []
        self.restored: list[bool] = []
        self.bodies: list[dict[str, Any] | ApiError] = []
        self.absent: set[str] = set()
        self.unread: set[str] = set()
        """Names whose read the API server fails."""
        self.body: dict[str, Any] = {}
        """What is read; empty: a workflow of the name that is asked for."""
        self.lists: list[str] = []
        self.relisted: list[str] = []
        self.reached = 0
        """Up to which version its watch has brought everything."""
        self._listed = listed, version
        self.row = Managed(WORKFLOW, self.store, _nothing)
        rows = table(self.row, Managed(EXECUTION, Executions(), _nothing), fakes.no_operations())
        self.resync = Resync(
            cast(Cluster, self),
            Intake(rows, self.woken.append, Complaints(lambda *_: None)),
            60,
            lambda: self.restored.append(True),
            lambda kind: self.relisted.append(kind.name),
            lambda _: ((what, self.compare_other(what)) for what in ("others", "more of them")),
            lambda kind: self.reached,
        )

    async def compare_other(self, what: str) -> None:
        self.lists.append(what)
        raise ServerUnavailable(503, "Unavailable", "later")

    async def list_metadata(self, kind: Kind[Any]) -> tuple[dict[str, Listed], int]:
        self.lists.append(kind.name)
        return self._listed

    async def list(self, kind: Kind[Any]) -> AsyncIterator[dict[str, Any]]:
        for each in self.bodies:
            if isinstance(each, ApiError):
                raise each
            yield each

    async def get(self, kind: Kind[Any], namespace: str, name: str, budget: Budget = Budget.STOP) -> dict[str, Any]:
        if name in self.absent:
            raise Vanished(name)
        if name in self.unread:
            raise ServerUnavailable(503, "Unavailable", "later")
        metadata = {"name": name, "namespace": namespace, "uid": name, "resourceVersion": "9"}
        return self.body or body_of(metadata)


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


async def test_one_that_cannot_be_read_just_now_keeps_neither_others_from_being_read_nor_the_watch_from_blame() -> None:
    setting = Setting({name: Listed("shop", name, 9) for name in ("a", "b", "c")}, 10)
    setting.unread = {"a", "b"}
    await setting.resync.compare(setting.row)
    assert [setting.store.get(name) is not None for name in "abc"] == [False, False, True]
    assert setting.resync.deaf() == "the watch of Workflow is deaf: 3 not delivered"


async def test_a_watch_that_has_delivered_nothing_though_there_is_something_is_not_ready() -> None:
    setting = Setting({}, 10)
    assert setting.resync.silent() is None
    setting.store.note(record("old", 5))
    assert setting.resync.silent() == "the watch of Workflow has not delivered anything yet"
    setting.resync.heard(EXECUTION, listing=True)
    assert setting.resync.silent() is not None
    setting.resync.heard(WORKFLOW, listing=True)
    assert setting.resync.silent() is None


async def test_what_a_reflector_mirrors_is_compared_too_operations_seldom_and_nothing_waits_for_it() -> None:
    setting = Setting({}, 10)
    for kind, held in MIRRORED.items():
        setting.resync.intake.table[kind].store.note(held)
    assert setting.resync.silent() is None
    setting.resync.interval = 0.0001
    running = asyncio.create_task(setting.resync.run())
    async with asyncio.timeout(10):
        while setting.lists.count(WORKFLOW.name) < 21:  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    others = [at for at, name in enumerate(setting.lists) if name == "others"]
    assert others[0] == 21, "after the tenth round, and what comes of it holds up nothing"
    assert setting.lists[22] == "more of them"
    assert len(others) in (1, 2)
    assert setting.lists[:21] == [*[WORKFLOW.name, EXECUTION.name] * 9, *MIRRORED_LAST]
    assert setting.lists.count(OPERATION.name) in (1, 2)
    assert not setting.restored


async def test_a_kind_that_cannot_be_listed_keeps_no_other_from_being_compared() -> None:
    setting = Setting({}, 10)
    list_metadata = setting.list_metadata

    async def forbidden(kind: Kind[Any]) -> tuple[dict[str, Listed], int]:
        listed = await list_metadata(kind)
        if kind is WORKFLOW:
            raise ServerUnavailable(503, "Unavailable", "later")
        return listed

    setting.list_metadata = forbidden  # type: ignore[method-assign]
    setting.resync.interval = 0.0001
    running = asyncio.create_task(setting.resync.run())
    async with asyncio.timeout(10):
        while EXECUTION.name not in setting.lists or len(setting.lists) < 6:  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("kind", [EXECUTION, OPERATION], ids=lambda kind: kind.name)
async def test_a_deaf_reflector_is_told_to_list_and_what_it_missed_is_read(kind: Kind[Any]) -> None:
    setting = Setting({"wfx": Listed("shop", "order-1", 9)}, 10)
    row = setting.resync.intake.table[kind.name]
    setting.body = {EXECUTION.name: fakes.body(), OPERATION.name: fakes.operation_body("wfx")}[kind.name]
    await setting.resync.compare(row)
    assert row.store.get("wfx") is not None
    assert setting.relisted == [kind.name]
    assert setting.resync.deaf() is None, "a restart would heal no more"


@pytest.mark.parametrize("kind", MIRRORED)
async def test_what_was_noted_after_its_deletion_is_dropped(kind: str) -> None:
    setting = Setting({}, 10)
    row = setting.resync.intake.table[kind]
    row.store.note(MIRRORED[kind])
    await setting.resync.compare(row)
    assert len(row.store) == 0
    assert not setting.relisted


@pytest.mark.parametrize("kind", MIRRORED)
async def test_a_version_that_has_gone_back_is_a_restore_of_what_is_mirrored_too(kind: str) -> None:
    setting = Setting({}, 4)
    row = setting.resync.intake.table[kind]
    row.store.note(MIRRORED[kind])
    await setting.resync.compare(row)
    assert setting.restored == [True]
    assert row.store.doubted == {MIRRORED[kind].metadata.uid}
    await setting.resync.compare(row)
    assert setting.restored == [True], "once"


@pytest.mark.parametrize("kind", MIRRORED)
async def test_what_no_list_of_its_reflector_takes_out_of_doubt_is_compared_again(kind: str) -> None:
    """An answer that came late had put it back: the reflector does not know it, and so never says that it is gone."""
    setting = Setting({}, 10)
    row = setting.resync.intake.table[kind]
    row.store.note(MIRRORED[kind])
    row.store.doubt()
    await setting.resync.compare(row)
    assert len(row.store) == 1, "the reflector is about to list"
    setting.reached = 10
    await setting.resync.compare(row)
    assert len(row.store) == 0


async def test_a_list_that_is_older_than_what_a_watch_has_reached_is_a_restore_though_nothing_had_changed() -> None:
    setting = Setting({"old": Listed("shop", "old", 5)}, 7)
    setting.store.note(record("old", 5, "old"))
    setting.reached = 7
    await setting.resync.compare(setting.row)
    assert not setting.restored
    setting.reached = 8
    await setting.resync.compare(setting.row)
    assert setting.restored == [True]


async def test_an_object_that_has_gone_back_is_a_restore_though_the_list_is_newer_by_now() -> None:
    setting = restored()
    setting._listed = setting._listed[0], 30
    await setting.resync.compare(setting.row)
    assert setting.restored == [True]
    assert known(setting) == {"kept": ("5", True), "again": ("6", True)}
    await setting.resync.compare(setting.row)
    assert setting.restored == [True], "once"


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


def restored() -> Setting:
    """The cluster's store was restored at version 6; the watch had brought 20."""
    setting = Setting({"kept": Listed("shop", "kept", 5), "again": Listed("shop", "again", 6)}, 7)
    for name, version in (("kept", 5), ("again", 20), ("gone", 18)):
        setting.store.note(record(name, version, name))
    for name, version in (("kept", 5), ("again", 6)):
        metadata = {"name": name, "namespace": "shop", "uid": name, "resourceVersion": str(version)}
        setting.bodies.append(body_of(metadata, "as restored"))
    return setting


def known(setting: Setting) -> dict[str, tuple[str, bool]]:
    """Version of each record, and whether it is as restored."""
    return {
        each.metadata.name: (each.metadata.resource_version, "as restored" in each.workflow.spec.template.text)
        for each in setting.store
    }


async def test_after_a_restore_of_the_clusters_store_what_is_listed_is_what_there_is() -> None:
    setting = restored()
    await setting.resync.compare(setting.row)
    assert known(setting) == {"kept": ("5", True), "again": ("6", True)}
    assert setting.store.named("shop", "gone") is None
    assert {key.uid for key in setting.woken} == {"kept", "again", "gone"}
    assert setting.restored == [True]
    await setting.resync.compare(setting.row)
    assert setting.restored == [True], "once"
    assert setting.store.note(record("again", 8, "again")), "and then versions count as ever"
    assert not setting.store.note(record("again", 7, "again"))


async def test_a_list_after_a_restore_that_breaks_off_is_made_again() -> None:
    setting = restored()
    setting.bodies.insert(1, ServerUnavailable(503, "Unavailable", "later"))
    with pytest.raises(ServerUnavailable):
        await setting.resync.compare(setting.row)
    assert set(known(setting)) == {"kept", "again", "gone"}, "nothing is concluded from half a list"
    del setting.bodies[1]
    await setting.resync.compare(setting.row)
    assert known(setting) == {"kept": ("5", True), "again": ("6", True)}


async def test_what_is_noted_while_a_list_is_made_is_no_sign_of_a_restore() -> None:
    setting = Setting({"old": Listed("shop", "old", 5)}, 7)
    setting.store.note(record("old", 5, "old"))
    list_metadata = setting.list_metadata

    async def slow(kind: Kind[Any]) -> tuple[dict[str, Listed], int]:
        setting.store.note(record("young", 9, "young"))
        return await list_metadata(kind)

    setting.list_metadata = slow  # type: ignore[method-assign]
    await setting.resync.compare(setting.row)
    assert (set(known(setting)), setting.restored) == ({"old", "young"}, [])


@pytest.mark.parametrize("steps", range(5))
async def test_its_end_is_not_overlooked_where_kopf_lists_again_in_the_same_moment(steps: int) -> None:
    setting = Setting({}, 10)
    running = asyncio.create_task(setting.resync.run())
    await asyncio.sleep(0.01)
    setting.resync.heard(WORKFLOW, listing=True)
    for _ in range(steps):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait((running,), timeout=0.1)
    assert running.cancelled()
