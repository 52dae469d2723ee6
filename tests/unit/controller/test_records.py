"""Bodies become slim records; who asked for a stop is read from the managed fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from desist.controller.kinds import EXECUTION, WORKFLOW, Unreadable
from desist.controller.records import execution_record, field_manager, workflow_record

MODE: dict[str, Any] = {"f:spec": {"f:cancellation": {"f:mode": {}}}}
REASON: dict[str, Any] = {"f:spec": {"f:cancellation": {"f:reason": {}}}}


def body(spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    held: dict[str, Any] = {
        "metadata": {"name": "order-1", "namespace": "shop", "uid": "u", "resourceVersion": "7", **metadata},
        "spec": {"workflowRef": {"name": "order"}} | (spec or {}),
    }
    return held | ({"status": status} if status is not None else {})


def entry(manager: str, time: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"manager": manager, "time": time, "operation": "Update", "fieldsV1": fields}


MANAGERS: list[tuple[str, list[dict[str, Any]], str | None]] = [
    ("nobody", [], None),
    ("one", [entry("kubectl-patch", "2026-01-01T00:00:00Z", MODE)], "kubectl-patch"),
    (
        "the latest of two",
        [entry("argocd", "2026-01-01T00:00:09Z", MODE), entry("kubectl", "2026-01-01T00:00:01Z", MODE)],
        "argocd",
    ),
    (
        "not one that owns only the reason",
        [entry("kubectl", "2026-01-01T00:00:01Z", MODE), entry("other", "2026-01-01T00:00:09Z", REASON)],
        "kubectl",
    ),
    ("entries without fields", [{"manager": "odd"}, {"manager": "odd", "fieldsV1": {"f:spec": None}}], None),
]


@pytest.mark.parametrize(("entries", "manager"), [case[1:] for case in MANAGERS], ids=[case[0] for case in MANAGERS])
def test_the_field_manager_is_the_latest_owner_of_the_mode(entries: list[dict[str, Any]], manager: str | None) -> None:
    assert field_manager(entries) == manager


def test_a_record_keeps_the_field_manager_of_a_request_only() -> None:
    fields = [entry("kubectl", "2026-01-01T00:00:00Z", MODE)]
    assert execution_record(body({"cancellation": {"mode": "Kill"}}, managedFields=fields)).field_manager == "kubectl"
    assert execution_record(body(managedFields=fields)).field_manager is None


def test_what_cannot_be_read_is_named() -> None:
    with pytest.raises(Unreadable, match=r"WorkflowExecution shop/order-1 cannot be read: spec\.cancellation\.mode"):
        EXECUTION.read(body({"cancellation": {"mode": "Obliterate"}}))
    with pytest.raises(Unreadable, match="Workflow shop/order-1 cannot be read"):
        WORKFLOW.read(body())


def test_an_execution_awaits_its_workflow_until_it_has_begun() -> None:
    assert execution_record(body()).awaited_workflow == "order"
    begun = {"phase": "Running", "workflowSpec": {"template": {"spec": {}}}}
    assert execution_record(body(status=begun)).awaited_workflow is None
    assert execution_record(body(status={"phase": "Failed"})).awaited_workflow is None
    in_place: dict[str, Any] = {"workflowRef": None, "workflowSpec": {"template": {"spec": {}}}}
    assert execution_record(body(in_place)).awaited_workflow is None


def test_the_nodes_of_processes_and_of_unconfirmed_ones_bear_on_an_execution() -> None:
    since = "2026-01-01T00:00:00Z"
    status = {
        "processes": [
            {"pod": "a", "node": "one", "state": "alive", "since": since},
            {"pod": "b", "state": "alive", "since": since},
        ],
        "unconfirmed": [{"pod": "c", "node": "two", "since": since, "reason": "NodeLost"}],
    }
    assert execution_record(body(status=status)).nodes == {"one", "two"}


HUGE: dict[str, Any] = {"template": {"metadata": {"annotations": {"a": "<" * 50_000}}}}


@pytest.mark.parametrize(
    "spec",
    [{"workflowRef": None, "workflowSpec": HUGE}, {"arguments": {"a": "\u2028" * 6_000}}],
    ids=["in place", "arguments"],
)
def test_of_an_execution_that_is_too_large_everything_else_is_read(spec: dict[str, Any]) -> None:
    record = execution_record(body({**spec, "cancellation": {"mode": "Kill"}}))
    assert record.too_large is not None
    assert record.execution.spec.cancellation is not None
    assert record.execution.spec.arguments is None
    assert len(record.execution.model_dump_json()) < 5_000


def test_of_a_workflow_that_is_too_large_everything_else_is_read() -> None:
    record = workflow_record({**body(), "spec": {**HUGE, "stopPolicy": {"gracePeriodSeconds": 7}}})
    assert record.too_large is not None
    assert record.workflow.spec.template.value == {}
    assert record.workflow.spec.stop_policy.grace_period_seconds == 7


@pytest.mark.parametrize("spec", [HUGE, {"template": {"spec": {}}}])
def test_a_spec_of_a_known_generation_is_neither_measured_nor_read_again(
    spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = body({"workflowRef": None, "workflowSpec": spec}, generation=3)
    first = execution_record(held)
    measured: list[object] = []
    monkeypatch.setattr("desist.lifecycle.pod.limits.too_large", measured.append)
    again = execution_record({**held, "status": {"phase": "Pending"}}, first)
    assert measured == []
    assert again.execution.spec is first.execution.spec
    assert again.too_large == first.too_large
    changed = {**held, "metadata": {**held["metadata"], "generation": 4}}
    execution_record(changed, first)
    assert len(measured) == 1


def test_what_status_and_spec_both_hold_is_held_once() -> None:
    spec = {"template": {"spec": {"containers": [{"name": "w"}]}}}
    record = execution_record(
        body(
            {"workflowRef": None, "workflowSpec": spec, "arguments": {"a": 1}},
            {"phase": "Running", "workflowSpec": json.loads(json.dumps(spec)), "arguments": {"a": 1}},
        )
    ).execution
    assert record.status is not None and record.status.workflow_spec is not None
    assert record.spec.workflow_spec is not None
    assert record.status.workflow_spec.template is record.spec.workflow_spec.template
    assert record.status.arguments is record.spec.arguments
