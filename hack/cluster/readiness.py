"""Tells a cluster that is ready from one whose API still shows how it was before it died.

Contract: `wait()` returns when every node is Ready with a lease renewed since its container started, and every system
pod is ready with containers that started since then. Conditions alone lie after a restart: they are what the API
server last heard, and it takes 20 s to doubt them.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from hack.cluster.commands import How, answer, run
from hack.cluster.engine import Engine
from hack.cluster.errors import ClusterError
from hack.cluster.home import home
from hack.cluster.progress import Step
from hack.cluster.tools import tool

POLL_SECONDS = 0.3
NODE_COUNT = 3


def kubectl(*arguments: str, seconds: float = 10) -> str | None:
    """Output of kubectl against the cluster, None if it fails."""
    how = How(env={"KUBECONFIG": str(home().kubeconfig)}, seconds=seconds)
    return answer([tool("kubectl"), "--request-timeout", f"{seconds:.0f}s", *arguments], how)


def revive(engine: Engine, states: dict[str, str], step: Step) -> str:
    """Start whatever of the nodes is stopped, paused or without kubelet; returns what was done, in words."""
    done = []
    for node, state in states.items():
        if state == "paused":
            engine.docker("unpause", node)
            done.append(f"{node} unpaused")
        elif state != "running":
            step.say(f"starting {node}")
            engine.docker("start", node)
            done.append(f"{node} started")
        elif _kubelet_state(engine, node) in ("inactive", "failed"):
            engine.docker("exec", node, "systemctl", "start", "kubelet")
            done.append(f"kubelet of {node} started")
    return f"revived: {', '.join(done)}" if done else "is up"


def _kubelet_state(engine: Engine, node: str) -> str:
    """What systemd says of the kubelet, "" while systemd itself still boots (it starts the kubelet then)."""
    script = "systemctl is-active kubelet || true"
    return (answer(["docker", "exec", node, "sh", "-c", script], engine.how()) or "").strip()


def wait(engine: Engine, seconds: float, step: Step) -> None:
    """Wait until all is ready. Raises ClusterError that tells what is not."""
    ends = time.monotonic() + seconds
    while True:
        lacking = list(_lacking(engine))
        if not lacking:
            return
        step.say(f"waiting for {lacking[0]}" + (f" and {len(lacking) - 1} more" if lacking[1:] else ""))
        if time.monotonic() > ends:
            raise ClusterError(f"not ready after {seconds:.0f} s: {'; '.join(lacking)}")
        time.sleep(POLL_SECONDS)


def uncordon() -> None:
    """Let every node take pods again: a drain that was killed in the middle leaves it cordoned."""
    run([tool("kubectl"), "--kubeconfig", home().kubeconfig, "uncordon", "--selector", "kubernetes.io/os=linux"])


def _lacking(engine: Engine) -> Iterator[str]:
    said = kubectl("get", "nodes,leases,pods", "--all-namespaces", "--output", "json")
    if said is None:
        yield "the API server"
        return
    items: list[dict[str, Any]] = json.loads(said)["items"]
    of_kind = {kind: [item for item in items if item["kind"] == kind] for kind in ("Node", "Lease", "Pod")}
    started = {node: _started(engine, node) for node in _names(of_kind["Node"])}
    if len(started) < NODE_COUNT:
        yield f"{NODE_COUNT - len(started)} nodes to join"
    yield from nodes_lacking(of_kind["Node"], of_kind["Lease"], started)
    yield from pods_lacking(of_kind["Pod"], started)


def _names(items: list[dict[str, Any]]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


def _started(engine: Engine, node: str) -> datetime:
    return parse_time(engine.docker("inspect", "--format", "{{.State.StartedAt}}", node).strip())


def parse_time(text: str) -> datetime:
    """A time of Docker (nanoseconds) or Kubernetes (seconds or microseconds)."""
    whole = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", text)
    if whole is None:
        raise ValueError(f"not a time: {text!r}")
    return datetime.fromisoformat(whole[0]).replace(tzinfo=UTC)


def nodes_lacking(
    nodes: list[dict[str, Any]], leases: list[dict[str, Any]], started: dict[str, datetime]
) -> Iterator[str]:
    """Names the nodes that are not Ready, or whose last sign of life is older than their container."""
    renewed = {
        lease["metadata"]["name"]: parse_time(lease["spec"]["renewTime"])
        for lease in leases
        if lease["metadata"]["namespace"] == "kube-node-lease"
    }
    for name in _names(nodes):
        if name not in renewed or renewed[name] < started[name]:
            yield f"a sign of life from {name}"
    for node in nodes:
        conditions = {condition["type"]: condition["status"] for condition in node["status"].get("conditions", [])}
        if conditions.get("Ready") != "True":
            yield f"{node['metadata']['name']} to be Ready"


def pods_lacking(pods: list[dict[str, Any]], started: dict[str, datetime]) -> Iterator[str]:
    """Names the system pods that do not run, or whose status is from before their node's container started."""
    system = [pod for pod in pods if pod["metadata"]["namespace"] == "kube-system"]
    if not any(pod["metadata"]["name"].startswith("coredns-") for pod in system):
        yield "CoreDNS to be created"
    for pod in system:
        node = pod["spec"].get("nodeName", "")
        since = started.get(node, datetime.max.replace(tzinfo=UTC)) - timedelta(seconds=1)
        statuses = pod["status"].get("containerStatuses", [])
        if not statuses or not all(_runs_since(status, since) for status in statuses):
            yield f"{pod['metadata']['name']}"


def _runs_since(status: dict[str, Any], since: datetime) -> bool:
    running = status.get("state", {}).get("running")
    return bool(status["ready"] and running and parse_time(running["startedAt"]) >= since)
