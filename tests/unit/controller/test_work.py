"""Keys become passes: not before everything is there, urgent ones first, and again when a pass says so."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from desist.controller.work import EXECUTION, WORKFLOW, Key, Work
from tests.unit.controller.fakes import NOW


class Passes:
    """Remembers what was passed over; a key's pass may be told when the next one is due."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.due: dict[str, datetime] = {}
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def run(self, uid: str) -> datetime | None:
        await self.gate.wait()
        self.done.append(uid)
        self.reached.set()
        return self.due.pop(uid, None)

    def work(self, urgent: frozenset[str] = frozenset(), workers: int = 4) -> Work:
        passes = {EXECUTION: self.run, WORKFLOW: self.run}
        return Work(passes, lambda key: key.uid in urgent, workers, lambda: NOW)


async def _quiet() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_added_while_passes_are_held_follows_once() -> None:
    passes = Passes()
    work = passes.work()
    with work.held():
        work.add(Key(EXECUTION, "a"))
        work.add(Key(EXECUTION, "a"))
        await _quiet()
        assert passes.done == []
    await _quiet()
    assert passes.done == ["a"]


async def test_an_urgent_key_overtakes_those_that_wait() -> None:
    passes = Passes()
    work = passes.work(frozenset({"urgent"}), workers=1)
    passes.gate.clear()
    for uid in ("running", "waiting", "urgent"):
        work.add(Key(EXECUTION, uid))
    passes.gate.set()
    await _quiet()
    assert set(passes.done) == {"running", "waiting", "urgent"}
    assert passes.done.index("urgent") < passes.done.index("waiting")


async def test_a_pass_that_is_due_again_comes_again() -> None:
    passes = Passes()
    passes.due["a"] = NOW + timedelta(milliseconds=5)
    passes.work().add(Key(EXECUTION, "a"))
    while len(passes.done) < 2:
        await asyncio.wait_for(passes.reached.wait(), 5)
        passes.reached.clear()
    assert passes.done == ["a", "a"]


async def test_a_pass_that_does_not_come_back_is_called_stuck() -> None:
    passes = Passes()
    work = passes.work()
    passes.gate.clear()
    work.add(Key(WORKFLOW, "w"))
    await _quiet()
    assert work.stuck() is None
    work._running[Key(WORKFLOW, "w")] -= 1000
    assert work.stuck() == "a pass over Workflow w has not come back"
    passes.gate.set()
    await _quiet()
    assert work.stuck() is None


async def test_after_the_end_no_pass_begins() -> None:
    passes = Passes()
    work = passes.work()
    await work.stop()
    work.add(Key(EXECUTION, "a"))
    await _quiet()
    assert passes.done == []
