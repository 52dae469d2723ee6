"""Of an operation is kept what is decided from, and of an ended one only what its execution looks at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from desist.controller.kinds import OPERATION, Unreadable
from desist.controller.operation_records import Ended, OperationRecord, kept, operation_record, with_age
from desist.lifecycle.observed.sight import TooLarge
from tests.unit.controller.fakes import NOW, SUCCEEDED, operation, operation_body


def test_arguments_are_not_kept() -> None:
    record = operation(arguments={"order": 1})
    assert record.operation.spec.arguments is None
    assert record.too_large is None


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ({"arguments": {"text": "a" * 32 * 1024}}, "spec.arguments"),
        ({"pod": {"env": [{"name": f"n{i}", "value": "v" * 4096} for i in range(65)]}}, "spec.pod"),
        ({"pod": None, "local": {"outcome": {"result": "<" * 6 * 1024}}}, "spec.local"),
    ],
    ids=["arguments", "pod", "local"],
)
def test_what_is_too_large_is_not_read_and_said(parts: dict[str, Any], where: str) -> None:
    record = operation(**parts)
    assert isinstance(record.too_large, TooLarge)
    assert record.too_large.message.startswith(f"{where}: ")
    local = record.operation.spec.local
    assert record.operation.spec.pod is None or record.operation.spec.pod.env == ()
    assert local is None or local.outcome.value == {}


def test_the_spec_of_a_known_generation_is_neither_measured_nor_read_again() -> None:
    known = operation(arguments={"text": "a" * 32 * 1024})
    again = operation_record(operation_body(version=6, pod=["not an object"]), known)
    assert again.operation.spec is known.operation.spec
    assert again.too_large is known.too_large


def test_one_that_cannot_be_read_says_which() -> None:
    with pytest.raises(Unreadable, match=r"Operation shop/order-1-op cannot be read: spec\.key"):
        OPERATION.read(operation_body(key=None))


def test_its_age_counts_from_five_seconds_on_and_stays_as_it_was_when_it_was_listed() -> None:
    record = operation()
    assert with_age(record, None) == record
    assert with_age(record, NOW + timedelta(seconds=5)).age == timedelta(0)
    old = with_age(record, NOW + timedelta(seconds=6))
    assert old.age == timedelta(seconds=6)
    assert operation_record(operation_body(version=6), old).age == timedelta(seconds=6)


def test_of_one_that_has_ended_only_what_its_execution_looks_at_is_kept() -> None:
    record = operation(status=SUCCEEDED)
    ended = kept(record)
    assert isinstance(ended, Ended)
    assert (ended.seen, ended.metadata.name, ended.owner.uid) == (record.seen, "order-1-op", "wfx")
    assert kept(ended) is ended


LATE = {"pod": "p", "role": "late-start", "state": "alive", "since": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    "record",
    [
        operation(),
        operation(status={"phase": "Running", "observedGeneration": 1}),
        operation(status=SUCCEEDED | {"observedGeneration": 0}),
        operation(status=SUCCEEDED, cancellation={"mode": "Kill"}),
        operation(status=SUCCEEDED | {"processes": [LATE]}),
    ],
    ids=["new", "open", "a spec that was not judged", "an unanswered request", "a late start"],
)
def test_what_may_still_need_something_is_kept_whole(record: OperationRecord) -> None:
    assert kept(record) is record
