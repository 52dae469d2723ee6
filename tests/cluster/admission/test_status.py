"""Only the operator writes status; an account for restores too, where the chart's values name it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hack.image.release import HOST_OPERATOR, RESTORER
from tests.cluster.admission.accounts import MALLORY, Account, Answer, acting_as
from tests.cluster.chart.conftest import ACCOUNT
from tests.support import release
from tests.support.lab import Execution, Lab, phase_of, template

pytestmark = pytest.mark.conformance("I6")

API = "/apis/desist.dev/v1alpha1/namespaces"
ENDED = {"phase": "Succeeded"}


def path_to(lab: Lab, kind: str, name: str = "", subresource: str = "") -> str:
    return "/".join(filter(None, (API, lab.name, kind, name, subresource)))


def refused(answer: Answer) -> bool:
    """Whether it was refused by the policy, with words that say what, who may, who asked and what to do."""
    words = ("status is written only by", ACCOUNT, HOST_OPERATOR, RESTORER, f"{MALLORY} may not", "spec.cancellation")
    assert answer.status == 403, answer
    assert all(word in answer.message for word in (*words, "admission.statusWriters")), answer.message
    return True


@pytest.fixture(scope="module")
def listed(room: Lab) -> Any:
    """A Workflow."""
    return room.workflow("listed", {"template": template(["true"])})


@pytest.mark.parametrize("how", ["put", "json", "merge", "apply"])
def test_nobody_else_ends_a_run_by_writing_its_status(mallory: Account, running: Execution, how: str) -> None:
    held = running.get()
    ended = held | {"status": held["status"] | ENDED}
    bodies: dict[str, Any] = {
        "put": ended,
        "json": [{"op": "replace", "path": "/status/phase", "value": "Succeeded"}],
        "merge": {"status": ENDED},
        "apply": {"apiVersion": held["apiVersion"], "kind": held["kind"], "status": ENDED},
    }
    path = path_to(running.lab, "workflowexecutions", running.name, "status")
    assert refused(mallory.ask("PUT" if how == "put" else "PATCH", path, bodies[how], how))
    assert phase_of(running.get()) == "Running"


@pytest.mark.parametrize("how", ["put", "json", "merge", "apply"])
def test_nobody_else_writes_a_workflows_status(mallory: Account, room: Lab, listed: Any, how: str) -> None:
    status = {"observedGeneration": 7}
    bodies: dict[str, Any] = {
        "put": listed | {"metadata": {"name": "listed"}, "status": status},
        "json": [{"op": "add", "path": "/status", "value": status}],
        "merge": {"status": status},
        "apply": {"apiVersion": listed["apiVersion"], "kind": listed["kind"], "status": status},
    }
    path = path_to(room, "workflows", "listed", "status")
    answer = Answer(409, {})
    # The operator writes it too, when it is new.
    while answer.status == 409:
        bodies["put"]["metadata"] = mallory.ask("GET", path).body["metadata"]
        answer = mallory.ask("PUT" if how == "put" else "PATCH", path, bodies[how], how)
    assert refused(answer)


@pytest.mark.parametrize("how", ["put", "json", "merge", "apply"])
def test_status_that_comes_with_a_change_of_the_spec_is_dropped(mallory: Account, running: Execution, how: str) -> None:
    held = running.get()
    meta = {"name": running.name, "labels": {"touched-by": how}}
    bodies: dict[str, Any] = {
        "put": held | {"metadata": held["metadata"] | {"labels": meta["labels"]}, "status": held["status"] | ENDED},
        "json": [
            {"op": "add", "path": "/metadata/labels", "value": meta["labels"]},
            {"op": "replace", "path": "/status/phase", "value": "Succeeded"},
        ],
        "merge": {"metadata": {"labels": meta["labels"]}, "status": ENDED},
        "apply": {"apiVersion": held["apiVersion"], "kind": held["kind"], "metadata": meta, "status": ENDED},
    }
    path = path_to(running.lab, "workflowexecutions", running.name)
    answer = mallory.ask("PUT" if how == "put" else "PATCH", path, bodies[how], how)
    assert answer.status == 200, answer.message
    assert answer.body["metadata"]["labels"]["touched-by"] == how
    assert answer.body["status"]["phase"] == "Running"


@pytest.fixture
def paused(api: Any, mallory: Account) -> Iterator[None]:
    """No operator runs, as in a restore; afterwards it does."""
    replicas = release.put_away(api)
    yield
    release.put_back(api, replicas)


def test_a_restore_brings_an_ended_run_back_and_nothing_starts(
    mallory: Account, lab: Lab, api: Any, paused: None
) -> None:
    restorer = acting_as(RESTORER)
    saved = {
        "apiVersion": "desist.dev/v1alpha1",
        "kind": "WorkflowExecution",
        "metadata": {"name": "old"},
        "spec": {"workflowSpec": {"template": template(["sleep", "60"])}},
        "status": {"phase": "Succeeded", "runId": "01JZZZZZZZZZZZZZZZZZZZZZZZ", "runNumber": 1, "attempt": 1},
    }
    made = restorer.ask("POST", path_to(lab, "workflowexecutions"), saved)
    assert made.status == 201, made.message
    assert "status" not in made.body, "a status that comes with a new object is dropped, whoever sends it"
    written = made.body | {"status": saved["status"]}
    path = path_to(lab, "workflowexecutions", "old", "status")
    assert refused(mallory.ask("PUT", path, written))
    assert restorer.ask("PUT", path, written).status == 200
    # A sign that the operator has looked at what is there: one that was made later has run.
    release.put_back(api, 1)
    later = lab.create({"workflowSpec": {"template": template(["true"])}})
    later.wait_for("Succeeded")
    assert mallory.ask("GET", path_to(lab, "workflowexecutions", "old")).body["status"]["phase"] == "Succeeded"
    owners = [pod.metadata.owner_references[0].name for pod in lab.core.list_namespaced_pod(lab.name).items]
    assert owners == [later.name]
