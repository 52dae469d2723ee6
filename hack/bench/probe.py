"""Measures one stop from outside: when it was requested, signalled, when the process died, when the phase was terminal.

Method: the process writes the time at which its SIGTERM handler runs to its log (the nodes share this machine's
clock). Its death is the moment at which a pidfd of it becomes readable. Acceptance, escalation and
terminal phase count from the arrival of the watch event. The request counts from just before the PATCH is sent, so the
client's own time is included. A process whose pod was deleted counts as told when it died: its log is gone.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from hack.cluster.api import kubeconfig

GROUP, VERSION, PLURAL = "desist.dev", "v1alpha1", "workflowexecutions"
NAMESPACE = "desist-figures"
TERMINAL = ("Succeeded", "Failed", "TimedOut", "Cancelled", "Terminated")
STOPPING = ("Cancelling", "ForceCancelling", "Terminating", "KillCancelling")

POLITE = """
import signal, sys, time
def stop(signum, frame):
    print("signalled", time.time(), flush=True)
    raise SystemExit(0)
signal.signal(signal.SIGTERM, stop)
while True: time.sleep(60)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, lambda signum, frame: print("signalled", time.time(), flush=True))
while True: time.sleep(60)
"""


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop's times, in seconds since the epoch."""

    requested: float
    accepted: float
    signalled: float
    killing: float
    """Where it became a Kill by itself: when; else the same as `accepted`."""
    dead: float
    terminal: float


class Cluster:
    """The cluster's API, in one namespace."""

    def __init__(self, namespace: str = NAMESPACE) -> None:
        config.load_kube_config(str(kubeconfig()))
        self.namespace = namespace
        self.core: Any = client.CoreV1Api()
        self.custom: Any = client.CustomObjectsApi()

    def fresh_namespace(self, empty: bool = True) -> None:
        """Make the namespace, and remove what an earlier measurement left."""
        try:
            self.core.create_namespace({"metadata": {"name": self.namespace}})
        except client.ApiException as error:
            if error.status != 409:
                raise
        if empty:
            self.custom.delete_collection_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL)

    def start(self, name: str, program: str) -> str:
        """Create an execution and wait until its process runs; the marker in its arguments."""
        marker = f"{name}-{time.time_ns()}"
        template = {
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [
                    {
                        "name": "workflow",
                        "image": "localhost/desist-workload:1",
                        "imagePullPolicy": "Never",
                        "command": ["python3", "-uc", program, marker],
                    }
                ],
            }
        }
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "WorkflowExecution",
            "metadata": {"name": name},
            "spec": {"workflowSpec": {"template": template, "stopPolicy": {"gracePeriodSeconds": 5}}},
        }
        self.custom.create_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, body)
        self.until(name, ("Running",))
        return marker

    def until(self, name: str, phases: tuple[str, ...]) -> None:
        """Wait, on a watch, for one of the phases."""
        self._first_of(self._phases(name), phases)

    def _first_of(self, stream: Iterator[tuple[str, dict[str, Any]]], phases: tuple[str, ...]) -> dict[str, Any]:
        """The first state in one of the phases."""
        for phase, found in stream:
            if phase in phases:
                return found
        raise TimeoutError(f"did not reach {phases} within 120 s")

    def _phases(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each state as the watch shows it, with its phase."""
        stream: Any = watch.Watch().stream(
            self.custom.list_namespaced_custom_object,
            GROUP,
            VERSION,
            self.namespace,
            PLURAL,
            field_selector=f"metadata.name={name}",
            timeout_seconds=120,
        )
        for event in stream:
            yield event["object"].get("status", {}).get("phase", ""), event["object"]

    def stop(self, name: str, mode: str, marker: str, **request: int) -> Stop:
        """Patch, and measure until the terminal phase."""
        death = Death(marker)
        death.start()
        requested = time.time()
        body = {"spec": {"cancellation": {"mode": mode, "reason": "figures", **request}}}
        self.custom.patch_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, name, body)
        stream = self._phases(name)
        self._first_of(stream, STOPPING + TERMINAL)
        accepted = time.time()
        if "killAfterSeconds" in request:
            self._first_of(stream, ("KillCancelling",))
        killing = time.time()
        done = self._first_of(stream, TERMINAL)
        terminal = time.time()
        death.join(timeout=10)
        signalled = self._signalled(done)
        return Stop(requested, accepted, death.at if signalled is None else signalled, killing, death.at, terminal)

    def _signalled(self, done: dict[str, Any]) -> float | None:
        """None: the pod was deleted, since no mailbox came through in time, and its log with it."""
        pod = done["status"]["processes"][0]["pod"]
        try:
            log = self.core.read_namespaced_pod_log(pod, self.namespace)
        except ApiException as error:
            if error.status != 404:
                raise
            return None
        return float(next(line.split()[1] for line in log.splitlines() if line.startswith("signalled")))


class Death(threading.Thread):
    """Waits for the end of the process that has the marker in its arguments (not the launcher's)."""

    def __init__(self, marker: str) -> None:
        super().__init__(daemon=True)
        self.at = 0.0
        self._handle = os.pidfd_open(find_process(marker))

    def run(self) -> None:
        """Note the time of death."""
        select.select([self._handle], [], [])
        self.at = time.time()
        os.close(self._handle)


def find_process(marker: str, program: str = "python3") -> int:
    """Pid, on this machine, of the process whose program is `program` and whose arguments hold the marker."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if Path(arguments[0].decode(errors="replace")).name == program and any(
                marker.encode() in a for a in arguments
            ):
                return int(entry.name)
    raise LookupError(f"no process {program} with {marker} in its arguments; do the nodes run on this machine?")


def resident(pid: int) -> float:
    """Resident memory of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
