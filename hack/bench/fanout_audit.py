"""What was written to the API server, by kind, from its audit log.

Contract: `Audit.since(seconds)` counts the writes in one namespace from a moment on. What was refused (a conflict, say)
is a kind of its own, so that it hides in none. Reads are not in the log, nor are Events and leases. The log is read on
the control plane's node, with what was rotated away, and by the time at which the API server had answered.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from hack.cluster.api import docker_env, node_names

OPERATOR = "system:serviceaccount:desist-system:desist"
BENCH = "kubernetes-admin"
OURS = {"operations": "status", "pods": "pods", "workflowexecutions": "execution"}
KINDS = ("process", "status", "pods", "execution", "other", "refused", "cluster")
"""By the workflow process; by the operator: of operations' status, of pods, of the execution's status, of anything
else; refused, of both; by everybody else but this bench: kubelets, scheduler, controllers of Kubernetes."""
Event = dict[str, Any]


class Audit:
    """The audit log of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def since(self, moment: float) -> Counter[str]:
        """Writes answered after that moment (seconds since the epoch), by kind."""
        return counted(self.lines(), self._namespace, moment)

    def lines(self) -> list[str]:
        """All lines of it that name the namespace."""
        found = f'"namespace":"{self._namespace}"'
        search = f"grep --no-filename --fixed-strings '{found}' /var/log/kubernetes/audit*.log"
        command = ["docker", "exec", node_names()[0], "sh", "-c", search]
        done = subprocess.run(command, env=os.environ | docker_env(), capture_output=True, text=True, check=True)
        # The last line may be half written.
        return done.stdout.rpartition("\n")[0].splitlines()


def counted(lines: Iterable[str], namespace: str, since: float = 0) -> Counter[str]:
    """How many writes of each kind are in these lines of an audit log."""
    events = (json.loads(line) for line in lines)
    kinds = (kind_of(event, namespace) for event in events if moment(event) >= since)
    return Counter(kind for kind in kinds if kind is not None)


def kind_of(event: Event, namespace: str) -> str | None:
    """The kind of one write; None: it is this bench's own, or in another namespace."""
    user, asked = event["user"]["username"], event["objectRef"]
    if user == BENCH or asked.get("namespace") != namespace:
        return None
    of_process = user.startswith(f"system:serviceaccount:{namespace}:")
    if user != OPERATOR and not of_process:
        return "cluster"
    if event["responseStatus"]["code"] >= 300:
        return "refused"
    return "process" if of_process else OURS.get(asked["resource"], "other")


def moment(event: Event) -> float:
    return datetime.fromisoformat(event["stageTimestamp"]).timestamp()
