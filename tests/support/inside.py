"""Commands in a container, as `kubectl exec` runs them.

Contract: `inside(lab, pod, command)` gives what was printed. It has a connection of its own: the client runs one by
putting something else in the place of all calls of its API object meanwhile, also of the watches on other threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubernetes import client, stream

from tests.support.lab import Lab


def inside(lab: Lab, pod: str, command: Sequence[str], container: str = "workflow") -> str:
    """Run it to its end."""
    shared: Any = lab.api
    core: Any = client.CoreV1Api(client.ApiClient(shared.configuration))
    execute = core.connect_get_namespaced_pod_exec
    said: Any = stream.stream(execute, pod, lab.name, container=container, command=[*command], stdout=True, stderr=True)
    return str(said)
