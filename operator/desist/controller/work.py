"""The queue as the controller uses it: a key is a kind and a UID, a pass says when the next one is due.

Contract: `add` may be called at any time; what is added while `held` is on is passed to the queue when it goes off.
Whether a key is urgent is asked at each add, so that every way of waking an execution with an undelivered stop uses
the fast lane. `stuck` tells the liveness probe of a pass that does not come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from desist.kube.queue import QueueOptions, WorkQueue

EXECUTION: Final = "WorkflowExecution"
WORKFLOW: Final = "Workflow"
LONGEST_PASS = 120.0
"""Seconds; every request of a pass ends long before, one way or the other."""
STOP_GRACE = 2.0
"""Seconds that running passes may take to end when the process stops."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a pass is over."""

    kind: str
    uid: str


Pass = Callable[[str], Awaitable[datetime | None]]


class Work:
    """Passes, one at a time for a key."""

    def __init__(
        self,
        passes: Mapping[str, Pass],
        urgent: Callable[[Key], bool],
        workers: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._passes = passes
        self._urgent = urgent
        self._clock = clock
        self._queue: WorkQueue[Key] = WorkQueue(self._run, QueueOptions(workers=workers))
        self._held: dict[Key, None] | None = None
        self._running: dict[Key, float] = {}

    def add(self, key: Key) -> None:
        """Pass over it soon."""
        if self._held is not None:
            self._held[key] = None
        else:
            self._queue.add(key, urgent=self._urgent(key))

    @contextmanager
    def held(self) -> Iterator[None]:
        """No pass begins inside; the keys that were added follow at the end, if it is reached."""
        self._held = {}
        yield
        held, self._held = self._held, None
        for key in held:
            self.add(key)

    def stuck(self) -> str | None:
        """Why a worker counts as dead."""
        now = asyncio.get_running_loop().time()
        old = [key for key, begun in self._running.items() if now - begun > LONGEST_PASS]
        return f"a pass over {old[0].kind} {old[0].uid} has not come back" if old else None

    async def stop(self) -> None:
        """Begin no pass any more; wait shortly for those that run."""
        await self._queue.stop(STOP_GRACE)

    async def _run(self, key: Key) -> None:
        loop = asyncio.get_running_loop()
        self._running[key] = loop.time()
        try:
            due = await self._passes[key.kind](key.uid)
        finally:
            del self._running[key]
        if due is not None:
            self._queue.add_after(key, max(0.0, (due - self._clock()).total_seconds()), urgent=self._urgent(key))
