"""The models: values that stay what they are on their way to Kubernetes and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from desist.api.base import NULL, Opaque, rfc3339
from desist.api.execution import WorkflowExecution, WorkflowExecutionSpec
from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import Mode, Phase
from desist.api.workflow import StopPolicy, WorkflowSpec

TEMPLATE: dict[str, Any] = {
    "metadata": {"annotations": {}},
    "spec": {"containers": [{"name": "workflow", "command": [], "env": None, "x": 1.5}]},
}
STATUSES: list[tuple[str, dict[str, Any]]] = [
    ("nothing yet", {"observedGeneration": 0, "commandCount": 0, "historyCount": 0}),
    (
        "a run that is being killed",
        {
            "observedGeneration": 3,
            "phase": "KillCancelling",
            "bucket": "running",
            "runId": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "attempt": 1,
            "cancellation": {
                "observed": {"mode": "Kill", "reason": ""},
                "mode": "Kill",
                "killAt": "2026-01-02T03:04:05.000006Z",
            },
            "waitingOn": ["node a"],
            "commandCount": 1,
            "historyCount": 2,
            "canKill": False,
        },
    ),
    (
        "a result that is an empty list, and a template with empty values",
        {
            "observedGeneration": 1,
            "result": [],
            "workflowSpec": {
                "template": TEMPLATE,
                "stopPolicy": {
                    "gracePeriodSeconds": 5,
                    "maxGracePeriodSeconds": 3600,
                    "signal": "SIGTERM",
                    "signalTo": "All",
                },
                "retryPolicy": {"maximumAttempts": 1, "initialIntervalSeconds": 1, "backoffCoefficient": 2},
            },
            "commandCount": 0,
            "historyCount": 0,
        },
    ),
]


@pytest.mark.parametrize("wire", [row[1] for row in STATUSES], ids=[row[0] for row in STATUSES])
def test_a_status_comes_back_from_the_wire_as_it_was(wire: dict[str, Any]) -> None:
    status = WorkflowExecutionStatus.model_validate(wire)
    assert status.wire() == wire
    assert WorkflowExecutionStatus.model_validate(status.wire()) == status


def test_an_empty_list_is_left_out_of_the_wire_and_read_back_as_empty() -> None:
    wire = WorkflowExecutionStatus(phase=Phase.RUNNING).wire()
    assert not {"commands", "history", "processes", "unconfirmed", "waitingOn", "conditions"} & wire.keys()
    assert WorkflowExecutionStatus.model_validate(wire).commands == ()


def test_defaults_of_a_workflow_are_written_out_so_that_a_snapshot_keeps_its_meaning() -> None:
    assert WorkflowSpec(template=Opaque.of({})).wire()["stopPolicy"] == {
        "gracePeriodSeconds": 5,
        "maxGracePeriodSeconds": 3600,
        "signal": "SIGTERM",
        "signalTo": "All",
    }


@pytest.mark.conformance("A12")
def test_an_empty_reason_is_not_the_same_as_none() -> None:
    told, silent = (
        WorkflowExecutionSpec.model_validate({"cancellation": {"mode": "Cancel"} | extra})
        for extra in ({"reason": ""}, {})
    )
    assert told != silent
    assert told.wire()["cancellation"] == {"mode": "Cancel", "reason": ""}
    assert silent.wire()["cancellation"] == {"mode": "Cancel"}


def test_fields_of_a_newer_version_are_ignored() -> None:
    parsed = StopPolicy.model_validate({"gracePeriodSeconds": 7, "fromTheFuture": True})
    assert parsed == StopPolicy(grace_period_seconds=7)


def test_a_model_cannot_be_changed_and_can_be_a_key() -> None:
    execution = WorkflowExecution.model_validate({"metadata": {"name": "a", "uid": "u"}, "spec": {}})
    with pytest.raises(ValidationError, match="frozen"):
        execution.spec = WorkflowExecutionSpec()  # type: ignore[misc]  # the assignment is what is tried
    assert len({execution, execution.model_copy()}) == 1


def test_a_null_result_is_none() -> None:
    assert WorkflowExecutionStatus.model_validate({"result": None}).result is None
    assert "result" not in WorkflowExecutionStatus(result=NULL).wire()


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "ü", [], {}, [1, None], {"b": [{}], "a": ""}])
def test_opaque_gives_the_same_json_back(value: Any) -> None:
    assert Opaque.of(value).value == value


def test_opaque_compares_by_content_not_by_order() -> None:
    assert Opaque.of({"a": 1, "b": 2}) == Opaque.of({"b": 2, "a": 1})
    assert hash(Opaque.of({"a": 1, "b": 2})) == hash(Opaque.of({"b": 2, "a": 1}))
    assert Opaque.of({"a": 1}) != Opaque.of({"a": "1"})


def test_opaque_gives_copies_so_that_nobody_changes_what_it_holds() -> None:
    held = Opaque.of({"list": [1]})
    held.value["list"].append(2)
    assert held.value == {"list": [1]}


@pytest.mark.parametrize("value", [float("nan"), datetime.now(UTC), object()], ids=["NaN", "a date", "an object"])
def test_opaque_refuses_what_json_cannot_hold(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Opaque.of(value)


TIMES: list[tuple[str, datetime, str]] = [
    ("with microseconds", datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2026-01-02T03:04:05.000006Z"),
    ("whole seconds too", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000000Z"),
    ("of a clock that was never set", datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00.000000Z"),
    (
        "in UTC, from another zone",
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))),
        "2026-01-02T01:04:05.000000Z",
    ),
]


@pytest.mark.parametrize(("moment", "text"), [row[1:] for row in TIMES], ids=[row[0] for row in TIMES])
def test_a_time_is_written(moment: datetime, text: str) -> None:
    assert rfc3339(moment) == text
    status = WorkflowExecutionStatus(start_time=moment)
    assert status.wire()["startTime"] == text
    assert WorkflowExecutionStatus.model_validate(status.wire()) == status


def test_years_below_a_thousand_have_four_digits() -> None:
    assert rfc3339(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("0000-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
        ("0001-01-01T00:00:00+14:00", "1970-01-01T00:00:00.000000Z"),
        ("2026-01-02T03:04:05+99:99", "1970-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59-14:00", "9990-01-01T00:00:00.000000Z"),
    ],
)
def test_a_time_that_the_api_server_stores_and_nobody_can_count_with_is_read_as_one_within_bounds(
    stored: str, read: str
) -> None:
    assert WorkflowExecutionStatus.model_validate({"startTime": stored}).wire()["startTime"] == read


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        WorkflowExecutionStatus.model_validate({"startTime": "2026-01-02T03:04:05"})


def test_what_is_replaced_by_what_is_there_is_the_same_object() -> None:
    status = WorkflowExecutionStatus(phase=Phase.RUNNING, attempt=1, waiting_on=("a node",))
    assert status.replace(phase=Phase.RUNNING, waiting_on=("a node",)) is status
    changed = status.replace(phase=Phase.RUNNING, attempt=2)
    assert (changed.attempt, status.attempt) == (2, 1)


def test_a_field_that_there_is_not_is_not_replaced() -> None:
    with pytest.raises(TypeError, match="WorkflowExecutionStatus has no faze"):
        WorkflowExecutionStatus(phase=Phase.RUNNING).replace(phase=Phase.RUNNING, faze=Phase.RUNNING)


def test_modes_are_ordered_by_strength() -> None:
    assert sorted(Mode, key=lambda mode: mode.strength) == [Mode.CANCEL, Mode.FORCE, Mode.TERMINATE, Mode.KILL]


def test_exactly_the_five_ends_are_terminal() -> None:
    ends = [str(phase) for phase in Phase if phase.terminal]
    assert ends == ["Succeeded", "Failed", "TimedOut", "Cancelled", "Terminated"]
