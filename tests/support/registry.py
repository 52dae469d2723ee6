"""A registry on a node, whose one image a pull waits for until the test lets it go (`registry_server.py` is it).

Contract: `slow_registry(lab, node)` runs it as a pod on the node's own network and ends with it; `image` is what
pods of that node pull, `wait_until_pulled` returns when a pull has begun, `release` lets every pull go on. The image
holds `/usr/bin/sleep` and nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, watch

from tests.support.inside import inside
from tests.support.lab import PATIENCE, Lab
from tests.support.logs import wait_for_line
from tests.support.programs import WORKLOAD

SERVER = (Path(__file__).parent / "registry_server.py").read_text()
POD = "registry"
PORTS = range(20000, 30000)
"""Below the ports that Linux gives to clients, and below NodePorts."""


@dataclass(frozen=True)
class SlowRegistry:
    """The registry of one test."""

    lab: Lab
    image: str

    def wait_until_pulled(self, seconds: float = PATIENCE) -> None:
        """Until a node waits for the image's layer."""
        wait_for_line(self.lab, POD, POD, "pulled", seconds)

    def release(self) -> None:
        """Let the pulls go on."""
        inside(self.lab, POD, ["touch", "/tmp/released"], POD)


@contextmanager
def slow_registry(lab: Lab, node: str) -> Iterator[SlowRegistry]:
    """A registry in the node's network; it serves while the context lasts."""
    port = random.choice(PORTS)
    lab.core.create_namespaced_pod(lab.name, _pod(node, port))
    _wait_until_running(lab)
    wait_for_line(lab, POD, POD, "listening")
    try:
        yield SlowRegistry(lab, f"127.0.0.1:{port}/{lab.name}:1")
    finally:
        lab.core.delete_namespaced_pod(POD, lab.name, grace_period_seconds=1)


def _pod(node: str, port: int) -> dict[str, Any]:
    container = {
        "name": POD,
        "image": WORKLOAD,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-uc", SERVER, str(port)],
    }
    spec = {"nodeName": node, "hostNetwork": True, "terminationGracePeriodSeconds": 1, "containers": [container]}
    return {"metadata": {"name": POD}, "spec": spec}


def _wait_until_running(lab: Lab, seconds: int = int(PATIENCE)) -> None:
    selector = f"metadata.name={POD}"
    events: Any = watch.Watch().stream(
        lab.core.list_namespaced_pod, lab.name, field_selector=selector, timeout_seconds=seconds
    )
    for event in events:
        pod: client.V1Pod = event["object"]
        if pod.status is not None and pod.status.phase == "Running":
            return
        assert pod.status is None or pod.status.phase == "Pending", f"the registry's pod is {pod.status.phase}"
    raise AssertionError(f"the registry's pod did not run within {seconds} s")
