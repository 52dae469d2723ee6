"""The release with its policies, once the API server enforces them; and an admin who is no operator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from tests.cluster.admission.accounts import DRY, MALLORY, Account, acting_as
from tests.cluster.admission.processes import Process
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
def policies(release_operator: Any) -> None:
    """Those of the installed release."""


@pytest.fixture(scope="module")
def mallory(policies: None) -> Account:
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
def room(api: Any, policies: None, request: pytest.FixtureRequest) -> Iterator[Lab]:
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


@pytest.fixture(scope="module")
def team(room: Lab, kubectl: Any, mallory: Account) -> Lab:
    """The same namespace, where workflow processes may ask for operations: by the command that the documents name."""
    allow_workflows(kubectl, room)
    return room


def allow_workflows(kubectl: Any, lab: Lab, of: Lab | None = None, by: str = "") -> None:
    """What docs/permission.md says to do; for the service accounts `of` another namespace, done `by` another user."""
    group = f"system:serviceaccounts:{(of or lab).name}"
    role = (
        "--clusterrole=desist-workflow",
        f"--group={group}",
        f"--namespace={lab.name}",
        *([f"--as={by}"] if by else []),
    )
    bound = kubectl("create", "rolebinding", f"desist-workflow-{(of or lab).name}", *role)
    assert bound.returncode == 0, bound.stderr
    wait_until_allowed(lab, "create", groups=[group])


def wait_until_allowed(lab: Lab, verb: str, **who: Any) -> None:
    """Until the API server has taken the binding in."""
    operations = {"namespace": lab.name, "group": "desist.dev", "resource": "operations"}
    wait_for_right(lab.api, {"verb": verb, **operations}, **who)


def wait_for_right(api: Any, asked: dict[str, str], **who: Any) -> None:
    """Until the API server has taken in the binding by which they may do that."""
    authorization: Any = client.AuthorizationV1Api(api)
    body = {"spec": {"resourceAttributes": asked, **who}}
    end = time.monotonic() + 30
    while not authorization.create_subject_access_review(body).status.allowed:
        assert time.monotonic() < end, f"{who} may not {asked}"
        time.sleep(0.05)  # a binding says nowhere that it is in force


def bind(lab: Lab, user: str, role: str) -> None:
    """Give the user that cluster role in the namespace."""
    rbac: Any = client.RbacAuthorizationV1Api(lab.api)
    group = "rbac.authorization.k8s.io"
    body = {
        "metadata": {"name": f"{user}-{role}"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
    rbac.create_namespaced_role_binding(lab.name, body)
    wait_until_allowed(lab, "get", user=user)


@pytest.fixture(scope="module")
def process(team: Lab, running: Execution) -> Process:
    """The workflow process of `running`, of attempt 1."""
    return process_of(running)


@pytest.fixture(scope="module")
def next_attempt(team: Lab, process: Process) -> Process:
    """A pod called as attempt 2 of the same run would be; no policy sees more of a pod than its name."""
    return Process.of(team, named_pod(team, process.pod.removesuffix("-1") + "-2"))


@pytest.fixture(scope="module")
def of_another_run(team: Lab) -> Process:
    """The workflow process of another execution in the same namespace, under the same service account."""
    return process_of(team.start(programs.WORKS))


def process_of(execution: Execution) -> Process:
    """Of the only pod that the execution has, as soon as it is there."""
    execution.wait_for(lambda held: any(p.get("podUid") for p in held.get("status", {}).get("processes", ())))
    (held,) = execution.pods()
    return Process.of(execution.lab, held)


def named_pod(lab: Lab, name: str) -> Any:
    """A pod of that name, made by hand, that no node ever gets."""
    body = pod(name)
    body["spec"]["schedulerName"] = "nobody"
    return lab.core.create_namespaced_pod(lab.name, body)
