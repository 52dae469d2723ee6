"""The one helper that waits: all that a namespace's executions, or operations, went through, recorded from a watch.

Contract: `Recorder` sees every state of every object of its namespace from the moment it is started; `wait` returns the
first recorded state that fits, also one that has passed already (short phases are not missed), or fails with what
was seen instead. Nothing sleeps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubernetes import client, watch

GROUP, VERSION, PLURAL = "desist.dev", "v1alpha1", "workflowexecutions"
Object = dict[str, Any]
Fits = Callable[[Object], bool]


@dataclass(frozen=True)
class Seen:
    """One recorded state."""

    number: int
    at: float
    """time.time() when it was seen."""
    event: str
    """ADDED, MODIFIED or DELETED."""
    object: Object


class Recorder:
    """Records a namespace's objects of one of Desist's kinds on a thread of its own."""

    def __init__(self, api: Any, namespace: str, plural: str = PLURAL) -> None:
        self._api = api
        self._namespace = namespace
        self._plural = plural
        self._seen: list[Seen] = []
        self._newest: dict[str, int] = {}
        """By UID: a watch that begins anew shows again what was seen."""
        self._news = threading.Condition()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"recorder of {namespace}/{plural}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def history(self, uid: str) -> list[Seen]:
        """Every recorded state of the object."""
        with self._news:
            return [seen for seen in self._seen if seen.object["metadata"]["uid"] == uid]

    def wait(self, uid: str, fits: Callable[[Seen], bool], seconds: float, after: int = -1) -> Seen | None:
        """The first state of the object, numbered above `after`, that fits; None when the time is over."""
        end = time.monotonic() + seconds
        looked = after + 1
        with self._news:
            while True:
                for seen in self._seen[looked:]:
                    looked += 1
                    if seen.object["metadata"]["uid"] == uid and fits(seen):
                        return seen
                left = end - time.monotonic()
                if left <= 0 or not self._news.wait(left):
                    return None

    def _run(self) -> None:
        version = "0"
        while not self._stopped.is_set():
            try:
                version = self._watch(version)
            except client.ApiException as error:
                # 410: begin again with what is there; 404: the kind is not served (a test of that is on its way).
                version = "0"
                self._stopped.wait(0.5 if error.status != 410 else 0)
            except Exception:  # a cut connection, in whatever way urllib3 says it
                self._stopped.wait(0.5)

    def _watch(self, version: str) -> str:
        stream: Any = watch.Watch().stream(
            self._api.list_namespaced_custom_object,
            GROUP,
            VERSION,
            self._namespace,
            self._plural,
            resource_version=version,
            # Else the version of a namespace in which nothing happens is too old soon, and short phases are missed.
            allow_watch_bookmarks=True,
            timeout_seconds=10,
            _request_timeout=15,
        )
        for event in stream:
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                self._note(event["type"], event["object"])
            if self._stopped.is_set():
                break
        return version

    def _note(self, event: str, held: Object) -> None:
        uid, version = held["metadata"]["uid"], int(held["metadata"]["resourceVersion"])
        if event != "DELETED" and version <= self._newest.get(uid, -1):
            return
        self._newest[uid] = version
        held.setdefault("status", {})  # an object that nobody has looked at yet
        with self._news:
            self._seen.append(Seen(len(self._seen), time.time(), event, held))
            self._news.notify_all()
