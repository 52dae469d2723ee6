"""The four ways in which a process is started and stopped, each with the word that says its end.

Contract: pure. Every side runs the same program in the same pod template, with a grace of GRACE seconds. A `Side` names
what is created, what the request is, and how the final word of it looks on a watch; `request` is None where the side
has nothing like the mode. Nearest to Force is a DELETE with a grace of one second, the shortest that ends a process
(0 only forgets it); to a Kill with a grace, a suspended Job or a DELETE whose pod has that grace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from desist.kube.options import Deletion
from desist.kube.resource import PODS, Resource
from hack.bench import fanout_programs
from hack.bench.fanout_programs import GRACE, SIGNALLED, STOPPABLE, python, template
from hack.bench.latency.samples import CANCEL, FORCE, JOB, KILL, MAILBOX, POD, PUSH
from hack.bench.probe import TERMINAL

EXECUTIONS = Resource("desist.dev", "v1alpha1", "workflowexecutions")
JOBS = Resource("batch", "v1", "jobs")
DEAF = f"""
import os, signal, time
def stop(signum, frame):
    if not os.fstat(said).st_size: os.write(said, repr(time.time()).encode())
signal.signal(signal.SIGTERM, stop)
said = os.memfd_create("{SIGNALLED}")
while True: time.sleep(60)
"""
"""Writes down when it hears its first SIGTERM, and goes on."""
PROGRAMS = {CANCEL: STOPPABLE, FORCE: STOPPABLE, KILL: DEAF}
Object = dict[str, Any]
Request = Object | Deletion
"""What is merged into the object, or how it is deleted."""


@dataclass(frozen=True, slots=True)
class Side:
    """One way."""

    resource: Resource
    body: Callable[[str, list[str]], Object]
    """The object of that name which runs that command."""
    request: Callable[[str], Request | None]
    final: Callable[[str, Object], bool]
    """Whether an event of a watch, its type and object, is the final word."""


def execution(name: str, command: list[str]) -> Object:
    """A run of Desist's."""
    workflow = {"template": template(command), "stopPolicy": {"gracePeriodSeconds": GRACE}}
    kind = {"apiVersion": "desist.dev/v1alpha1", "kind": "WorkflowExecution"}
    return {**kind, "metadata": {"name": name}, "spec": {"workflowSpec": workflow}}


def job(name: str, command: list[str]) -> Object:
    """A Job of one pod."""
    *most, marker = command
    return fanout_programs.job(name, marker, 1, most)


def pod(name: str, command: list[str]) -> Object:
    """A pod that nobody owns."""
    made = template(command)
    made["metadata"]["name"] = name
    made["spec"]["restartPolicy"] = "Never"
    return made


def _cancellation(mode: str) -> Request:
    grace = {"gracePeriodSeconds": GRACE} if mode == KILL else {}
    return {"spec": {"cancellation": {"mode": mode, "reason": "figures", **grace}}}


def _suspension(mode: str) -> Request | None:
    return None if mode == FORCE else {"spec": {"suspend": True}}


def _deletion(mode: str) -> Request:
    return Deletion(grace_seconds=1 if mode == FORCE else None)


def _ended(_: str, found: Object) -> bool:
    return found.get("status", {}).get("phase") in TERMINAL


def _suspended(_: str, found: Object) -> bool:
    conditions = found.get("status", {}).get("conditions", [])
    return any(each["type"] == "Suspended" and each["status"] == "True" for each in conditions)


def _gone(event: str, _: Object) -> bool:
    return event == "DELETED"


DESIST = Side(EXECUTIONS, execution, _cancellation, _ended)
WAYS = {
    PUSH: DESIST,
    MAILBOX: DESIST,
    JOB: Side(JOBS, job, _suspension, _suspended),
    POD: Side(PODS, pod, _deletion, _gone),
}


def command(mode: str, marker: str) -> list[str]:
    """What a pod runs that will be stopped in that mode; the marker is its last argument."""
    return python(PROGRAMS[mode], marker)


def whose(found: Object) -> str:
    """Name of the object that a pod belongs to; its own where that is nobody."""
    labels, name = found["metadata"].get("labels", {}), found["metadata"]["name"]
    return str(labels.get("desist.dev/execution") or labels.get("batch.kubernetes.io/job-name") or name)
