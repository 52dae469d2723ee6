from __future__ import annotations

import copy
from typing import Any, cast

import pytest
from kubernetes import client

from desist.api.base import Opaque
from desist.api.execution import WorkflowExecution
from desist.api.workflow import WorkflowSpec
from desist.lifecycle.observed.questions import WantedPod
from desist.lifecycle.pod.manifest import pod_manifest, pod_name
from desist.lifecycle.pod.template import refusals
from desist.lifecycle.settings import LauncherDelivery, Settings

pytestmark = pytest.mark.side_by_side

RUN_ID = "01K0ZJ5S9N8D4C3B2A1QRSTVWX"
CONFINED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER = {"name": "workflow", "image": "busybox", "command": ["sleep", "60"], "securityContext": CONFINED}
SIDECAR = {"name": "proxy", "image": "busybox", "restartPolicy": "Always", "securityContext": CONFINED}
PREPARE = {"name": "prepare", "image": "busybox", "securityContext": CONFINED}
FIXED = {"limits": {"cpu": "100m", "memory": "32Mi"}, "requests": {"cpu": "100m", "memory": "32Mi"}}
READ_ONLY = {**CONFINED, "readOnlyRootFilesystem": True}


def template(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return copy.deepcopy({"spec": {"containers": [{**CONTAINER, **(container or {})}], **spec}})


def manifest(made: dict[str, Any], namespace: str, delivery: LauncherDelivery, **more: Any) -> dict[str, Any]:
    metadata = {
        "name": more.get("name", "order-123"),
        "namespace": namespace,
        "uid": "8a4b0b8e-5d0c-4a53-a2b1-0f6a1d4e9c11",
    }
    execution = WorkflowExecution.model_validate({"metadata": metadata, "spec": {"workflowRef": {"name": "fulfil"}}})
    settings = Settings(launcher_delivery=delivery)
    spec, arguments = WorkflowSpec(template=Opaque.of(made)), Opaque.of(more.get("arguments", {}))
    wanted = WantedPod(pod_name(metadata["name"], metadata["uid"], RUN_ID, 1), RUN_ID, 1)
    pod: dict[str, Any] = pod_manifest(execution, spec, arguments, wanted, settings).value
    return pod


def tried(core: client.CoreV1Api, body: dict[str, Any]) -> dict[str, Any]:
    """The pod as the API server would store it, by a dry-run create."""
    namespace = body["metadata"]["namespace"]
    pod = cast(client.V1Pod, body)  # The client takes plain objects too.
    answer = core.create_namespaced_pod(namespace, pod, dry_run="All", field_validation="Strict")
    stored: dict[str, Any] = client.ApiClient().sanitize_for_serialization(answer)
    return stored


TEMPLATES: list[tuple[str, dict[str, Any], str]] = [
    ("the smallest", template(), "BestEffort"),
    ("native sidecars and init containers", template(initContainers=[SIDECAR, PREPARE]), "BestEffort"),
    ("fixed resources", template({"resources": FIXED}), "Guaranteed"),
    ("requests alone", template({"resources": {"requests": {"cpu": "10m"}}}), "Burstable"),
    (
        "a sidecar with fixed resources too",
        template({"resources": FIXED}, initContainers=[{**SIDECAR, "resources": FIXED}]),
        "Guaranteed",
    ),
    ("a read-only root", template({"securityContext": READ_ONLY}), "BestEffort"),
    ("a short grace", template(terminationGracePeriodSeconds=1), "BestEffort"),
    ("no token", template(automountServiceAccountToken=False), "BestEffort"),
    ("Always, which is overridden", template(restartPolicy="Always"), "BestEffort"),
    ("Linux", template(os={"name": "linux"}), "BestEffort"),
    (
        "what an API server fills in",
        template({"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}),
        "BestEffort",
    ),
]


@pytest.mark.parametrize("delivery", LauncherDelivery)
@pytest.mark.parametrize(("made", "qos"), [case[1:] for case in TEMPLATES], ids=[case[0] for case in TEMPLATES])
def test_a_pod_is_accepted_at_level_restricted_and_keeps_its_qos_class(
    core: client.CoreV1Api, restricted: str, made: dict[str, Any], qos: str, delivery: LauncherDelivery
) -> None:
    assert refusals(made) == ()
    body = manifest(made, restricted, delivery)
    assert tried(core, body)["status"]["qosClass"] == qos


@pytest.mark.parametrize("delivery", LauncherDelivery)
def test_the_longest_name_and_the_largest_arguments_are_accepted(
    core: client.CoreV1Api, restricted: str, delivery: LauncherDelivery
) -> None:
    name = ".".join(["a" * 60] * 4) + "." + "b" * 9
    body = manifest(template(), restricted, delivery, name=name, arguments={"text": "ü" * 16_000})
    assert tried(core, body)["metadata"]["ownerReferences"][0]["name"] == name


def test_a_template_that_is_not_confined_is_refused_for_its_own_container_alone(
    core: client.CoreV1Api, restricted: str
) -> None:
    body = manifest(template({"securityContext": {}}), restricted, LauncherDelivery.INIT_CONTAINER)
    with pytest.raises(client.ApiException) as refused:
        tried(core, body)
    assert refused.value.status == 403
    assert 'container "workflow" must set' in str(refused.value.body).replace("\\", "")
    assert "desist-launcher" not in str(refused.value.body)
