"""What a container prints: waited for by following its log, never by asking again and again."""

from __future__ import annotations

from typing import Any, Protocol

from kubernetes import client

from tests.support.lab import PATIENCE, Execution, Lab


class HasPods(Protocol):
    """An execution, or an operation."""

    @property
    def lab(self) -> Lab:
        """Its namespace."""

    @property
    def name(self) -> str:
        """Its name."""

    def pods(self) -> list[Any]:
        """Its pods."""


def wait_until_started(execution: Execution, seconds: float = PATIENCE) -> None:
    """Until the run is Running and its program has said so itself.

    A container counts as running before its program has been loaded; on a busy machine a pod without requests gets
    so little time that it has neither its arguments nor its signal handlers yet.
    """
    execution.wait_for("Running", seconds)
    wait_for_log(execution, "started", seconds)


def wait_for_log(execution: HasPods, text: str, seconds: float = PATIENCE, container: str = "workflow") -> None:
    """Until the container of its last pod has printed a line with that text. Fails with what it printed."""
    pod = max(execution.pods(), key=lambda found: found.metadata.creation_timestamp)
    wait_for_line(execution.lab, pod.metadata.name, container, text, seconds)


def wait_for_line(lab: Lab, pod: str, container: str, text: str, seconds: float = PATIENCE) -> None:
    """Until that container of any pod has printed a line with that text. Fails with what it printed."""
    printed = b""
    stream: Any = lab.core.read_namespaced_pod_log(
        pod, lab.name, container=container, follow=True, _preload_content=False, _request_timeout=(5, seconds)
    )
    try:
        for part in stream.stream(amt=None):
            printed += part
            if text.encode() in printed:
                return
    finally:
        stream.close()
    raise AssertionError(f"container {container} of {pod} did not print {text!r}, but {printed!r}")


def log_of(execution: HasPods, container: str = "workflow") -> str:
    """Everything that the container of its first pod has printed."""
    pod = min(execution.pods(), key=lambda found: found.metadata.creation_timestamp)
    text: str = execution.lab.core.read_namespaced_pod_log(pod.metadata.name, execution.lab.name, container=container)
    return text


def log_left(execution: HasPods) -> str | None:
    """The same; None: its pod is not there any more, as where a busy kubelet was late and the backstop deleted it."""
    try:
        return log_of(execution) if execution.pods() else None
    except client.ApiException as error:
        if error.status != 404:
            raise
        return None
