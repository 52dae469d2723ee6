"""A namespace to try things in: start executions, stop them, wait for what they become.

Contract: `Lab.start(source)` creates an execution of one of `programs`, with a marker of its own; `Execution` is the
handle: `wait_for` waits on the watch, `stop` is the one patch that users know, `processes` asks the node. The functions
at the end read one object as it was seen: `phase_of`, `condition`, `record`, `history`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client, watch

from hack.cluster.api import Process
from tests.support import programs, proof
from tests.support.sight import Placement
from tests.support.watching import GROUP, PLURAL, VERSION, Object, Recorder, Seen

PATIENCE = 120.0
"""Seconds that a test waits at most, where no shorter time is what it is about.

On a starved node a stop may arrive with its second repeat only, after 20; and where two modules start dozens of pods at
the same time the last of them starts after a minute and a half.
"""
TERMINAL = ("Succeeded", "Failed", "TimedOut", "Cancelled", "Terminated")
Wanted = str | Callable[[Object], bool]


@dataclass
class Execution:
    """One execution of a test."""

    lab: Lab
    name: str
    uid: str
    marker: str

    def get(self) -> Object:
        """The object as the API server has it now. Raises ApiException 404."""
        held: Object = self.lab.custom.get_namespaced_custom_object(GROUP, VERSION, self.lab.name, PLURAL, self.name)
        return held

    def wait_for(self, wanted: Wanted, seconds: float = PATIENCE, after: Seen | None = None) -> Seen:
        """The first state that fits: a phase, or a function of the object. Fails with what was seen instead.

        A state that has passed counts too, unless `after` is given: then only what came later does.
        """
        fits = (lambda held: phase_of(held) == wanted) if isinstance(wanted, str) else wanted
        ends = isinstance(wanted, str)

        def settled(seen: Seen) -> bool:
            return seen.event != "DELETED" and (fits(seen.object) or (ends and phase_of(seen.object) in TERMINAL))

        seen = self.lab.recorder.wait(self.uid, settled, seconds, after.number if after else -1)
        if seen is None or not fits(seen.object):
            how = f"within {seconds} s" if seen is None else "any more"
            raise AssertionError(f"{self.name} did not become {wanted!r} {how}: {self.describe()}")
        return seen

    def wait_until_deleted(self, seconds: float = PATIENCE) -> None:
        """Wait for the DELETED event."""
        if self.lab.recorder.wait(self.uid, lambda seen: seen.event == "DELETED", seconds) is None:
            raise AssertionError(f"{self.name} was not deleted within {seconds} s")

    def patch(self, spec: dict[str, Any], manager: str = "kubectl-patch") -> Object:
        """A merge patch of the spec. Raises ApiException where the API refuses it."""
        patched: Object = self.lab.custom.patch_namespaced_custom_object(
            GROUP, VERSION, self.lab.name, PLURAL, self.name, {"spec": spec}, field_manager=manager
        )
        return patched

    def stop(self, mode: str, **request: Any) -> Object:
        """Ask for a stop: `stop("Kill", gracePeriodSeconds=2)`."""
        return self.patch({"cancellation": {"mode": mode, **request}})

    def delete(self) -> None:
        """kubectl delete wfx."""
        self.lab.custom.delete_namespaced_custom_object(GROUP, VERSION, self.lab.name, PLURAL, self.name)

    def history(self) -> list[Seen]:
        """Every state that the watch has shown."""
        return self.lab.recorder.history(self.uid)

    def phases(self) -> list[str]:
        """The phases passed so far, each once, in order."""
        phases = [phase for seen in self.history() if (phase := phase_of(seen.object))]
        return [phase for number, phase in enumerate(phases) if number == 0 or phases[number - 1] != phase]

    def pods(self) -> list[Any]:
        """Its pods."""
        selector = f"desist.dev/execution-uid={self.uid}"
        return list(self.lab.core.list_namespaced_pod(self.lab.name, label_selector=selector).items)

    def events(self) -> list[tuple[str, str, str]]:
        """(type, reason, message) of the Events about it."""
        listed = self.lab.core.list_namespaced_event(self.lab.name, field_selector=f"involvedObject.uid={self.uid}")
        return [(event.type, event.reason, event.message) for event in listed.items]

    def wait_for_event(self, reason: str, seconds: int = 60) -> str:
        """The message of the first Event about it with this reason; Events come a moment after the write."""
        message = self.lab.first_event(self.uid, reason, seconds)
        assert message is not None, f"no Event {reason} about {self.name} within {seconds} s: {self.events()}"
        return message

    def processes(self) -> list[Process]:
        """What of it lives on the nodes."""
        return proof.processes(self.marker)

    def describe(self) -> str:
        """Where it stands, in a line."""
        seen = self.history()
        status = seen[-1].object.get("status", {}) if seen else {}
        stalled = [c for c in status.get("conditions", ()) if c["type"] == "Stalled" and c["status"] == "True"]
        known = {name: status.get(name) for name in ("waitingOn", "processes", "unconfirmed")}
        return f"phases {self.phases()}, stalled {stalled}, {known}"


@dataclass
class Lab:
    """A namespace of one test."""

    name: str
    api: client.ApiClient
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.core: Any = client.CoreV1Api(self.api)
        self.custom: Any = client.CustomObjectsApi(self.api)
        self.recorder = Recorder(self.custom, self.name)
        self.executions: list[Execution] = []

    def start(self, source: str = programs.WORKS, spec: dict[str, Any] | None = None, **changes: Any) -> Execution:
        """Create an execution of a program; `spec` is merged into its spec, `changes` into the workflowSpec."""
        marker = f"mark-{uuid.uuid4().hex[:12]}"
        workflow = {"template": template(programs.command(source, marker))} | changes
        return self.create({"workflowSpec": workflow} | (spec or {}), marker)

    def create(self, spec: dict[str, Any], marker: str = "", name: str | None = None) -> Execution:
        """Create an execution with this spec, put where its pod may go. Raises ApiException where it is refused."""
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "WorkflowExecution",
            "metadata": {"name": name or f"run-{uuid.uuid4().hex[:8]}"},
            "spec": _placed(spec, "workflowSpec", "template"),
        }
        made = self.custom.create_namespaced_custom_object(GROUP, VERSION, self.name, PLURAL, body)
        execution = Execution(self, made["metadata"]["name"], made["metadata"]["uid"], marker or "no-marker-was-given")
        self.executions.append(execution)
        return execution

    def first_event(self, uid: str, reason: str, seconds: int) -> str | None:
        """The message of the first Event about that object with this reason; None: there was none in that time."""
        stream: Any = watch.Watch().stream(
            self.core.list_namespaced_event,
            self.name,
            field_selector=f"involvedObject.uid={uid},reason={reason}",
            timeout_seconds=seconds,
        )
        return next((str(event["object"].message) for event in stream), None)

    def workflow(self, name: str, spec: dict[str, Any]) -> Object:
        """Create a Workflow."""
        kind = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Workflow"}
        body = {**kind, "metadata": {"name": name}, "spec": _placed(spec, "template")}
        made: Object = self.custom.create_namespaced_custom_object(GROUP, VERSION, self.name, "workflows", body)
        return made


def template(command: Sequence[str], **pod: Any) -> dict[str, Any]:
    """A pod template with one container that runs the command in the workload image; `pod` is merged into its spec."""
    container = {
        "name": "workflow",
        "image": programs.WORKLOAD,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
    }
    return {"spec": {"containers": [container], "terminationGracePeriodSeconds": 2, **Placement.of(pod), **pod}}


def _placed(held: dict[str, Any], *path: str) -> dict[str, Any]:
    """The same, where what the path leads to is a pod template: a module may write one without `template`."""
    if path:
        first, *rest = path
        below = held.get(first)
        return held | {first: _placed(below, *rest)} if isinstance(below, dict) else held
    spec = held.get("spec")
    return held | {"spec": {**Placement.of(spec), **spec}} if isinstance(spec, dict) else held


def phase_of(held: Object) -> str | None:
    """status.phase."""
    phase: str | None = held.get("status", {}).get("phase")
    return phase


def condition(held: Object, kind: str) -> dict[str, Any]:
    """One of the object's conditions; empty where it has none of that type."""
    return next((c for c in held.get("status", {}).get("conditions", ()) if c["type"] == kind), {})


def record(held: Object, number: int = -1) -> dict[str, Any]:
    """One command's record, the last by default."""
    found: dict[str, Any] = held["status"]["commands"][number]
    return found


def history(held: Object) -> list[str]:
    """The types of the history's entries, in order."""
    return [entry["type"] for entry in held["status"]["history"]]
