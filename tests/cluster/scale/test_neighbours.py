"""One namespace's broken admission and its stops do not delay another's stops."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest
from kubernetes import client

from hack.bench.crowd import EXECUTIONS, Crowd, body, stalled, template
from hack.bench.hanging import HangingWebhook
from tests.support import programs
from tests.support.lab import Execution, Lab
from tests.support.logs import wait_until_started
from tests.support.operator_process import OperatorProcess

pytestmark = pytest.mark.conformance("J5")

STALLS, STOPS = 300, 500
GRACE = 2
BOUND = 30.0
"""Seconds that a Kill with that grace, or a Cancel that becomes one after a second, may take in all on a busy machine:
without trouble it is about 4, and 12 where a kubelet is so late that its pod is deleted. With the trouble let through
it was minutes."""


def deaf(lab: Lab) -> Execution:
    execution = lab.start(programs.DEAF)
    wait_until_started(execution)
    return execution


def test_starts_that_hang_in_a_webhook_delay_no_stop_of_another_namespace(
    host_operator: OperatorProcess, api: Any, troubled: str, crowd: Crowd, neighbour: Lab
) -> None:
    killed, escalated = deaf(neighbour), deaf(neighbour)
    with HangingWebhook(api, troubled):
        crowd.create(body(f"hangs-{number}", template(), number) for number in range(STALLS))
        host_operator.wait_for_line("comes later", 30)
        asked = time.monotonic()
        killed.stop("Kill", gracePeriodSeconds=GRACE)
        escalated.stop("Cancel", killAfterSeconds=1, gracePeriodSeconds=GRACE)
        for execution in (killed, escalated):
            execution.wait_for("Cancelled")
        took = time.monotonic() - asked
    assert "KillCancelling" in escalated.phases()
    assert not killed.processes() and not escalated.processes()
    assert took < BOUND


def test_a_start_that_hangs_is_said_to_hang_and_can_be_cancelled(
    host_operator: OperatorProcess, api: Any, neighbour: Lab
) -> None:
    with HangingWebhook(api, neighbour.name):
        hanging = neighbour.start(programs.DEAF)
        seen = hanging.wait_for(lambda held: _stalled(held) is not None)
        assert "hangs.example.test" in (_stalled(seen.object) or "")
        hanging.stop("Cancel")
        hanging.wait_for("Cancelled")
    assert hanging.pods() == []


def test_an_execution_whose_admission_is_mended_starts(
    host_operator: OperatorProcess, api: Any, neighbour: Lab
) -> None:
    with HangingWebhook(api, neighbour.name):
        hanging = neighbour.start(programs.WORKS)
        hanging.wait_for(lambda held: _stalled(held) is not None)
    hanging.wait_for("Running")
    hanging.stop("Force")
    hanging.wait_for("Cancelled")


def test_stops_of_one_namespace_and_another_take_turns(
    host_operator: OperatorProcess, api: Any, troubled: str, crowd: Crowd, neighbour: Lab
) -> None:
    """The operator finds all of them unanswered; the neighbour's is the last that any list shows."""
    killed = deaf(neighbour)
    host_operator.stop()
    try:
        kill = {"cancellation": {"mode": "Kill"}}
        crowd.create(body(f"stop-{number}", stalled(), number, **kill) for number in range(STOPS))
        killed.stop("Kill", gracePeriodSeconds=GRACE)
    finally:
        host_operator.start()
    killed.wait_for("Cancelled")
    accepted = _accepted(killed.get())
    assert accepted is not None
    before = [moment for moment in _all_accepted(api, troubled) if moment < accepted]
    assert len(before) < STOPS / 10, f"{len(before)} of {STOPS} were judged before the neighbour's"


def _stalled(held: dict[str, Any]) -> str | None:
    """The message of a condition Stalled that is True."""
    conditions = held.get("status", {}).get("conditions", ())
    return next((c["message"] for c in conditions if c["type"] == "Stalled" and c["status"] == "True"), None)


def _accepted(held: dict[str, Any]) -> datetime | None:
    """When its first command was accepted."""
    commands = held.get("status", {}).get("commands", ())
    return datetime.fromisoformat(commands[0]["acceptedAt"]) if commands else None


def _all_accepted(api: Any, namespace: str) -> list[datetime]:
    custom: Any = client.CustomObjectsApi(api)
    kind = (EXECUTIONS.group, EXECUTIONS.version, namespace, EXECUTIONS.plural)
    items = custom.list_namespaced_custom_object(*kind)["items"]
    return [moment for held in items if (moment := _accepted(held)) is not None]
