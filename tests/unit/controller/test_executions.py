"""Whoever waits for a Workflow is found by its name, as long as it waits."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from desist.controller.executions import Executions
from desist.controller.records import ExecutionRecord, Resting, execution_record

BEGUN = {"phase": "Running", "workflowSpec": {"template": {"spec": {}}}}


def record(version: int, workflow: str = "order", status: dict[str, Any] | None = None) -> ExecutionRecord:
    metadata = {"name": "order-1", "namespace": "shop", "uid": "u", "resourceVersion": str(version)}
    spec = {"workflowRef": {"name": workflow}}
    return execution_record({"metadata": metadata, "spec": spec} | ({"status": status} if status else {}))


def test_an_execution_waits_for_its_workflow_until_it_has_begun() -> None:
    executions = Executions()
    executions.note(record(1))
    assert executions.awaiting("shop", "order") == {"u"}
    assert executions.awaiting("other", "order") == frozenset()
    executions.note(record(2, status=BEGUN))
    assert executions.awaiting("shop", "order") == frozenset()


def test_it_waits_for_the_one_that_it_names_now() -> None:
    executions = Executions()
    executions.note(record(1))
    executions.note(record(2, "other"))
    assert not executions.note(record(1))
    assert executions.awaiting("shop", "order") == frozenset()
    assert executions.awaiting("shop", "other") == {"u"}


def test_one_that_is_gone_waits_for_nothing() -> None:
    executions = Executions()
    executions.note(record(1))
    executions.forget("u")
    assert executions.awaiting("shop", "order") == frozenset()


ENDED: dict[str, Any] = {
    "phase": "Cancelled",
    "observedGeneration": 4,
    "runId": "01JZZZZZZZZZZZZZZZZZZZZZZZ",
    "attempt": 1,
    "processes": [
        {"pod": "order-1-x-1", "podUid": "p", "role": "workflow", "state": "gone", "since": "2026-01-01T00:00:00Z"}
    ],
    "cancellation": {"observed": {"mode": "Kill", "reason": "why"}, "mode": "Kill"},
    "workflowSpec": {"template": {"spec": {"containers": [{"name": "w", "image": "i" * 2000}]}}},
}
LATE = {"pod": "order-1-x-0", "podUid": "q", "role": "late-start", "state": "alive", "since": "2026-01-01T00:00:00Z"}


def ended(number: int = 0, *, asked: str = "Kill", status: dict[str, Any] | None = None) -> ExecutionRecord:
    metadata = {
        "name": f"order-{number}",
        "namespace": "shop",
        "uid": f"0b2c1e5e-6f0f-4f3c-9a7e-{number:012}",
        "resourceVersion": str(1000 + number),
        "generation": 4,
    }
    spec = {
        "workflowSpec": {"template": {"spec": {"containers": [{"name": "w", "image": f"{number}" + "i" * 2000}]}}},
        "cancellation": {"mode": asked, "reason": "why"},
    }
    return execution_record({"metadata": metadata, "spec": spec, "status": {**ENDED, **(status or {})}})


def test_of_an_ended_run_whose_requests_are_answered_only_the_name_is_kept() -> None:
    executions, record = Executions(), ended()
    assert executions.note(record)
    assert executions.get(record.metadata.uid) == Resting.of(record)
    assert executions.named("shop", "order-0") == Resting.of(record)
    assert not executions.note(record)
    assert executions.forget(record.metadata.uid) is not None
    assert len(executions) == 0


@pytest.mark.parametrize(
    "record",
    [
        ended(asked="Force"),
        ended(status={"phase": "KillCancelling"}),
        ended(status={"observedGeneration": 3}),
        ended(status={"processes": [*ENDED["processes"], LATE]}),
        ended(status={"cancellation": None}),
    ],
    ids=["an unanswered request", "an open run", "a spec that was not judged", "a late start", "nothing answered"],
)
def test_what_may_still_need_something_is_kept_whole(record: ExecutionRecord) -> None:
    executions = Executions()
    executions.note(record)
    assert executions.get(record.metadata.uid) is record


def test_an_execution_at_rest_costs_less_than_two_kilobytes() -> None:
    executions = Executions()
    executions.note(ended())
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(1, 501):
            executions.note(ended(number))
        each = (tracemalloc.get_traced_memory()[0] - before) / 500
    finally:
        tracemalloc.stop()
    assert each < 2048, f"{each:.0f} bytes"
