"""Keys become reconciles: not before everything is there, urgent ones first, and again when one says so."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from desist.controller.executions import Executions
from desist.controller.kinds import EXECUTION, WORKFLOW, Key, Managed, table
from desist.controller.records import ExecutionRecord, WorkflowRecord
from desist.controller.store import Store
from desist.controller.work import Work
from tests.unit.controller.fakes import NOW, body, no_operations, record


def record_of(uid: str, namespace: str = "shop") -> ExecutionRecord:
    return record(metadata={**body()["metadata"], "uid": uid, "name": uid, "namespace": namespace})


class Reconciles:
    """Remembers what was reconciled; a key's reconcile may be told when the next one is due."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.due: dict[str, datetime] = {}
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def reconcile(self, uid: str) -> datetime | None:
        await self.gate.wait()
        self.done.append(uid)
        self.reached.set()
        return self.due.pop(uid, None)

    def work(self, urgent: frozenset[str] = frozenset(), workers: int = 4) -> Work:
        executions, workflows = Executions(), Store[WorkflowRecord]()
        for uid in urgent:
            executions.note(record_of(uid))
        rows = (
            Managed(WORKFLOW, workflows, self.reconcile),
            Managed(EXECUTION, executions, self.reconcile, urgent=lambda record: record.metadata.uid in urgent),
        )
        return Work(table(*rows, no_operations()), workers, lambda: NOW)


async def test_an_urgent_add_interrupts_the_reconcile_that_runs_and_no_other_add_does() -> None:
    reconciles, interrupted = Reconciles(), list[Key]()
    reconciles.gate.clear()
    executions, urgent = Executions(), set[str]()
    executions.note(record_of("a"))
    rows = (
        Managed(WORKFLOW, Store[WorkflowRecord](), reconciles.reconcile),
        Managed(EXECUTION, executions, reconciles.reconcile, urgent=lambda record: record.metadata.uid in urgent),
    )
    work = Work(table(*rows, no_operations()), 1, lambda: NOW, interrupt=interrupted.append)
    key = Key(EXECUTION.name, "a")
    work.add(key)
    await _quiet()
    work.add(key)
    assert interrupted == []
    urgent.add("a")
    work.add(key)
    assert interrupted == [key]
    reconciles.gate.set()
    await _quiet()
    work.add(key)
    assert interrupted == [key]


async def test_namespaces_take_turns_and_what_a_reconcile_holds_is_given_back() -> None:
    reconciles, released = Reconciles(), list[Key]()
    executions = Executions()
    for uid in ("a1", "a2", "a3", "b1"):
        executions.note(record_of(uid, namespace=uid[0]))
    rows = (
        Managed(WORKFLOW, Store[WorkflowRecord](), reconciles.reconcile),
        Managed(EXECUTION, executions, reconciles.reconcile),
    )
    work = Work(table(*rows, no_operations()), 1, lambda: NOW, lambda key, _: released.append(key))
    for uid in ("a1", "a2", "a3", "b1"):
        work.add(Key(EXECUTION.name, uid))
    await _quiet()
    assert reconciles.done == ["a1", "a2", "b1", "a3"]
    assert released == [Key(EXECUTION.name, uid) for uid in reconciles.done]


async def test_what_a_reconcile_holds_is_given_back_with_how_it_went() -> None:
    async def reconcile(uid: str) -> datetime | None:
        if uid == "fails":
            raise RuntimeError("a fault")
        return None

    released: list[tuple[str, bool]] = []
    rows = (Managed(WORKFLOW, Store[WorkflowRecord](), reconcile), Managed(EXECUTION, Executions(), reconcile))
    work = Work(table(*rows, no_operations()), 1, lambda: NOW, lambda key, failed: released.append((key.uid, failed)))
    for uid in ("fails", "passes"):
        work.add(Key(EXECUTION.name, uid))
    await _quiet()
    assert released == [("fails", True), ("passes", False)]
    await work.stop()


async def _quiet() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_added_while_reconciles_are_held_follows_once() -> None:
    reconciles = Reconciles()
    work = reconciles.work()
    with work.held():
        work.add(Key(EXECUTION.name, "a"))
        work.add(Key(EXECUTION.name, "a"))
        await _quiet()
        assert reconciles.done == []
    await _quiet()
    assert reconciles.done == ["a"]


async def test_an_urgent_key_overtakes_those_that_wait() -> None:
    reconciles = Reconciles()
    work = reconciles.work(frozenset({"urgent"}), workers=1)
    reconciles.gate.clear()
    for uid in ("running", "waiting", "urgent"):
        work.add(Key(EXECUTION.name, uid))
    reconciles.gate.set()
    await _quiet()
    assert set(reconciles.done) == {"running", "waiting", "urgent"}
    assert reconciles.done.index("urgent") < reconciles.done.index("waiting")


async def test_a_reconcile_that_is_due_again_comes_again() -> None:
    reconciles = Reconciles()
    reconciles.due["a"] = NOW + timedelta(milliseconds=5)
    reconciles.work().add(Key(EXECUTION.name, "a"))
    while len(reconciles.done) < 2:
        await asyncio.wait_for(reconciles.reached.wait(), 20)
        reconciles.reached.clear()
    assert reconciles.done == ["a", "a"]


async def test_what_has_become_urgent_until_it_is_due_again_finds_a_place_among_reconciles_that_hang() -> None:
    late, urgent = Reconciles(), set[str]()
    late.due["late"] = NOW + timedelta(milliseconds=5)

    async def reconcile(uid: str) -> datetime | None:
        if uid == "late":
            return await late.reconcile(uid)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    executions = Executions()
    executions.note(record_of("late"))
    rows = (
        Managed(WORKFLOW, Store[WorkflowRecord](), reconcile),
        Managed(EXECUTION, executions, reconcile, urgent=lambda record: record.metadata.uid in urgent),
    )
    work = Work(table(*rows, no_operations()), 1, lambda: NOW)
    work.add(Key(EXECUTION.name, "late"))
    await _quiet()
    work.add(Key(WORKFLOW.name, "hangs"))
    urgent.add("late")
    while len(late.done) < 2:
        late.reached.clear()
        await asyncio.wait_for(late.reached.wait(), 20)


async def test_what_came_due_while_the_machine_slept_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desist.kube.queue.LONGEST_SLEEP", 0.01)
    reconciles, seconds = Reconciles(), 0.0
    reconciles.due["a"] = NOW + timedelta(hours=1)
    rows = (
        Managed(WORKFLOW, Store[WorkflowRecord](), reconciles.reconcile),
        Managed(EXECUTION, Executions(), reconciles.reconcile),
    )
    Work(table(*rows, no_operations()), 1, lambda: NOW, steady=lambda: seconds).add(Key(EXECUTION.name, "a"))
    await asyncio.wait_for(reconciles.reached.wait(), 20)
    reconciles.reached.clear()
    seconds = 3600.0
    await asyncio.wait_for(reconciles.reached.wait(), 20)
    assert reconciles.done == ["a", "a"]


async def test_a_reconcile_that_does_not_come_back_is_called_stuck() -> None:
    reconciles = Reconciles()
    work = reconciles.work()
    reconciles.gate.clear()
    work.add(Key(WORKFLOW.name, "w"))
    await _quiet()
    assert work.stuck() is None
    work._running[Key(WORKFLOW.name, "w")] -= 1000
    assert work.stuck() == "the reconcile of Workflow w has not come back"
    reconciles.gate.set()
    await _quiet()
    assert work.stuck() is None


async def test_after_the_end_no_reconcile_begins() -> None:
    reconciles = Reconciles()
    work = reconciles.work()
    await work.stop()
    work.add(Key(EXECUTION.name, "a"))
    await _quiet()
    assert reconciles.done == []
