"""The Helm release on the cluster (`desist` in `desist-system`): put away while the operator runs on the host.

Contract: `put_away` scales it to zero, waits until no pod of it is left, and gives how many replicas it had;
`put_back` restores them and waits until they are available. Where no release is installed both do nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubernetes import client, watch

NAMESPACE, DEPLOYMENT = "desist-system", "desist"


def put_away(api: Any) -> int:
    """Scale to zero; gives the replicas it had (0: there is none)."""
    apps: Any = client.AppsV1Api(api)
    try:
        replicas = int(apps.read_namespaced_deployment(DEPLOYMENT, NAMESPACE).spec.replicas or 0)
    except client.ApiException as error:
        if error.status == 404:
            return 0
        raise
    _scale(apps, 0)
    _wait(apps, lambda deployment: not deployment.status.replicas)
    _wait_for_pods_to_go(client.CoreV1Api(api))
    return replicas


def put_back(api: Any, replicas: int) -> None:
    """Scale to what it had, and wait until it is available."""
    if replicas:
        apps: Any = client.AppsV1Api(api)
        _scale(apps, replicas)
        _wait(apps, lambda deployment: (deployment.status.available_replicas or 0) >= replicas)


def log_lines(api: Any) -> list[str]:
    """The log of its pods; empty where there is none."""
    core: Any = client.CoreV1Api(api)
    pods = core.list_namespaced_pod(NAMESPACE, label_selector="app.kubernetes.io/name=desist").items
    texts = [core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE, tail_lines=2000) for pod in pods]
    return [line for text in texts for line in text.splitlines()]


def _scale(apps: Any, replicas: int) -> None:
    apps.patch_namespaced_deployment_scale(DEPLOYMENT, NAMESPACE, {"spec": {"replicas": replicas}})


def _wait(apps: Any, fits: Callable[[Any], bool]) -> None:
    selector = f"metadata.name={DEPLOYMENT}"
    stream: Any = watch.Watch().stream(
        apps.list_namespaced_deployment, NAMESPACE, field_selector=selector, timeout_seconds=90
    )
    for event in stream:
        deployment = event["object"]
        if deployment.status.observed_generation == deployment.metadata.generation and fits(deployment):
            return
    raise AssertionError(f"deployment {NAMESPACE}/{DEPLOYMENT} did not settle within 90 s")


def _wait_for_pods_to_go(core: Any) -> None:
    selector = "app.kubernetes.io/name=desist"
    listed = core.list_namespaced_pod(NAMESPACE, label_selector=selector)
    left = {pod.metadata.uid for pod in listed.items}
    if not left:
        return
    stream: Any = watch.Watch().stream(
        core.list_namespaced_pod,
        NAMESPACE,
        label_selector=selector,
        resource_version=listed.metadata.resource_version,
        timeout_seconds=60,
    )
    for event in stream:
        if event["type"] == "DELETED":
            left.discard(event["object"].metadata.uid)
            if not left:
                return
    raise AssertionError("the release's pods did not go within 60 s")
