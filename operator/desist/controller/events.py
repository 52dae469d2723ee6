"""Kubernetes Events about executions and workflows, for `kubectl describe` and whoever collects them.

Contract: an Event tells of something that is already true: it is made after the status write that it speaks of. Its
name is a hash of what it says and of the version that it speaks of, so that saying it twice is a 409 that is fine.
It is made beside the reconciles (`EventRecorder`) and in a lane of its own: an API server that is slow with Events, or
limits them, delays nothing else, and a failure is logged and that is all, because Events are not the record, status is.
Rejected: kopf's posting (its queue and its names are not ours, and it writes an Event for every log line unless told
otherwise).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from desist.api import outside
from desist.api.base import rfc3339
from desist.api.meta import API_VERSION, GROUP, ObjectMeta
from desist.controller.kinds import Kind

CONTROLLER = f"{GROUP}/operator"
logger = logging.getLogger(__name__)
WAITING = 1000
"""Events on their way at most; more are dropped, and the log says so."""
NOTE_BYTES = 1024
"""The API server's limit for an Event's note."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The object that an Event is about."""

    kind: Kind[Any]
    metadata: ObjectMeta

    @property
    def reference(self) -> dict[str, str]:
        """A Kubernetes ObjectReference."""
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind.name,
            "namespace": self.metadata.namespace,
            "name": self.metadata.name,
            "uid": self.metadata.uid,
            "resourceVersion": self.metadata.resource_version,
        }


@dataclass(frozen=True, slots=True)
class Notice:
    """What an Event says."""

    reason: str
    message: str
    warning: bool = False


def event_body(subject: Subject, notice: Notice, now: datetime, instance: str) -> dict[str, Any]:
    """The events.k8s.io/v1 object. `instance` names this process (at most 128 characters)."""
    metadata = subject.metadata
    told = "\0".join((metadata.uid, metadata.resource_version, notice.reason, notice.message))
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "namespace": metadata.namespace,
            "name": f"{metadata.name[:230].rstrip('.-')}.{hashlib.sha256(told.encode()).hexdigest()[:16]}",
        },
        "eventTime": rfc3339(now),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
        "type": "Warning" if notice.warning else "Normal",
        "reason": notice.reason,
        "action": notice.reason,
        "regarding": subject.reference,
        "note": _cut(notice.message),
    }


def _cut(text: str) -> str:
    text = outside.text(text, NOTE_BYTES)
    data = text.encode()
    return text if len(data) <= NOTE_BYTES else data[: NOTE_BYTES - 3].decode(errors="ignore") + "..."


RecordEvent = Callable[[Subject, Notice], None]


class EventRecorder:
    """Makes Events in the background; `create` never raises."""

    def __init__(
        self, create: Callable[[Subject, Notice, datetime], Awaitable[None]], clock: Callable[[], datetime]
    ) -> None:
        self._create = create
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def record(self, subject: Subject, notice: Notice) -> None:
        """Make an Event soon."""
        if len(self._tasks) >= WAITING:
            logger.warning("too many Events are waiting: %s is dropped", notice.reason)
            return
        task = asyncio.create_task(self._made(subject, notice, self._clock()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self, grace: float) -> None:
        """Give those on their way so many seconds, then drop them."""
        tasks = set(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _made(self, subject: Subject, notice: Notice, now: datetime) -> None:
        await self._create(subject, notice, now)
