"""Objects as large as they may be, and larger: the real API server stores them, and every stop of them arrives."""

from __future__ import annotations

from typing import Any

import pytest

from desist.lifecycle.pod.limits import ARGUMENTS_BYTES, TEMPLATE_BYTES, stored_size
from tests.support import programs
from tests.support.lab import PATIENCE, Lab, condition, template
from tests.support.logs import wait_until_started
from tests.support.watching import Object, Recorder

pytestmark = [pytest.mark.conformance("J5"), pytest.mark.usefixtures("host_operator")]

EMOJI = "\U0001f600"
VARIABLE = 100_000
"""Bytes of one environment variable; Linux takes 128 KiB."""


def filled(bare: dict[str, Any], size: int, character: str = EMOJI) -> dict[str, Any]:
    """The template with variables that make it that large, as the API server stores it."""
    variables: list[dict[str, str]] = []
    bare["spec"]["containers"][0]["env"] = variables
    each = stored_size(character) - 2
    while (left := size - stored_size(bare)) > 0:
        if left < 40:
            variables[-1]["value"] += "x" * left
            break
        variables.append({"name": f"V{len(variables)}", "value": ""})
        room = min(size - stored_size(bare), VARIABLE)
        variables[-1]["value"] = character * (room // each) if room >= each else "x" * room
    assert stored_size(bare) == size
    return bare


@pytest.mark.parametrize("character", [EMOJI, "<"], ids=["four-byte characters", "escapes"])
def test_the_largest_execution_that_is_allowed_lives_and_is_killed(lab: Lab, character: str) -> None:
    marker = f"mark-large-{ord(character)}"
    command = programs.command(programs.DEAF, marker)
    spec = {
        "workflowSpec": {"template": filled(template(command), TEMPLATE_BYTES, character)},
        "arguments": {"a": EMOJI * ((ARGUMENTS_BYTES - 8) // 4)},
    }
    assert stored_size(spec["arguments"]) == ARGUMENTS_BYTES
    execution = lab.create(spec, marker)
    wait_until_started(execution)
    for number in range(12):
        text = f"{number:02}" + EMOJI * 511
        execution.stop("Cancel", reason=text[:511], details=text[:511], requestId=str(number))
        execution.wait_for(lambda held, count=number + 1: held.get("status", {}).get("commandCount") == count)  # type: ignore[misc]
    execution.stop("Kill", reason=EMOJI * 511, details=EMOJI * 511, gracePeriodSeconds=1)
    status = execution.wait_for("Cancelled").object["status"]
    assert status["commands"][-1]["reason"] == EMOJI * 511
    assert status["arguments"] == spec["arguments"]
    assert not execution.processes()


@pytest.mark.parametrize("size", [TEMPLATE_BYTES + 1, 800_000, 1_300_000])
def test_a_template_that_is_too_large_is_said_and_its_stop_is_answered(lab: Lab, size: int) -> None:
    # What takes a byte on its way takes six where it is stored: the API server takes no request above 3 MiB.
    execution = lab.create({"workflowSpec": {"template": filled(template(["a"]), size, "<")}})
    seen = execution.wait_for(lambda held: condition(held, "Stalled").get("status") == "True")
    stalled = condition(seen.object, "Stalled")
    assert stalled["reason"] == "TemplateRefused"
    assert f"{size} bytes" in stalled["message"]
    assert str(TEMPLATE_BYTES) in stalled["message"]
    execution.stop("Kill", reason="why")
    execution.wait_for("Cancelled")
    assert len(execution.history()) <= 5, "it is written once a change"


def test_arguments_that_are_too_large_are_said_and_become_right(lab: Lab) -> None:
    marker = "mark-arguments"
    workflow = {"template": template(programs.command(programs.WORKS, marker))}
    execution = lab.create({"workflowSpec": workflow, "arguments": {"a": "<" * 6_000}}, marker)
    seen = execution.wait_for(lambda held: condition(held, "Stalled").get("reason") == "ArgumentsRefused")
    assert str(ARGUMENTS_BYTES) in condition(seen.object, "Stalled")["message"]
    execution.patch({"arguments": {"a": "x" * 6_000}})
    execution.wait_for("Running")
    execution.stop("Force")
    execution.wait_for("Cancelled")


def test_a_workflow_whose_template_is_too_large_is_not_ready_and_keeps_its_executions_from_starting(lab: Lab) -> None:
    large = lab.workflow("large", {"template": filled(template(["a"]), TEMPLATE_BYTES + 1)})
    execution = lab.create({"workflowRef": {"name": "large"}})
    seen = execution.wait_for(lambda held: condition(held, "Stalled").get("reason") == "TemplateRefused")
    assert "the Workflow's spec.template" in condition(seen.object, "Stalled")["message"]
    # The Workflow is judged for itself, perhaps after what needs it.
    ready = condition(judged(lab, large), "Ready")
    assert ready["reason"] == "TemplateRefused"
    assert f"{TEMPLATE_BYTES + 1} bytes" in ready["message"]


def judged(lab: Lab, workflow: Object) -> Object:
    """The Workflow, as soon as it says whether it is ready."""
    recorder = Recorder(lab.custom, lab.name, "workflows")
    recorder.start()
    seen = recorder.wait(workflow["metadata"]["uid"], lambda seen: bool(condition(seen.object, "Ready")), PATIENCE)
    recorder.stop()
    assert seen is not None, f"it was not judged within {PATIENCE} s"
    return seen.object
