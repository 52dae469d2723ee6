"""kind, kubectl and Helm: from PATH where their version fits, else built.

Contract: `tool(name)` is the path of a program whose version fits the cluster's; `found(name)` is the same without
building anything, and without the lock.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hack.cluster import golang, versions
from hack.cluster.commands import How, answer
from hack.cluster.errors import ClusterError
from hack.cluster.home import cluster_lock, home
from hack.cluster.progress import Step


def kind_fits(said: str) -> bool:
    """Whether `kind version` names the pinned minor version: another brings other node images and defaults."""
    return f"v{versions.KIND}." in said


def kubectl_fits(said: str) -> bool:
    """Whether `kubectl version --client` names a plain release within one minor version of the cluster's."""
    found = re.search(r"v(\d+)\.(\d+)\.\d+(?=[\s\"+]|$)", said)
    major, minor = versions.KUBERNETES_MINOR
    return found is not None and int(found[1]) == major and abs(int(found[2]) - minor) <= 1


def helm_fits(said: str) -> bool:
    """Whether `helm version` names a 3.x from 3.17 on."""
    found = re.search(r"v3\.(\d+)\.", said)
    return found is not None and int(found[1]) >= 17


@dataclass(frozen=True)
class Tool:
    """A command line program: what asks for its version, what judges the answer, how it is built."""

    ask: tuple[str, ...]
    fits: Callable[[str], bool]
    program: golang.Program


TOOLS = {
    "kind": Tool(("version",), kind_fits, golang.KIND),
    "kubectl": Tool(("version", "--client", "--output=json"), kubectl_fits, golang.KUBECTL),
    "helm": Tool(("version", "--short"), helm_fits, golang.HELM),
}


@cache
def on_path(name: str) -> Path | None:
    """The tool of PATH, if its version fits."""
    path = shutil.which(name)
    said = answer([path, *TOOLS[name].ask], How(seconds=10)) if path else None
    return Path(path) if path and said and TOOLS[name].fits(said) else None


def found(name: str) -> Path | None:
    """Path of the tool, if it is there."""
    return on_path(name) or golang.built(TOOLS[name].program)


def shell_line() -> str:
    """What to type in a shell, so that kubectl and Helm are there and speak to the cluster."""
    folders = [str(tool(name).parent) for name in ("kubectl", "helm") if on_path(name) is None]
    path = f" PATH={':'.join(dict.fromkeys(folders))}:$PATH" if folders else ""
    return f"export KUBECONFIG={home().kubeconfig}{path}"


def find_or_build(name: str, step: Step) -> Path:
    """Path of the tool, built if PATH has none that fits. Raises ClusterError for a name that is no tool."""
    if name not in TOOLS:
        raise ClusterError(f"{name} is no tool of the cluster", advice=f"one of {', '.join(TOOLS)}")
    return on_path(name) or golang.build(TOOLS[name].program, step)


def tool(name: str) -> Path:
    """`find_or_build` for callers that show no progress."""
    return found(name) or _build(name)


def _build(name: str) -> Path:
    with cluster_lock():
        return find_or_build(name, Step(name))
