"""Proof from the node: which processes with a marker in their arguments are alive, read from the nodes' /proc.

Contract: nothing that Kubernetes says counts here. `gone_for_good` looks twice, some seconds apart, because what is
dead must stay dead.
"""

from __future__ import annotations

import time

from hack.cluster.api import Process, processes_with

STAYS_DEAD_SECONDS = 3.0


def processes(marker: str) -> list[Process]:
    """Every live process in a node with the marker in its arguments, the launcher's own included."""
    return [process for process in processes_with(marker) if process.state not in "ZX"]


def workflow_processes(marker: str) -> list[Process]:
    """The same, without the launcher: what the template's command has become."""
    return [process for process in processes(marker) if "desist-launcher" not in process.arguments[0]]


def gone_for_good(marker: str) -> bool:
    """Whether nothing of it lives, now and some seconds later."""
    if processes(marker):
        return False
    time.sleep(STAYS_DEAD_SECONDS)  # that nothing happens cannot be watched for
    return not processes(marker)
