"""A queue whose reconciles are written down, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from desist.kube.queue import QueueOptions, WorkQueue
from tests.unit.kube.virtual import run

Act = Callable[[WorkQueue[str], "Diary"], Awaitable[None]]


class Diary:
    """Reconciles that take a while; writes down when each began and ended."""

    def __init__(self, takes: float = 1.0) -> None:
        self.began: list[tuple[float, str]] = []
        self.ended: list[tuple[float, str]] = []
        self.takes = takes
        self.errors: list[Exception] = []
        self.at_once = 0
        self._now: list[str] = []

    async def work(self, key: str) -> None:
        time = asyncio.get_running_loop().time
        self.began.append((time(), key))
        assert key not in self._now, f"two reconciles of {key} at a time"
        self._now.append(key)
        self.at_once = max(self.at_once, len(self._now))
        try:
            await asyncio.sleep(self.takes)
            if self.errors:
                raise self.errors.pop(0)
        finally:
            self._now.remove(key)
        self.ended.append((time(), key))

    @property
    def order(self) -> list[str]:
        return [key for _, key in self.began]

    def times(self, key: str) -> list[float]:
        return [round(time, 6) for time, began in self.began if began == key]


def after(act: Act, options: QueueOptions | None = None, takes: float = 1.0, seconds: float = 100) -> Diary:
    """The diary of a queue that `act` used and that then had time."""
    diary = Diary(takes)

    async def play() -> None:
        queue = WorkQueue(diary.work, options)
        await act(queue, diary)
        await asyncio.sleep(seconds)
        await queue.stop(1)

    run(play())
    return diary
