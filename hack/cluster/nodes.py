"""Lost nodes: stop and start a node's kubelet while its containers run on, or the whole node.

Contract: each call returns when it is done in the node; what the API server thinks of it follows later (a node is
Unknown after about 20 s, Ready again within seconds). Raises ClusterError for a node that is another state folder's.
"""

from __future__ import annotations

from datetime import UTC, datetime

from hack.cluster import kind, ownership
from hack.cluster.engine import Engine, current
from hack.cluster.errors import ClusterError


def node_names() -> list[str]:
    """The control plane first, then the workers."""
    return list(kind.NODES)


def _checked(node: str) -> str:
    if node not in kind.NODES:
        raise ClusterError(f"{node} is no node of the cluster", advice=f"one of {', '.join(kind.NODES)}")
    return node


def _engine() -> Engine:
    engine = current()
    ownership.check(engine)
    return engine


def stop_kubelet(node: str) -> None:
    """Stop the node's kubelet. Its containers run on: containerd and the shims are units of their own."""
    _engine().docker("exec", _checked(node), "systemctl", "stop", "kubelet")


def start_kubelet(node: str) -> None:
    """Start the node's kubelet again."""
    _engine().docker("exec", _checked(node), "systemctl", "start", "kubelet")


def kubelet_since(node: str) -> datetime:
    """When the node's kubelet was started last, in whole seconds of UTC."""
    asked = ("systemctl", "show", "kubelet", "--property=ActiveEnterTimestamp", "--timestamp=unix", "--value")
    said = _engine().docker("exec", _checked(node), *asked)
    return datetime.fromtimestamp(int(said.strip().removeprefix("@")), UTC)


def stop_node(node: str) -> None:
    """Kill the node with everything in it, as a power cut would."""
    _engine().docker("kill", _checked(node))


def start_node(node: str) -> None:
    """Start a stopped node. Its pods' containers are gone; the kubelet starts them again."""
    _engine().docker("start", _checked(node))
