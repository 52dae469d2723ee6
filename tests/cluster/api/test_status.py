"""What the API server keeps of a status: an end for ever, and everything that the controller may have to write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from desist.api.records import CommandRecord, HistoryEntry
from desist.api.status import WorkflowExecutionStatus
from tests.cluster.api.conftest import Kubectl
from tests.cluster.api.fullest import fullest
from tests.cluster.api.tables import RUN, execution, slug, table

ENDS = table("ends")
REFUSED = [row for row in ENDS if "says" in row.values[0]]
TAKEN = [row for row in ENDS if "says" not in row.values[0]]


def patch_status(name: str, status: dict[str, Any] | None) -> tuple[str, ...]:
    """The arguments of kubectl for a merge patch of an execution's status."""
    return ("patch", "wfx", name, "--subresource=status", "--type=merge", "--patch", json.dumps({"status": status}))


def with_status(kubectl: Kubectl, name: str, status: dict[str, Any]) -> tuple[tuple[str, ...], str]:
    """Arguments and input of kubectl that replace the status of a new execution, as the controller does."""
    body = kubectl.apply(execution(name)) | {"status": status}
    return ("replace", "--subresource=status", "--filename", "-"), json.dumps(body)


def stored(kubectl: Kubectl, case: dict[str, Any]) -> str:
    """Name of an execution with the case's status."""
    name = slug(case)
    kubectl.apply(execution(name))
    kubectl(*patch_status(name, case["before"]))
    return name


@pytest.mark.conformance("B14")
@pytest.mark.parametrize("case", REFUSED)
def test_after_the_end(kubectl: Kubectl, case: dict[str, Any]) -> None:
    name = stored(kubectl, case)
    refusal = kubectl.refusal(*patch_status(name, case["patch"]))
    assert refusal.replace(f'"{name}"', '"trial"') == case["says"]
    assert case["before"].items() <= kubectl.get(name)["status"].items()


@pytest.mark.parametrize("case", TAKEN)
def test_the_controller_may_write(kubectl: Kubectl, case: dict[str, Any]) -> None:
    name = stored(kubectl, case)
    kubectl(*patch_status(name, case["patch"]))
    assert case["patch"].items() <= kubectl.get(name)["status"].items()


@pytest.mark.conformance("B14")
def test_an_end_survives_a_replace_without_a_status(kubectl: Kubectl) -> None:
    kubectl.apply(execution("replaced"))
    kubectl(*patch_status("replaced", {"phase": "Cancelled", "runId": RUN}))
    without = json.dumps(execution("replaced"))
    refusal = kubectl.refusal("replace", "--subresource=status", "--filename", "-", stdin=without)
    assert "the run has ended as Cancelled; its terminal phase never changes" in refusal
    kubectl("replace", "--filename", "-", stdin=without)
    assert kubectl.get("replaced")["status"]["phase"] == "Cancelled"


def write(kubectl: Kubectl, name: str, status: WorkflowExecutionStatus) -> WorkflowExecutionStatus:
    """Replace the status; what is stored then."""
    arguments, body = with_status(kubectl, name, status.wire())
    kubectl(*arguments, stdin=body)
    return WorkflowExecutionStatus.model_validate(kubectl.get(name)["status"])


def test_the_fullest_status_is_stored_and_read_back_as_it_was(kubectl: Kubectl) -> None:
    status = fullest(WorkflowExecutionStatus)
    assert write(kubectl, "fullest", status) == status


def test_the_emptiest_status_is_stored_and_read_back_as_it_was(kubectl: Kubectl) -> None:
    status = WorkflowExecutionStatus()
    assert write(kubectl, "emptiest", status) == status


@pytest.mark.parametrize("result", [None, False, 0, 2.5, "", "text", [], [1, None, {}], {}, {"a": {"b": None}}])
def test_a_result_is_any_json_value(kubectl: Kubectl, result: Any) -> None:
    status = WorkflowExecutionStatus.model_validate({"result": result})
    assert write(kubectl, "result", status) == status


LISTS: list[tuple[str, type[BaseModel], str, int]] = [
    ("commands", CommandRecord, "sequence", 64),
    ("history", HistoryEntry, "seq", 256),
]


@pytest.mark.parametrize(("name", "item", "key", "most"), LISTS, ids=[row[0] for row in LISTS])
def test_a_list_takes_as_many_entries_as_the_core_keeps_and_no_more(
    kubectl: Kubectl, name: str, item: type[BaseModel], key: str, most: int
) -> None:
    def entries(count: int) -> list[dict[str, Any]]:
        one = fullest(item).model_dump(mode="json", by_alias=True, exclude={"reason", "details", "message", "failure"})
        return [one | {key: number} for number in range(1, count + 1)]

    arguments, body = with_status(kubectl, name, {name: entries(most)})
    kubectl(*arguments, stdin=body)
    arguments, body = with_status(kubectl, name, {name: entries(most + 1)})
    assert f"status.{name}: Too many: {most + 1}: must have at most {most} items" in kubectl.refusal(
        *arguments, stdin=body
    )
