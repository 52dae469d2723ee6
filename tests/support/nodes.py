"""Nodes: waited for on a watch, tainted, removed, and put back as they were.

Contract: `wait_for_ready` returns the time from which the API server says so, which may be before the kubelet died: it
takes the API server most of a minute to doubt a kubelet. `wait_for_return` returns when the kubelet that runs now has
spoken, and pods are scheduled there. `put_back` makes a Node object again with
its old name, labels and pod range, so that the cluster's network is what it was; its kubelet fills in the rest.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubernetes import client, watch

from hack.cluster.api import kubelet_since
from tests.support.watching import Object

TAINTS = "node.kubernetes.io/"
OUT_OF_SERVICE = f"{TAINTS}out-of-service"


def wait_for_ready(core: Any, name: str, ready: bool, seconds: int = 120) -> datetime:
    """Until the node is Ready, or is not; gives since when (the API server's word). Fails where it does not come."""
    stream: Any = watch.Watch().stream(
        core.list_node, field_selector=f"metadata.name={name}", timeout_seconds=seconds, _request_timeout=seconds + 5
    )
    for event in stream:
        since = _since(event["object"], ready)
        if since is not None:
            return since
    raise AssertionError(f"node {name} did not become {'Ready' if ready else 'not Ready'} within {seconds} s")


def _since(node: Any, ready: bool) -> datetime | None:
    condition = next((c for c in node.status.conditions or () if c.type == "Ready"), None)
    fits = condition is not None and (condition.status == "True") is ready
    since: datetime | None = condition.last_transition_time if condition is not None and fits else None
    return since


def wait_for_return(core: Any, name: str, seconds: int = 120) -> None:
    """Until the kubelet that runs now says Ready, and no taint of a lost node is left. Fails where it does not come.

    A kubelet that starts is not Ready for a moment, and what is made in that moment goes elsewhere where it only
    prefers this node. So a Ready from before its start is not enough.
    """
    started = kubelet_since(name)
    stream: Any = watch.Watch().stream(
        core.list_node, field_selector=f"metadata.name={name}", timeout_seconds=seconds, _request_timeout=seconds + 5
    )
    if not any(_is_back(event["object"], started) for event in stream):
        raise AssertionError(f"node {name} did not come back within {seconds} s")


def _is_back(node: Any, started: datetime) -> bool:
    ready = next((c for c in node.status.conditions or () if c.type == "Ready"), None)
    heard = ready is not None and ready.status == "True" and ready.last_heartbeat_time >= started
    return heard and not any(taint.key.startswith(TAINTS) for taint in node.spec.taints or ())


def put_out_of_service(core: Any, name: str) -> None:
    """The taint by which an administrator says that nothing runs there (without evicting anything)."""
    taints = core.api_client.sanitize_for_serialization(core.read_node(name))["spec"].get("taints", [])
    ours = {"key": OUT_OF_SERVICE, "value": "nodeshutdown", "effect": "NoSchedule"}
    core.patch_node(name, {"spec": {"taints": [*taints, ours]}})


def put_in_service(core: Any, name: str) -> None:
    """Without that taint."""
    taints = core.api_client.sanitize_for_serialization(core.read_node(name))["spec"].get("taints", [])
    core.patch_node(name, {"spec": {"taints": [taint for taint in taints if taint["key"] != OUT_OF_SERVICE] or None}})


def saved(core: Any, name: str) -> Object:
    """What `put_back` needs."""
    node = core.api_client.sanitize_for_serialization(core.read_node(name))
    metadata = {field: node["metadata"].get(field, {}) for field in ("labels", "annotations")}
    spec = {field: node["spec"][field] for field in ("podCIDR", "podCIDRs", "providerID") if field in node["spec"]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, **metadata}, "spec": spec}


def put_back(core: Any, node: Object) -> None:
    """Make the Node object again, unless it is there."""
    try:
        core.create_node(node)
    except client.ApiException as error:
        if error.status != 409:
            raise
