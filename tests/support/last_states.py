"""The last state of each pod of a namespace, also of one that is not there any more.

Where a starved kubelet reports an end too late, the backstop deletes the pod: what a test wants to read of it after a
stop with a deadline (its receipt, its exit code) is then in the watch alone.

Contract: `last_states(lab)` watches from its start on, and begins anew where its watch is cut. `of(execution)` is the
last state of its first pod, once that has ended; it fails where that does not end. `named` is that of any pod.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import watch

from tests.support.lab import Execution, Lab
from tests.support.receipts import ended

EXECUTION_UID = "desist.dev/execution-uid"
AGAIN_SECONDS = 0.5


class LastStates:
    """Keeps them on a thread of its own."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._pods: dict[str, Any] = {}
        self._version: str | None = None
        """Where the next watch goes on: an end that comes between two of them is seen by neither."""
        self._news = threading.Condition()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"last states of {lab.name}", daemon=True)

    def start(self) -> None:
        """Begin with what is there."""
        self._thread.start()

    def stop(self) -> None:
        """The thread ends with its next event, or its next watch."""
        self._stopped.set()

    def of(self, execution: Execution, seconds: float = 30) -> Any:
        """The last state of its first pod, of which the workflow's container is reported ended."""
        return self._wait(lambda: self._first(execution), f"a pod of {execution.name}", seconds)

    def named(self, pod: str, seconds: float = 30) -> Any:
        """The last state of that pod, of which the workflow's container is reported ended."""
        return self._wait(lambda: self._pod(pod), f"pod {pod}", seconds)

    def _wait(self, found: Callable[[], Any], what: str, seconds: float) -> Any:
        end = time.monotonic() + seconds
        with self._news:
            while (pod := found()) is None or not _ended(pod):
                left = end - time.monotonic()
                assert left > 0, f"no end of {what} was seen within {seconds} s"
                self._news.wait(left)
        return pod

    def _pod(self, name: str) -> Any:
        return next((pod for pod in self._pods.values() if pod.metadata.name == name), None)

    def _first(self, execution: Execution) -> Any:
        mine = (pod for pod in self._pods.values() if (pod.metadata.labels or {}).get(EXECUTION_UID) == execution.uid)
        return min(mine, key=lambda pod: pod.metadata.creation_timestamp, default=None)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._watch()
            except Exception:  # a cut connection, in whatever way urllib3 says it; or 410: what is there comes anew
                self._version = None
                self._stopped.wait(AGAIN_SECONDS)

    def _watch(self) -> None:
        core, since = self._lab.core, {"resource_version": self._version} if self._version else {}
        stream: Any = watch.Watch().stream(core.list_namespaced_pod, self._lab.name, timeout_seconds=10, **since)
        for event in stream:
            self._version = event["object"].metadata.resource_version
            with self._news:
                self._note(event["object"])
                self._news.notify_all()
            if self._stopped.is_set():
                return

    def _note(self, pod: Any) -> None:
        known = self._pods.get(pod.metadata.uid)
        # A pod that is removed by force may lose what its kubelet has said before.
        if known is None or not _ended(known) or _ended(pod):
            self._pods[pod.metadata.uid] = pod


def _ended(pod: Any) -> bool:
    return bool(pod.status.container_statuses) and ended(pod) is not None


@contextmanager
def last_states(lab: Lab) -> Iterator[LastStates]:
    """Kept while the block runs."""
    kept = LastStates(lab)
    kept.start()
    try:
        yield kept
    finally:
        kept.stop()
