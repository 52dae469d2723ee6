"""The queue as the controller uses it: a key is a kind and a UID, a reconcile says when the next one is due.

Contract: `add` may be called at any time; what is added while `held` is on goes to the queue when it goes off. Whether
a key is urgent is asked at each add, and of a timer when it is due, so that every way of waking an execution with an
undelivered stop uses the fast lane. Timers go on while the machine sleeps. Namespaces take turns. `stuck` tells the
liveness probe of a reconcile that does not come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from desist.controller.clock import steady_seconds
from desist.controller.kinds import Key, Table
from desist.kube.queue import QueueOptions, WorkQueue

LONGEST_RECONCILE = 120.0
"""Seconds; every request of a reconcile ends long before, one way or the other."""
FOR_STOPS = 24
"""Places that only urgent reconciles may take, beside `workers`: a place is held while the API server answers, and of
forty stops at once none shall wait for others' answers before it is asked for itself (decision 12)."""
STOP_GRACE = 2.0
"""Seconds that running reconciles may take to end when the process stops."""


def _nothing(_: Key) -> None:
    pass


def _no_release(_: Key, failed: bool) -> None:
    pass


class Work:
    """Reconciles, one at a time for a key."""

    def __init__(
        self,
        table: Table,
        workers: int,
        clock: Callable[[], datetime],
        release: Callable[[Key, bool], None] = _no_release,
        interrupt: Callable[[Key], None] = _nothing,
        steady: Callable[[], float] = steady_seconds,
    ) -> None:
        """`release` is called when a reconcile of a key is over, and told whether it failed.

        `interrupt` is called when an urgent add meets a running one. `steady` times what is due.
        """
        self._table = table
        self._clock = clock
        self._release = release
        self._interrupt = interrupt
        self._queue: WorkQueue[Key] = WorkQueue(
            self._run, QueueOptions(workers=workers, reserved=FOR_STOPS), self._namespace, self._is_urgent, steady
        )
        self._held: dict[Key, None] | None = None
        self._running: dict[Key, float] = {}

    def add(self, key: Key) -> None:
        """Reconcile it soon."""
        if self._held is not None:
            self._held[key] = None
        else:
            urgent = self._is_urgent(key)
            self._queue.add(key, urgent=urgent)
            if urgent and key in self._running:
                self._interrupt(key)

    def later(self, key: Key, seconds: float) -> None:
        """Reconcile it in so many seconds at the latest."""
        if self._held is not None:
            self._held[key] = None
        else:
            self._queue.add_after(key, seconds)

    def leave(self, key: Key) -> None:
        """Its reconcile has done what others wait for, and goes on without a place."""
        self._queue.leave(key)

    @contextmanager
    def held(self) -> Iterator[None]:
        """No reconcile begins inside; the keys that were added follow at the end, if it is reached."""
        self._held = {}
        yield
        held, self._held = self._held, None
        for key in held:
            self.add(key)

    def stuck(self) -> str | None:
        """Why a worker counts as dead."""
        now = asyncio.get_running_loop().time()
        old = [key for key, begun in self._running.items() if now - begun > LONGEST_RECONCILE]
        return f"the reconcile of {old[0].kind} {old[0].uid} has not come back" if old else None

    async def stop(self) -> None:
        """Begin no reconcile any more; wait shortly for those that run."""
        await self._queue.stop(STOP_GRACE)

    async def _run(self, key: Key) -> None:
        self._running[key] = asyncio.get_running_loop().time()
        failed = True
        try:
            due = await self._table[key.kind].reconcile(key.uid)
            failed = False
        finally:
            del self._running[key]
            self._release(key, failed)
        if due is not None:
            seconds = max(0.0, (due - self._clock()).total_seconds())
            self._queue.add_after(key, seconds)

    def _namespace(self, key: Key) -> str:
        """Whose turn it takes; empty for an object that is gone."""
        return self._table[key.kind].namespace(key.uid)

    def _is_urgent(self, key: Key) -> bool:
        return self._table[key.kind].is_urgent(key.uid)
