"""Tells a cluster that is ready from one whose API still shows how it was before it died.

Contract: `wait()` returns when every node is Ready with a lease renewed since its container started, and every pod that
kind or these tools put into kube-system is ready with containers that started since then. Conditions alone lie after a
restart: they are what the API server last heard, and it takes 20 s to doubt them. What else is in the cluster (nodes
and system pods of its users) is not judged: it must not cost a healthy cluster.
While it waits it undoes what a killed test of lost nodes leaves: a removed Node object, a taint that says that nothing
runs on a node (a false proof from then on), a node that takes no pods.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hack.cluster import versions
from hack.cluster.commands import How, answer
from hack.cluster.engine import Engine
from hack.cluster.errors import ClusterError
from hack.cluster.home import home
from hack.cluster.progress import Step
from hack.cluster.tools import tool

POLL_SECONDS = 0.3
NODES = tuple(f"{versions.CLUSTER}-{role}" for role in ("control-plane", "worker", "worker2"))
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
# Of kubeadm, of kind's own network and of ours.
SYSTEM_PODS = (
    ("k8s-app", "kube-dns"),
    ("k8s-app", "kube-proxy"),
    ("tier", "control-plane"),
    ("app", "kindnet"),
    ("app", "node-routes"),
)
DNS = SYSTEM_PODS[0]
Resource = dict[str, Any]


def kubectl(*arguments: str, seconds: float = 10) -> str | None:
    """Output of kubectl against the cluster, None if it fails."""
    how = How(env={"KUBECONFIG": str(home().kubeconfig)}, seconds=seconds)
    return answer([tool("kubectl"), "--request-timeout", f"{seconds:.0f}s", *arguments], how)


def revive(engine: Engine, states: dict[str, str], step: Step) -> list[str]:
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
    return done


def _kubelet_state(engine: Engine, node: str) -> str:
    """What systemd says of the kubelet, "" while systemd itself still boots (it starts the kubelet then)."""
    script = "systemctl is-active kubelet || true"
    return (answer(["docker", "exec", node, "sh", "-c", script], engine.how()) or "").strip()


def wait(engine: Engine, seconds: float, step: Step) -> list[str]:
    """Wait until all is ready; returns what had to be mended, in words. Raises ClusterError that tells what is not."""
    ends = time.monotonic() + seconds
    mended: list[str] = []
    while True:
        lacking = list(_lacking(engine, mended))
        if not lacking:
            return mended
        step.say(f"waiting for {lacking[0]}" + (f" and {len(lacking) - 1} more" if lacking[1:] else ""))
        if time.monotonic() > ends:
            raise ClusterError(f"not ready after {seconds:.0f} s: {'; '.join(lacking)}")
        time.sleep(POLL_SECONDS)


def _lacking(engine: Engine, mended: list[str]) -> Iterator[str]:
    said = kubectl("get", "nodes,leases,pods", "--all-namespaces", "--output", "json")
    if said is None:
        yield "the API server"
        return
    items: list[Resource] = json.loads(said)["items"]
    of_kind = {kind: [item for item in items if item["kind"] == kind] for kind in ("Node", "Lease", "Pod")}
    nodes = [node for node in of_kind["Node"] if node["metadata"]["name"] in NODES]
    for what, mend in to_mend(nodes):
        yield what
        # A kubelet that was just restarted needs a while to register: not again at each look.
        if what not in mended and mend(engine):
            mended.append(what)
    started = {node: _started(engine, node) for node in _names(nodes)}
    yield from nodes_lacking(nodes, of_kind["Lease"], started)
    yield from pods_lacking(of_kind["Pod"], started)


def to_mend(nodes: list[Resource]) -> Iterator[tuple[str, Callable[[Engine], bool]]]:
    """What is wrong with the API's objects of the cluster's nodes, in words, and what mends it (False: not yet)."""
    objects = {node["metadata"]["name"]: node["spec"] for node in nodes}
    for name in NODES:
        if name not in objects:
            yield f"{name} to join", partial(_restart_kubelet, name)
            continue
        if any(taint["key"] == OUT_OF_SERVICE for taint in objects[name].get("taints", [])):
            yield f"{name} to be in service", partial(_kubectl, ("taint", "node", name, f"{OUT_OF_SERVICE}-"))
        if objects[name].get("unschedulable"):
            yield f"{name} to take pods", partial(_kubectl, ("uncordon", name))


def _restart_kubelet(node: str, engine: Engine) -> bool:
    """A kubelet registers its node when it starts, and never again."""
    return answer(["docker", "exec", node, "systemctl", "restart", "kubelet"], engine.how(seconds=30)) is not None


def _kubectl(arguments: tuple[str, ...], _engine: Engine) -> bool:
    return kubectl(*arguments) is not None


def _names(items: list[Resource]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


def _started(engine: Engine, node: str) -> datetime:
    return parse_time(engine.docker("inspect", "--format", "{{.State.StartedAt}}", node).strip())


def parse_time(text: str) -> datetime:
    """A time of Docker (nanoseconds) or Kubernetes (seconds or microseconds)."""
    whole = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", text)
    if whole is None:
        raise ValueError(f"not a time: {text!r}")
    return datetime.fromisoformat(whole[0]).replace(tzinfo=UTC)


def nodes_lacking(nodes: list[Resource], leases: list[Resource], started: dict[str, datetime]) -> Iterator[str]:
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


def pods_lacking(pods: list[Resource], started: dict[str, datetime]) -> Iterator[str]:
    """Names the system pods that do not run, or whose status is from before their node's container started."""
    system = [pod for pod in pods if _is_system(pod)]
    if not any(_has_label(pod, *DNS) for pod in system):
        yield "CoreDNS to be created"
    for pod in system:
        node = pod["spec"].get("nodeName", "")
        since = started.get(node, datetime.max.replace(tzinfo=UTC)) - timedelta(seconds=1)
        statuses = pod["status"].get("containerStatuses", [])
        if not statuses or not all(_runs_since(status, since) for status in statuses):
            yield f"{pod['metadata']['name']}"


def _is_system(pod: Resource) -> bool:
    """Whether the cluster needs it: of the right labels, and neither ended (evicted, say) nor on its way out."""
    metadata = pod["metadata"]
    leaves = "deletionTimestamp" in metadata or pod["status"].get("phase") in ("Succeeded", "Failed")
    placed = metadata["namespace"] == "kube-system" and any(_has_label(pod, *label) for label in SYSTEM_PODS)
    return placed and not leaves


def _has_label(pod: Resource, name: str, value: str) -> bool:
    return bool(pod["metadata"].get("labels", {}).get(name) == value)


def _runs_since(status: Resource, since: datetime) -> bool:
    running = status.get("state", {}).get("running")
    return bool(status["ready"] and running and parse_time(running["startedAt"]) >= since)
