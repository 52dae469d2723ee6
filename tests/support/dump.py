"""What a person would look at when a cluster test fails: the objects, their events, their pods, the operator's log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml
from kubernetes import client

from tests.support.lab import Execution, Lab
from tests.support.operator_process import Line


def dump(lab: Lab, log: Iterable[Line]) -> str:
    """The text, for all executions of the lab."""
    parts = [_execution(lab, execution) for execution in lab.executions]
    lines = [line for line in log if line.get("namespace") == lab.name or line["level"] in ("error", "critical", "raw")]
    parts.append("--- operator log of this namespace, and its errors")
    parts.extend(
        " ".join(f"{name}={value}" for name, value in line.items() if name != "logger") for line in lines[-80:]
    )
    return "\n".join(parts)


def _execution(lab: Lab, execution: Execution) -> str:
    parts = [f"--- {lab.name}/{execution.name}, phases {execution.phases()}"]
    try:
        held = execution.get()
        held["metadata"].pop("managedFields", None)
        parts.append(yaml.safe_dump(held, sort_keys=False, width=160))
    except client.ApiException as error:
        parts.append(f"(GET: {error.status} {error.reason})")
    parts.extend(f"event {kind} {reason}: {message}" for kind, reason, message in execution.events())
    for pod in execution.pods():
        parts.extend((_pod(pod), *_last_lines(lab, pod)))
    parts.extend(f"process {it.pid}, state {it.state}: {it.arguments}" for it in execution.processes())
    return "\n".join(parts)


def _last_lines(lab: Lab, pod: Any) -> list[str]:
    """What the workflow's container printed last; its launcher says there what it was told, and whom it told."""
    name = pod.metadata.name
    try:
        printed = lab.core.read_namespaced_pod_log(name, lab.name, container="workflow", tail_lines=10, timestamps=True)
    except client.ApiException as error:
        return [f"log: {error.status} {error.reason}"]
    return [f"log: {line}" for line in str(printed).splitlines()]


def _pod(pod: Any) -> str:
    statuses = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    states = ", ".join(f"{status.name}: {_state(status.state)}" for status in statuses)
    meta = pod.metadata
    return (
        f"pod {meta.name} on {pod.spec.node_name}: {pod.status.phase}, deletion {meta.deletion_timestamp}, "
        f"stop {(meta.annotations or {}).get('desist.dev/stop')}; {states}"
    )


def _state(state: Any) -> str:
    if state is None:
        return "?"
    if state.terminated:
        return f"terminated {state.terminated.exit_code} {state.terminated.reason} {state.terminated.message}"
    return "running" if state.running else f"waiting {state.waiting.reason if state.waiting else ''}"
