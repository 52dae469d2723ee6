"""The Helm release on the cluster (`desist` in `desist-system`): put away while the operator runs on the host.

Contract: `put_away` scales it to zero and returns when no pod of it is left; `put_back` scales it to one and returns
when that is available. Where it is so already, or no release is installed, both do nothing. Modules do not restore what
they found: the next one asks for what it needs, and the end of the run puts the release back. Restoring it after each
module cost 6 s a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubernetes import client, watch

NAMESPACE, DEPLOYMENT = "desist-system", "desist"


def put_away(api: Any) -> None:
    """Scale to zero, and wait until its pods are gone."""
    apps: Any = client.AppsV1Api(api)
    if _replicas(apps):
        _scale(apps, 0)
        _wait(apps, lambda deployment: not deployment.status.replicas)
    _wait_for_pods_to_go(client.CoreV1Api(api))


def put_back(api: Any) -> None:
    """Scale to one, and wait until it is available."""
    apps: Any = client.AppsV1Api(api)
    if _replicas(apps) == 0:
        _scale(apps, 1)
        _wait(apps, lambda deployment: (deployment.status.available_replicas or 0) >= 1)


def _replicas(apps: Any) -> int | None:
    """How many it should have; None where there is none."""
    try:
        return int(apps.read_namespaced_deployment(DEPLOYMENT, NAMESPACE).spec.replicas or 0)
    except client.ApiException as error:
        if error.status == 404:
            return None
        raise


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
