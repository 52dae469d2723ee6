"""One read of an execution serves all operations that were noted before it began, and none that came later."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from desist.api.meta import ObjectMeta
from desist.controller import reading
from desist.controller.caches import Caches
from desist.controller.executions import Executions
from desist.controller.kinds import EXECUTION, Kind
from desist.controller.operations import Operations
from desist.controller.reading import ExecutionReads
from desist.controller.records import Resting
from desist.controller.reread import Rereader
from desist.kube.errors import ApiError
from tests.unit.controller.fakes import FakeCluster, body, record
from tests.unit.controller.test_executions import ENDED

NAMED = ObjectMeta(name="order-1", namespace="shop", uid="wfx")


class Gated(FakeCluster):
    """Answers a read of metadata when it is let."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(objects={"order-1": body(**parts)})
        self.gate = asyncio.Event()
        self.gate.set()

    async def metadata(self, kind: Kind[Any], namespace: str, name: str) -> ObjectMeta:
        found = await super().metadata(kind, namespace, name)
        await self.gate.wait()
        return found


async def quiet() -> None:
    """Until all tasks wait for something."""
    for _ in range(5):
        await asyncio.sleep(0)


class Setting:
    """Reads of one execution, which is known as it is."""

    def __init__(self, **parts: Any) -> None:
        self.fake = Gated(**parts)
        self.executions, self.operations = Executions(), Operations()
        self.executions.note(record(**parts))
        rereader = Rereader(EXECUTION, self.fake.cluster, self.executions, Caches())
        self.reads = ExecutionReads(self.fake.cluster, self.executions, self.operations, rereader)

    def stored(self, **metadata: Any) -> None:
        held = self.fake.objects["order-1"]
        held["metadata"] = {**held["metadata"], **metadata}


async def test_what_is_known_is_given_where_the_api_server_has_nothing_newer() -> None:
    setting = Setting()
    found = await setting.reads.answer(NAMED, setting.operations.tick())
    known = setting.executions.get("wfx")
    assert known is not None and not isinstance(known, Resting)
    assert found is known.execution
    assert setting.fake.calls == ["metadata order-1"]


async def test_what_is_newer_is_read_whole_and_noted() -> None:
    setting = Setting()
    setting.stored(resourceVersion="9", generation=2)
    found = await setting.reads.answer(NAMED, setting.operations.tick())
    assert found is not None and found.metadata.resource_version == "9"
    assert setting.executions.knows("wfx", "9")
    assert setting.fake.calls == ["metadata order-1", "get order-1"]


async def test_one_at_rest_is_read_whole() -> None:
    setting = Setting(status={**ENDED, "observedGeneration": 1, "cancellation": None})
    assert isinstance(setting.executions.get("wfx"), Resting)
    found = await setting.reads.answer(NAMED, setting.operations.tick())
    assert found is not None and found.status is not None and found.status.run_id == ENDED["runId"]


@pytest.mark.parametrize("how", ["gone", "another", "being deleted"])
async def test_one_that_is_gone_replaced_or_being_deleted_is_none(how: str) -> None:
    setting = Setting()
    if how == "gone":
        setting.fake.vanished = {"metadata"}
    elif how == "another":
        setting.stored(uid="another")
    else:
        setting.stored(deletionTimestamp="2026-05-01T00:00:00Z")
    assert await setting.reads.answer(NAMED, setting.operations.tick()) is None


async def test_a_name_that_is_made_up_takes_no_execution_out_of_the_store() -> None:
    setting = Setting()
    forged = ObjectMeta(name="made-up", namespace="shop", uid="wfx")
    assert await setting.reads.answer(forged, setting.operations.tick()) is None
    assert setting.executions.get("wfx") is not None


async def test_a_read_serves_all_that_were_noted_before_it_began_while_it_is_on_its_way_and_after() -> None:
    setting = Setting()
    setting.fake.gate.clear()
    noted = [setting.operations.tick() for _ in range(50)]
    asked = [asyncio.create_task(setting.reads.answer(NAMED, since)) for since in noted]
    await quiet()
    setting.fake.gate.set()
    await asyncio.gather(*asked)
    await setting.reads.answer(NAMED, noted[0])
    assert setting.fake.calls == ["metadata order-1"]


async def test_nothing_that_was_read_is_held_beside_the_store() -> None:
    setting = Setting(status={**ENDED, "observedGeneration": 1, "cancellation": None})
    since = setting.operations.tick()
    found = await setting.reads.answer(NAMED, since)
    reference = weakref.ref(found)
    del found
    await quiet()
    gc.collect()
    assert reference() is None
    assert await setting.reads.answer(NAMED, since) is not None, "it is read again"


async def test_a_read_that_hangs_does_not_keep_the_memory_of_others_from_being_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "KEPT", 5)
    setting = Setting()
    setting.fake.gate.clear()
    hangs = asyncio.create_task(setting.reads.answer(NAMED, setting.operations.tick()))
    await quiet()
    for number in range(50):
        other = ObjectMeta(name=f"gone-{number}", namespace="shop", uid=f"gone-{number}")
        assert await setting.reads.answer(other, setting.operations.tick()) is None
    assert len(setting.reads._last) <= 6
    setting.fake.gate.set()
    assert await hangs is not None


async def test_one_that_is_not_there_is_asked_for_once() -> None:
    setting = Setting()
    setting.fake.vanished = {"metadata"}
    since = setting.operations.tick()
    assert [await setting.reads.answer(NAMED, since) for _ in range(3)] == [None] * 3
    assert setting.fake.calls == ["metadata order-1"]


async def test_who_comes_while_a_read_is_on_its_way_shares_the_next_one() -> None:
    setting = Setting()
    setting.fake.gate.clear()
    first = asyncio.create_task(setting.reads.answer(NAMED, setting.operations.tick()))
    await quiet()
    late = [asyncio.create_task(setting.reads.answer(NAMED, setting.operations.tick())) for _ in range(50)]
    await quiet()
    assert setting.fake.calls == ["metadata order-1"]
    setting.fake.gate.set()
    await asyncio.gather(first, *late)
    assert setting.fake.calls == ["metadata order-1"] * 2


async def test_a_read_that_fails_is_told_to_those_who_wait_and_is_made_again_for_the_next() -> None:
    setting = Setting()
    setting.fake.fails = {"metadata"}
    since = setting.operations.tick()
    answers = await asyncio.gather(*(setting.reads.answer(NAMED, since) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ApiError] * 3
    setting.fake.fails = set()
    assert await setting.reads.answer(NAMED, since) is not None
    assert setting.fake.calls == ["metadata order-1"] * 2


async def test_a_reconcile_that_is_cancelled_does_not_end_the_read_of_others() -> None:
    setting = Setting()
    setting.fake.gate.clear()
    since = setting.operations.tick()
    one, other = (asyncio.create_task(setting.reads.answer(NAMED, since)) for _ in range(2))
    await quiet()
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    setting.fake.gate.set()
    assert await other is not None
