"""Status comes back from a backup by an account that the chart's values name for that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hack.image.release import RESTORER
from tests.cluster.admission.accounts import Account, acting_as, path_to, status_refused
from tests.support import release
from tests.support.lab import Lab, template

pytestmark = [pytest.mark.conformance("I6"), pytest.mark.alone]


@pytest.fixture
def paused(api: Any, mallory: Account) -> Iterator[None]:
    """No operator runs, as in a restore; afterwards it does."""
    release.put_away(api)
    yield
    release.put_back(api)


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
    assert status_refused(mallory.ask("PUT", path, written))
    assert restorer.ask("PUT", path, written).status == 200
    # A sign that the operator has looked at what is there: one that was made later has run.
    release.put_back(api)
    later = lab.create({"workflowSpec": {"template": template(["true"])}})
    later.wait_for("Succeeded")
    assert mallory.ask("GET", path_to(lab, "workflowexecutions", "old")).body["status"]["phase"] == "Succeeded"
    owners = [pod.metadata.owner_references[0].name for pod in lab.core.list_namespaced_pod(lab.name).items]
    assert owners == [later.name]
