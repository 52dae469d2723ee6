"""What may happen to a pod whose node does not answer, none of which is a proof that its process has ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.support.lab import Execution

Deed = Callable[[Execution], None]


def nothing(_: Execution) -> None:
    """The node alone is lost."""


def delete(execution: Execution) -> None:
    """`kubectl delete pod`: a deletionTimestamp."""
    execution.lab.core.delete_namespaced_pod(_name(execution), execution.lab.name)


def force_delete(execution: Execution) -> None:
    """`kubectl delete pod --force --grace-period=0`: the object is gone, and says nothing more."""
    execution.lab.core.delete_namespaced_pod(_name(execution), execution.lab.name, grace_period_seconds=0)


def collect(execution: Execution) -> None:
    """What pod GC writes where it takes a node for gone: a terminal phase that no kubelet has confirmed."""
    disruption = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists",
        "lastTransitionTime": datetime.now(UTC).isoformat(),
    }
    _patch_status(execution, {"phase": "Failed", "conditions": [disruption]})


def lose_sight(execution: Execution) -> None:
    """What a kubelet writes that finds no trace of a container: an end without a container ID."""
    unknown = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": "the container could not be located"}
    state = {"running": None, "terminated": unknown}
    _patch_status(execution, {"containerStatuses": [{"name": "workflow", "state": state}]})


def _patch_status(execution: Execution, status: dict[str, Any]) -> None:
    execution.lab.core.patch_namespaced_pod_status(_name(execution), execution.lab.name, {"status": status})


def _name(execution: Execution) -> str:
    name: str = execution.pods()[0].metadata.name
    return name
