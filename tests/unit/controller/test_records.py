"""Bodies become slim records; who asked for a stop is read from the managed fields."""

from __future__ import annotations

from typing import Any

import pytest

from desist.controller.kinds import EXECUTION, WORKFLOW, Unreadable
from desist.controller.records import execution_record, field_manager

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


def stopping(observed: str, applied: bool) -> dict[str, Any]:
    command = {"id": "C1", "sequence": 1, "kind": "cancellation", "mode": observed, "status": "Accepted"}
    command |= {"source": "api", "targetScope": "instance"} | ({"appliedAt": "2026-01-01T00:00:00Z"} if applied else {})
    held = {"observed": {"mode": observed}, "mode": observed, "commandId": "C1"}
    return {"phase": "Cancelling", "cancellation": held, "commands": [command]}


URGENT = [
    ("nothing asked", None, None, False, None),
    ("asked, never seen", "Cancel", None, True, None),
    ("asked, seen without a stop yet", "Cancel", {"phase": "Running"}, True, None),
    ("asked more than was judged", "Kill", stopping("Cancel", True), True, None),
    ("asked more than was judged and not posted", "Kill", stopping("Cancel", False), True, "C1"),
    ("judged, not posted", "Cancel", stopping("Cancel", False), False, "C1"),
    ("judged and posted", "Cancel", stopping("Cancel", True), False, None),
    ("ended", "Kill", {"phase": "Cancelled"}, False, None),
]


@pytest.mark.parametrize(
    ("mode", "status", "unjudged", "unposted"), [case[1:] for case in URGENT], ids=[case[0] for case in URGENT]
)
def test_a_record_knows_whether_its_stop_was_judged_and_what_was_not_posted(
    mode: str | None, status: dict[str, Any] | None, unjudged: bool, unposted: str | None
) -> None:
    spec = {"cancellation": {"mode": mode}} if mode else {}
    record = execution_record(body(spec, status))
    assert (record.unjudged, record.unposted) == (unjudged, unposted)


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
