"""An execution finds its operations, which of them are open, and whoever must know of a change is told."""

from __future__ import annotations

import tracemalloc
from typing import Any

from desist.api.meta import ObjectMeta
from desist.controller.operation_records import Ended, OperationRecord
from desist.controller.operations import Operations, Whose
from desist.controller.store import Listed
from desist.lifecycle.observed.sight import OperationSeen
from tests.unit.controller.fakes import SUCCEEDED, operation

OWNER = ObjectMeta(name="order-1", namespace="shop", uid="wfx")
FOREIGN = {
    "phase": "Failed",
    "failure": {"id": "f", "category": "not_of_this_run", "propagation": "operation", "message": "of another run"},
}


def uids(operations: Operations) -> list[str]:
    return [seen.uid for seen in operations.seen(OWNER)]


def test_the_operations_of_an_execution_are_those_of_its_namespace_that_name_its_uid() -> None:
    operations = Operations()
    operations.note(operation("a"))
    operations.note(operation("b", status=SUCCEEDED))
    operations.note(operation("other", executionRef={"name": "order-1", "uid": "another"}))
    operations.note(operation("elsewhere", metadata={"namespace": "another"}))
    assert uids(operations) == ["a", "b"]
    assert operations.open(("shop", "wfx")) == {"a"}
    operations.forget("a")
    operations.forget("b")
    assert (uids(operations), operations.open(("shop", "wfx"))) == ([], frozenset())


def test_what_is_seen_of_them_keeps_its_order_and_follows_each_change() -> None:
    operations = Operations()
    for uid in ("a", "b"):
        operations.note(operation(uid))
    operations.note(operation("a", 6, status={"phase": "Running", "attempt": 1}))
    assert not operations.note(operation("a", 5))
    assert [(seen.uid, seen.begun) for seen in operations.seen(OWNER)] == [("a", True), ("b", False)]


def test_an_ended_one_is_kept_small_and_counts_as_before() -> None:
    operations = Operations()
    operations.note(operation("a"))
    operations.note(operation("a", 6, status=SUCCEEDED))
    assert isinstance(operations.get("a"), Ended)
    assert operations.knows("a", "6") and not operations.knows("a", "7")
    assert operations.named("shop", "order-1-a") is operations.get("a")
    assert operations.open(("shop", "wfx")) == frozenset()


def created(uid: str, second: int, **parts: Any) -> OperationRecord:
    return operation(uid, metadata={"creationTimestamp": f"2026-05-01T00:00:{second:02}Z"}, **parts)


def test_earlier_ones_are_those_of_the_same_run_that_were_created_before_and_are_not_foreign() -> None:
    operations = Operations()
    first, second, last = created("b", 1), created("a", 2), created("c", 2)
    others = (created("r", 0, runId="01HZZZZZZZZZZZZZZZZZZZZZZY"), created("f", 0, status=FOREIGN))
    for record in (last, first, second, *others):
        operations.note(record)
    assert [operations.earlier(record) for record in (first, second, last)] == [0, 1, 2]
    operations.note(operation("b", 6, metadata={"creationTimestamp": "2026-05-01T00:00:01Z"}, status=SUCCEEDED))
    assert operations.earlier(last) == 2
    operations.forget("b")
    assert operations.earlier(last) == 1


def test_one_that_is_found_to_be_foreign_counts_no_more() -> None:
    operations = Operations()
    first, last = created("a", 1), created("b", 2)
    operations.note(first)
    operations.note(last)
    operations.note(operation("a", 6, metadata={"creationTimestamp": "2026-05-01T00:00:01Z"}, status=FOREIGN))
    assert operations.earlier(last) == 0


def test_what_another_run_has_asked_for_takes_no_place_of_the_run_before_it_was_judged() -> None:
    operations = Operations()
    for number in range(2000):
        operations.note(created(f"f{number}", 1, createdBy={"podName": "order-2-abcdefghij-1", "podUid": "other"}))
    mine = created("mine", 2)
    operations.note(mine)
    assert operations.earlier(mine) == 0


def test_every_change_is_told_with_what_was_seen_before() -> None:
    told: list[tuple[Whose, OperationSeen | None, OperationSeen | None]] = []
    operations = Operations(lambda *change: told.append(change))
    first, ended = operation("a"), operation("a", 6, status=SUCCEEDED)
    operations.note(first)
    operations.note(first)
    operations.note(ended)
    operations.forget("a")
    operations.forget("a")
    whose = ("shop", "wfx")
    assert told == [(whose, None, first.seen), (whose, first.seen, ended.seen), (whose, ended.seen, None)]


def test_each_note_of_an_open_one_has_a_later_tick_than_what_was_read_before() -> None:
    operations = Operations()
    operations.note(operation("a"))
    read = operations.tick()
    assert operations.noted("a") < read
    operations.note(operation("a", 6))
    assert operations.noted("a") > read
    operations.note(operation("a", 7, status=SUCCEEDED))
    assert operations.noted("a") == 0


def test_a_list_of_an_executions_operations_says_which_are_gone_and_which_are_behind() -> None:
    operations = Operations()
    for uid, version in (("gone", 5), ("newer", 20), ("same", 6), ("behind", 7)):
        operations.note(operation(uid, version))
    operations.note(operation("other", executionRef={"name": "order-1", "uid": "another"}))
    listed = {
        uid: Listed("shop", f"order-1-{uid}", version) for uid, version in (("same", 6), ("behind", 9), ("new", 3))
    }
    found = operations.differ(OWNER, listed, 10)
    assert found.gone == {"gone"}
    assert found.behind == {("shop", "order-1-behind"), ("shop", "order-1-new")}


def test_an_ended_operation_costs_less_than_two_kilobytes() -> None:
    operations = Operations()
    operations.note(operation("0", status=SUCCEEDED))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(1, 501):
            uid = f"0b2c1e5e-6f0f-4f3c-9a7e-{number:012}"
            operations.note(operation(uid, key=f"step {number} of an order"))
            operations.note(operation(uid, 6, key=f"step {number} of an order", status=SUCCEEDED))
        each = (tracemalloc.get_traced_memory()[0] - before) / 500
    finally:
        tracemalloc.stop()
    assert each < 2048, f"{each:.0f} bytes"
