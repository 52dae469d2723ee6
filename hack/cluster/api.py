"""What tests, demo and figures use of the cluster tools.

Contract: this is the whole surface; everything else in the package may change. Nothing here starts a cluster: `make
cluster-up` does.
"""

from __future__ import annotations

from pathlib import Path

from hack.cluster import engine as engines
from hack.cluster import home as places
from hack.cluster.errors import ClusterError
from hack.cluster.golang import environment as go_environment
from hack.cluster.golang import go
from hack.cluster.home import cluster_lock
from hack.cluster.images import (
    SCRATCH,
    WORKLOAD,
    Build,
    build,
    build_and_load,
    debian_image,
    load,
    load_archives,
    workload_images,
)
from hack.cluster.keys import key_of
from hack.cluster.nodes import kubelet_since, node_names, start_kubelet, start_node, stop_kubelet, stop_node
from hack.cluster.processes import Process, processes_with
from hack.cluster.progress import Progress, Step
from hack.cluster.tools import shell_line, tool

__all__ = [
    "SCRATCH",
    "WORKLOAD",
    "Build",
    "ClusterError",
    "Process",
    "Progress",
    "Step",
    "build",
    "build_and_load",
    "cluster_lock",
    "debian_image",
    "docker_env",
    "go",
    "go_environment",
    "home",
    "key_of",
    "kubeconfig",
    "kubelet_since",
    "load",
    "load_archives",
    "node_names",
    "processes_with",
    "shell_line",
    "start_kubelet",
    "start_node",
    "stop_kubelet",
    "stop_node",
    "tool",
    "workload_images",
]


def home() -> Path:
    """The state folder: $DESIST_HOME, else ~/.cache/desist."""
    return places.home().root


def kubeconfig() -> Path:
    """Admin credentials of the cluster; the file exists while there is a cluster."""
    return places.home().kubeconfig


def docker_env() -> dict[str, str]:
    """Environment variables that make `docker` talk to the cluster's engine. Raises ClusterError if there is none."""
    return engines.current().env()
