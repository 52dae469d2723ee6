"""Whoever waits for a Workflow is found by its name, as long as it waits."""

from __future__ import annotations

from typing import Any

from desist.controller.executions import Executions
from desist.controller.records import ExecutionRecord, execution_record

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
