"""The release as it runs: what its pod may do, what its account may do, and that it does nothing else."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client

from hack.cluster.api import processes_with
from hack.image import Images
from hack.image.release import CHART, KEY, NAMESPACE, RELEASE, SELECTOR, Client
from tests.cluster.chart.conftest import ACCOUNT, AuditEvent
from tests.support import programs
from tests.support.lab import Lab, template
from tests.support.logs import wait_until_started

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.usefixtures("release_images")


def test_the_controller_is_ready_in_a_namespace_of_level_restricted(
    api: Any, release_images: Images, desist_system: Client
) -> None:
    core: Any = client.CoreV1Api(api)
    labels = core.read_namespace(NAMESPACE).metadata.labels
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    (pod,) = core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR).items
    (status,) = pod.status.container_statuses
    assert status.ready
    ended = status.last_state.terminated
    # 255: the machine under it was brought up again; 0: it was told to stop, as where the API server was away for long.
    assert ended is None or ended.exit_code in (0, 255)
    assert pod.spec.containers[0].image == release_images.operator


def test_the_controller_has_no_user_no_shell_and_a_root_that_cannot_be_written(desist_system: Client) -> None:
    (process,) = processes_with("desist.controller")
    assert process.arguments == ("python3", "-m", "desist.controller")
    execute = ("exec", "deployment/desist", "--")
    assert desist_system.asks(*execute, "sh", "-c", "true") is None
    write = "import os; print(os.getuid(), os.access('/opt/desist', os.W_OK), os.access('/tmp', os.W_OK))"
    assert desist_system.kubectl(*execute, "python3", "-c", write).split() == ["65532", "False", "False"]


def test_everything_that_the_controller_imports_is_compiled(desist_system: Client) -> None:
    ask = (
        "import desist.controller.handlers, sys, os; "
        "print([m.__name__ for m in list(sys.modules.values()) "
        "if getattr(m, '__cached__', None) and m.__file__.endswith('.py') and not os.path.exists(m.__cached__)])"
    )
    assert desist_system.kubectl("exec", "deployment/desist", "--", "python3", "-c", ask).strip() == "[]"


def granted(kubectl: Kubectl, account: str) -> set[tuple[str, str]]:
    """(resource, verbs) of an account, as the API server lists them."""
    done = kubectl("auth", "can-i", "--list", "--no-headers", f"--as={account}")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    return {(row.split()[0], row[row.rindex("[") + 1 : row.rindex("]")]) for row in rows}


def test_the_controller_may_do_what_it_does_and_nothing_else(kubectl: Kubectl) -> None:
    anyone = granted(kubectl, "system:serviceaccount:default:nobody")
    assert granted(kubectl, ACCOUNT) - anyone == {
        ("workflows.desist.dev", "get list watch"),
        ("workflowexecutions.desist.dev", "get list watch"),
        ("workflows.desist.dev/status", "update"),
        ("workflowexecutions.desist.dev/status", "update"),
        ("operations.desist.dev", "get list watch"),
        ("operations.desist.dev/status", "update"),
        ("pods", "get list watch create patch delete"),
        ("nodes", "get list watch"),
        ("events.events.k8s.io", "create"),
    }


def test_starts_and_stops_use_every_right_to_write_and_are_refused_none(
    lab: Lab, audited: Callable[[], list[AuditEvent]]
) -> None:
    lab.workflow("sleeps", {"template": template(["sleep", "3600"])})
    runs = lab.start(programs.WORKS)
    pulls = lab.create({"workflowSpec": {"template": _without_image()}})
    wait_until_started(runs)
    pulls.wait_for(lambda held: any(process.get("pod") for process in held.get("status", {}).get("processes", ())))
    runs.stop("Kill", gracePeriodSeconds=1)
    pulls.stop("Cancel")
    assert [runs.wait_for("Cancelled"), pulls.wait_for("Cancelled")]
    # Namespaces of tests that are over may still be ending, and the operations in them.
    events = [event for event in audited() if not _is_of_another(lab, event)]
    refused = [event for event in events if event["annotations"].get("authorization.k8s.io/decision") != "allow"]
    assert refused == []
    assert {_what(event) for event in events} == {
        ("workflows/status", "update"),
        ("workflowexecutions/status", "update"),
        ("pods", "create"),
        ("pods", "patch"),
        ("pods", "delete"),
    }


def _is_of_another(lab: Lab, event: AuditEvent) -> bool:
    namespace: str = event["objectRef"].get("namespace", "")
    return namespace.startswith("t-") and namespace != lab.name


def _without_image() -> dict[str, Any]:
    made = template(["sleep", "3600"])
    made["spec"]["containers"][0] |= {"image": "localhost/nobody-has-this:1", "imagePullPolicy": "Never"}
    return made


def _what(event: AuditEvent) -> tuple[str, str]:
    asked = event["objectRef"]
    return "/".join(filter(None, (asked["resource"], asked.get("subresource")))), event["verb"]


def volumes_and_init_containers(lab: Lab) -> tuple[bool, list[str]]:
    """Start a run; whether an image is mounted in its pod, and its init containers."""
    execution = lab.start(programs.FINISHES)
    execution.wait_for("Succeeded")
    (pod,) = lab.core.api_client.sanitize_for_serialization(execution.pods())
    return any("image" in volume for volume in pod["spec"]["volumes"]), [
        container["name"] for container in pod["spec"].get("initContainers", [])
    ]


def test_the_launcher_comes_by_an_image_volume_where_the_cluster_can_and_as_the_chart_fixes_it(
    lab: Lab, desist_system: Client, release_restored: None
) -> None:
    assert volumes_and_init_containers(lab) == (True, [])
    # Without the key of this checkout's release, which is brought back at the end.
    other_key = "controller.deploymentAnnotations." + KEY.replace(".", r"\.") + "=none"
    fixed = ("--set", "launcher.delivery=InitContainer", "--set", other_key)
    old = desist_system.kubectl("get", "pods", "--selector", SELECTOR, "--output=jsonpath={.items[0].metadata.labels}")
    desist_system.helm("upgrade", RELEASE, str(CHART), "--reuse-values", *fixed)
    desist_system.kubectl("rollout", "status", f"deployment/{RELEASE}", "--timeout=60s")
    # A rollout is over when the new pod is ready; until the old one is gone it may take a start.
    template_hash = f"pod-template-hash={json.loads(old)['pod-template-hash']}"
    desist_system.kubectl("wait", "pod", "--selector", template_hash, "--for=delete", "--timeout=60s")
    assert volumes_and_init_containers(lab) == (False, ["desist-launcher"])


MAY: list[tuple[str, str, str, bool]] = [
    ("view", "get", "workflowexecutions", True),
    ("view", "watch", "workflows", True),
    ("view", "patch", "workflowexecutions", False),
    ("edit", "create", "workflowexecutions", True),
    ("edit", "patch", "workflowexecutions", True),
    ("edit", "delete", "workflowexecutions", False),
    ("edit", "patch", "workflows", False),
    ("edit", "update", "workflowexecutions/status", False),
    ("admin", "delete", "workflowexecutions", True),
    ("admin", "create", "workflows", True),
    ("admin", "update", "workflowexecutions/status", False),
    ("view", "watch", "operations", True),
    ("view", "patch", "operations", False),
    ("edit", "patch", "operations", True),
    ("edit", "cancel", "operations", True),
    ("edit", "kill", "operations", True),
    ("edit", "create", "operations", False),
    ("admin", "kill", "operations", True),
    ("admin", "create", "operations", False),
    ("admin", "delete", "operations", False),
    ("admin", "deletecollection", "operations", False),
    ("admin", "update", "operations/status", False),
    ("desist-workflow", "create", "operations", True),
    ("desist-workflow", "patch", "operations", True),
    ("desist-workflow", "update", "operations", False),
    ("desist-workflow", "delete", "operations", False),
    ("desist-workflow", "cancel", "operations", False),
    ("desist-workflow", "patch", "operations/status", False),
    ("desist-workflow", "get", "workflowexecutions", False),
    ("desist-viewer", "list", "workflowexecutions", True),
    ("desist-viewer", "get", "pods", False),
    ("desist-operator", "patch", "workflowexecutions", True),
    ("desist-operator", "delete", "workflowexecutions", False),
    ("desist-admin", "deletecollection", "workflowexecutions", True),
    ("desist-admin", "get", "pods", False),
]


def test_people_may_do_what_their_role_says(lab: Lab, api: Any, kubectl: Kubectl) -> None:
    rbac: Any = client.RbacAuthorizationV1Api(api)
    for role in {role for role, *_ in MAY}:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": f"{lab.name}-{role}"}]
        body = {"metadata": {"name": role}, "roleRef": reference, "subjects": subjects}
        rbac.create_namespaced_role_binding(lab.name, body)
    _wait_until_bound(api, lab.name)
    assert [(*asked, _may(api, lab.name, *asked)) for *asked, _ in MAY] == MAY


def _wait_until_bound(api: Any, namespace: str) -> None:
    """Until each role gives what it gives: a binding says nowhere that it is in force."""
    end = time.monotonic() + 30
    while missing := [asked for *asked, may in MAY if may and not _may(api, namespace, *asked)]:
        assert time.monotonic() < end, f"not given: {missing}"
        time.sleep(0.05)


def _may(api: Any, namespace: str, role: str, verb: str, resource: str) -> bool:
    kind, _, subresource = resource.partition("/")
    group = "" if kind == "pods" else "desist.dev"
    asked = {"namespace": namespace, "verb": verb, "group": group, "resource": kind, "subresource": subresource}
    body = {"spec": {"user": f"{namespace}-{role}", "resourceAttributes": asked}}
    authorization: Any = client.AuthorizationV1Api(api)
    return bool(authorization.create_subject_access_review(body).status.allowed)
