"""The release with its policies, once the API server enforces them; and an admin who is no operator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.admission.accounts import DRY, MALLORY, Account, acting_as
from tests.support import programs
from tests.support.lab import Execution, Lab
from tests.support.logs import wait_until_started
from tests.support.spaces import shared


def pod(name: str, **metadata: Any) -> dict[str, Any]:
    """A pod that anybody could make, with this metadata."""
    container = {"name": "a", "image": programs.WORKLOAD, "command": ["sleep", "60"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


@pytest.fixture(scope="module")
def mallory(release_operator: Any) -> Account:
    """An admin who is no operator, as soon as the policies bite: a new one takes about a second."""
    account = acting_as(MALLORY)
    forged, body = "/api/v1/namespaces/default/pods", pod("forged", labels={"desist.dev/execution-uid": "x"})
    wfx = "/apis/desist.dev/v1alpha1/namespaces/default/workflowexecutions/none/status"
    end = time.monotonic() + 30
    while (said := account.ask("POST", forged, body, **DRY)).status != 403:
        assert time.monotonic() < end, f"the policies are not enforced: {said}"
        time.sleep(0.2)  # a policy says nowhere that it is in force
    assert account.ask("PATCH", wfx, {"status": {}}, "merge").status in (403, 404)
    return account


@pytest.fixture(scope="module")
def room(api: Any, release_operator: Any, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A namespace that the tests of a module share."""
    with shared(request, api) as lab:
        yield lab


@pytest.fixture(scope="module")
def running(room: Lab) -> Execution:
    """An execution that runs while others try to change its pod."""
    execution = room.start(programs.WORKS)
    wait_until_started(execution)
    return execution


@pytest.fixture(scope="module")
def attacked(running: Execution) -> dict[str, Any]:
    """The running pod, with one more annotation of ours, so that there is one to change and to take off."""
    lab = running.lab
    (held,) = running.pods()
    body = {"metadata": {"annotations": {"desist.dev/tried": "1"}}}
    lab.core.patch_namespaced_pod(held.metadata.name, lab.name, body)
    found: dict[str, Any] = lab.api.sanitize_for_serialization(
        lab.core.read_namespaced_pod(held.metadata.name, lab.name)
    )
    return found | {"apiVersion": "v1", "kind": "Pod"}
