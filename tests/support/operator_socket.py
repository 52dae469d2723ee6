"""Where the installed operator listens for answers: what somebody on the pod network could find out by trying.

Contract: `operator_address(api)` gives the address of the release's pod and the UDP ports that are open in it, read
from the node's /proc; nothing of the operator tells them.
"""

from __future__ import annotations

from typing import Any

from kubernetes import client

from hack.cluster.api import processes_with
from hack.cluster.engine import current
from hack.image.release import NAMESPACE, SELECTOR


def operator_address(api: Any) -> tuple[str, list[int]]:
    """Address and ports. Fails where not exactly one operator runs in the cluster."""
    core: Any = client.CoreV1Api(api)
    (pod,) = core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR).items
    (process,) = (found for found in processes_with("desist.controller") if found.pod_uid == pod.metadata.uid)
    tables = current().docker("exec", process.node, "cat", f"/proc/{process.pid}/net/udp")
    return str(pod.status.pod_ip), ports(tables)


def ports(table: str) -> list[int]:
    """The local ports of a /proc/PID/net/udp."""
    lines = [line.split() for line in table.splitlines()[1:]]
    return sorted({int(words[1].rpartition(":")[2], 16) for words in lines})
