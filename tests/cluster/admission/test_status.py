"""Only the operator writes status, by whatever verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.admission.accounts import Account, Answer, identity, path_to, status_refused
from tests.support.lab import Execution, Lab, phase_of, template

pytestmark = pytest.mark.conformance("I6")

HOW = ("put", "json", "merge", "apply")
ENDED = {"phase": "Succeeded"}
Body = Callable[[dict[str, Any]], Any]


def tried(account: Account, how: str, path: str, body: Body) -> Answer:
    """What is answered to a write of `body` of what is there; again where the operator has just written."""
    while True:
        held = account.ask("GET", path).body
        answer = account.ask("PUT" if how == "put" else "PATCH", path, body(held), how)
        if answer.status != 409:
            return answer


def of_status(how: str, status: dict[str, Any]) -> Body:
    """A write of these fields of the status."""
    bodies: dict[str, Body] = {
        "put": lambda held: held | {"status": held.get("status", {}) | status},
        "json": lambda held: [{"op": "add", "path": "/status", "value": held.get("status", {}) | status}],
        "merge": lambda held: {"status": status},
        "apply": lambda held: identity(held) | {"status": status},
    }
    return bodies[how]


@pytest.fixture(scope="module")
def listed(room: Lab) -> str:
    """The name of a Workflow."""
    room.workflow("listed", {"template": template(["true"])})
    return "listed"


@pytest.mark.parametrize("how", HOW)
def test_nobody_else_ends_a_run_by_writing_its_status(mallory: Account, running: Execution, how: str) -> None:
    path = path_to(running.lab, "workflowexecutions", running.name, "status")
    assert status_refused(tried(mallory, how, path, of_status(how, ENDED)))
    assert phase_of(running.get()) == "Running"


@pytest.mark.parametrize("how", HOW)
def test_nobody_else_writes_a_workflows_status(mallory: Account, room: Lab, listed: str, how: str) -> None:
    path = path_to(room, "workflows", listed, "status")
    assert status_refused(tried(mallory, how, path, of_status(how, {"observedGeneration": 7})))


@pytest.mark.parametrize("how", HOW)
def test_status_that_comes_with_a_change_of_the_rest_is_dropped(mallory: Account, running: Execution, how: str) -> None:
    labels = {"touched-by": how}
    bodies: dict[str, Body] = {
        "put": lambda held: held | {"metadata": held["metadata"] | {"labels": labels}, "status": ENDED},
        "json": lambda held: [
            {"op": "add", "path": "/metadata/labels", "value": labels},
            {"op": "replace", "path": "/status/phase", "value": "Succeeded"},
        ],
        "merge": lambda held: {"metadata": {"labels": labels}, "status": ENDED},
        "apply": lambda held: identity(held) | {"metadata": {"labels": labels}, "status": ENDED},
    }
    path = path_to(running.lab, "workflowexecutions", running.name)
    answer = tried(mallory, how, path, bodies[how])
    assert answer.status == 200, answer.message
    assert answer.body["metadata"]["labels"]["touched-by"] == how
    assert answer.body["status"]["phase"] == "Running"
