"""What is up, as data and as text.

Contract: changes nothing, starts nothing, takes no lock; answers within seconds also when everything is down.
"""

from __future__ import annotations

import json
from typing import Any

from hack.cluster import engine as engines
from hack.cluster import kind, ownership, readiness, tools
from hack.cluster.commands import answer
from hack.cluster.engine import Engine
from hack.cluster.errors import ClusterError
from hack.cluster.home import home


def status() -> dict[str, Any]:
    """Engine, nodes and files; `ready` is true if every node is Ready, its kubelet runs, and all is this folder's."""
    found: dict[str, Any] = {"home": str(home().root), "kubeconfig": str(home().kubeconfig), "logs": str(home().logs)}
    try:
        engine = engines.current()
    except ClusterError:
        return found | {"engine": None, "nodes": [], "ready": False}
    answers = engine.answers()
    theirs = ownership.other(engine) if answers else None
    if theirs:
        found["otherOwner"] = ownership.named(theirs)
    nodes = _nodes(engine) if answers and not theirs else []
    ready = theirs is None and bool(nodes) and all(node["ready"] and node["kubelet"] for node in nodes)
    shown = {"own": engine.own, "host": engine.host, "answers": answers}
    return found | {"engine": shown, "nodes": nodes, "ready": ready}


def _nodes(engine: Engine) -> list[dict[str, Any]]:
    ready = _ready_nodes()
    return [
        {"name": name, "container": state, "kubelet": _kubelet_runs(engine, name, state), "ready": name in ready}
        for name, state in kind.node_states(engine).items()
    ]


def _kubelet_runs(engine: Engine, node: str, state: str) -> bool:
    command = ["docker", "exec", node, "systemctl", "is-active", "kubelet"]
    return state == "running" and answer(command, engine.how(seconds=10)) is not None


def _ready_nodes() -> set[str]:
    there = home().kubeconfig.exists() and tools.found("kubectl") is not None
    said = readiness.kubectl("get", "nodes", "--output", "json", seconds=5) if there else None
    nodes = json.loads(said)["items"] if said else []
    return {
        node["metadata"]["name"]
        for node in nodes
        if any(entry["type"] == "Ready" and entry["status"] == "True" for entry in node["status"]["conditions"])
    }


def text(found: dict[str, Any]) -> str:
    """The same for a person."""
    engine = found["engine"]
    if engine is None:
        return f"no cluster; `make cluster-up` makes one (state folder: {found['home']})"
    kind_of = "our own" if engine["own"] else "the Docker of this machine"
    lines = [f"engine      {kind_of}, {'up' if engine['answers'] else 'down'} {engine['host']}".rstrip()]
    for node in found["nodes"]:
        kubelet = "kubelet runs" if node["kubelet"] else "kubelet stopped"
        lines.append(f"{node['name']:<22} {node['container']}, {kubelet}, {'Ready' if node['ready'] else 'not Ready'}")
    if "otherOwner" in found:
        return "\n".join([*lines, f"the cluster belongs to {found['otherOwner']}"])
    lines.append(f"kubeconfig  {found['kubeconfig']}")
    lines.append(f"logs        {found['logs']}")
    lines.append("the cluster is ready" if found["ready"] else "the cluster is not ready: make cluster-up")
    return "\n".join(lines)
