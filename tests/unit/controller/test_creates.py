"""Creates that others can make hang or fail: few at a time, and not again before their time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from desist.api.base import Opaque
from desist.controller.creates import Creates, NoSlot
from desist.controller.interrupts import Overtaken
from desist.controller.kinds import EXECUTION, Key
from desist.controller.memory import Memory
from desist.lifecycle.observed.questions import Answer, CreateAnswer
from tests.unit.controller.fakes import NOW, FakeCluster, record
from tests.unit.controller.test_reconcile import Setting

OWNER = record().metadata
POD = Opaque.of({"metadata": {"name": "p"}})
REFUSED = CreateAnswer(Answer.REFUSED, "quota")
INVALID = CreateAnswer(Answer.INVALID, "wrong")


@dataclass
class Tried:
    """One execution's dry runs, on a clock of their own."""

    fake: FakeCluster = field(default_factory=lambda: FakeCluster(dry_run=REFUSED))
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.creates = self.fake.creates(lambda: self.seconds)

    async def once(self, of: object = "generation 1", key: str = "wfx") -> CreateAnswer:
        return await self.creates.dry_run(Key(EXECUTION.name, key), OWNER, of, lambda: POD)

    @property
    def asked(self) -> int:
        return len(self.fake.calls)


@pytest.mark.parametrize(
    ("answer", "waits"), [(REFUSED, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]), (INVALID, [60, 120, 240, 300, 300])]
)
async def test_a_refusal_holds_twice_as_long_each_time_up_to_five_minutes(
    answer: CreateAnswer, waits: list[float]
) -> None:
    tried = Tried(FakeCluster(dry_run=answer))
    for wait in waits:
        assert (await tried.once()).retry_after == wait
        tried.seconds += wait
    assert tried.asked == len(waits)


async def test_nobody_is_asked_before_the_wait_is_over_whatever_wakes_the_execution() -> None:
    tried = Tried()
    await tried.once()
    tried.seconds = 0.75
    held = await tried.once()
    assert (held.answer, held.message, held.retry_after) == (Answer.REFUSED, "quota", 0.25)
    assert tried.asked == 1


async def test_what_was_changed_is_tried_at_once_and_counts_anew() -> None:
    tried = Tried()
    for _ in range(5):
        tried.seconds += 100
        await tried.once()
    assert (await tried.once("generation 2")).retry_after == 1


async def test_a_dry_run_that_passed_ends_the_row() -> None:
    tried = Tried()
    for _ in range(5):
        tried.seconds += 100
        await tried.once()
    tried.fake.dry_run = CreateAnswer(Answer.PASSED)
    tried.seconds += 100
    assert (await tried.once()).answer is Answer.PASSED
    tried.fake.dry_run = REFUSED
    assert (await tried.once()).retry_after == 1


async def test_dry_runs_that_hang_take_few_slots_of_one_namespace_and_who_gets_none_is_woken() -> None:
    hanging = asyncio.Event()

    class Hangs(FakeCluster):
        async def dry_run_pod(self, owner: object, manifest: Opaque) -> CreateAnswer:
            await hanging.wait()
            return CreateAnswer(Answer.PASSED)

    tried = Tried(Hangs())
    other = OWNER.model_copy(update={"namespace": "other"})
    held = [asyncio.create_task(tried.once(key=f"wfx-{number}")) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(NoSlot):
        await tried.once(key="late")
    elsewhere = asyncio.create_task(tried.creates.dry_run(Key(EXECUTION.name, "elsewhere"), other, 1, lambda: POD))
    hanging.set()
    assert (await elsewhere).answer is Answer.PASSED
    await asyncio.gather(*held)
    assert tried.fake.woken == []
    tried.creates.release(Key(EXECUTION.name, "wfx-0"))
    assert tried.fake.woken == [Key(EXECUTION.name, "late")]


async def test_a_stop_ends_a_dry_run_that_hangs_and_its_reconcile_with_it() -> None:
    class Hangs(FakeCluster):
        async def dry_run_pod(self, owner: object, manifest: Opaque) -> CreateAnswer:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

    tried = Tried(Hangs())
    key = Key(EXECUTION.name, "wfx")
    held = asyncio.create_task(tried.once())
    await asyncio.sleep(0.01)
    tried.creates.interrupts.interrupt(key)
    with pytest.raises(Overtaken):
        await held
    tried.creates.interrupts.interrupt(key)
    tried.creates.release(key)


async def test_a_dry_run_that_is_cut_by_the_end_of_the_process_is_not_taken_for_an_interrupted_one() -> None:
    class Hangs(FakeCluster):
        async def dry_run_pod(self, owner: object, manifest: Opaque) -> CreateAnswer:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

    held = asyncio.create_task(Tried(Hangs()).once())
    await asyncio.sleep(0.01)
    held.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held


async def test_a_reconcile_without_a_slot_ends_without_a_write_and_goes_on_when_it_is_woken() -> None:
    setting = Setting()
    for number in range(4):
        setting.creates._dry_runs.take(Key(EXECUTION.name, f"other-{number}"), f"namespace-{number}")
    assert await setting.reconciler.reconcile("wfx") is None
    assert setting.fake.calls == []
    setting.creates.release(Key(EXECUTION.name, "other-0"))
    assert setting.fake.woken == [Key(EXECUTION.name, "wfx")]
    await setting.reconciler.reconcile("wfx")
    assert "create" in setting.fake.calls


async def test_no_slot_is_kept_for_an_execution_whose_reconcile_failed_meanwhile() -> None:
    setting = Setting()
    for number in range(4):
        setting.creates._dry_runs.take(Key(EXECUTION.name, f"other-{number}"), f"namespace-{number}")
    await setting.reconciler.reconcile("wfx")
    setting.creates.release(Key(EXECUTION.name, "wfx"), failed=True)
    setting.creates.release(Key(EXECUTION.name, "other-0"))
    assert setting.fake.woken == []
    await setting.reconciler.reconcile("wfx")
    assert "create" in setting.fake.calls, "it finds the slot by itself"


async def test_a_reconcile_whose_create_a_stop_overtakes_ends_without_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    reached = asyncio.Event()

    async def waits(*_: object) -> CreateAnswer:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    setting = Setting()
    monkeypatch.setattr(setting.fake, "create_pod", waits)
    reconcile = asyncio.create_task(setting.reconciler.reconcile("wfx"))
    async with asyncio.timeout(20):
        await reached.wait()
        setting.creates.interrupts.interrupt(Key(EXECUTION.name, "wfx"))
        assert await reconcile is None
    status = setting.known.execution.status
    assert status is not None and status.attempt == 1, "what was written before it is known"


async def test_a_start_that_is_refused_is_due_when_its_wait_is_over() -> None:
    setting = Setting()
    setting.fake.dry_run = REFUSED
    for wait in (1, 2, 4, 8):
        assert await setting.reconciler.reconcile("wfx") == NOW + timedelta(seconds=wait)
        setting.seconds += wait
    assert [call for call in setting.fake.calls if call.startswith("status")] == ["status Pending"]


async def test_a_create_that_is_refused_again_waits_longer() -> None:
    fake, memory = FakeCluster(create=REFUSED), Memory()
    creates = fake.creates()
    waits = []
    for _ in range(3):
        answer = await creates.create(Key(EXECUTION.name, "wfx"), OWNER, "pod", POD)
        memory.refused("wfx", "pod", answer)
        waits.append(answer.retry_after)
    assert waits == [1, 2, 4]
    assert isinstance(creates, Creates)
