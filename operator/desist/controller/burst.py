"""What waits until a burst of acceptances is written: pushes. Who is told ends, and its node is busy with the end.

Contract: `send` calls at once, unless a crowd of acceptances is on its way just then, and has been for less than BURST;
what it holds back it calls when few are left, in its order and each in the context of its `send`, BURST seconds after
the crowd came at the latest. So a stop beside a few others waits for nobody, of forty at once all are accepted before
the first one's end takes the time of the machine that the others' acceptances need, and where acceptances never cease
nothing waits.
A request that hangs does not count. Calls must not raise.
Rejected: to push each stop as soon as it is accepted (docs/decisions/0012-storm.md: the first of forty heard of it
sooner, half of them later, and the last one seconds later).
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable

from desist.controller.cluster import BURST
from desist.kube.lanes import Lane

Call = Callable[[], None]


class Burst:
    """Holds calls back while the lane is busy."""

    def __init__(self, acceptances: Lane) -> None:
        self._acceptances = acceptances
        self._held: list[Call] = []
        self._waits: asyncio.Task[None] | None = None

    def send(self, call: Call) -> None:
        """Call it at once, or after the burst."""
        if not self._held and not self._acceptances.busy(BURST):
            call()
            return
        context = contextvars.copy_context()
        self._held.append(lambda: context.run(call))
        if self._waits is None:
            self._waits = asyncio.create_task(self._release())

    def flush(self) -> None:
        """Call what is held back now."""
        held, self._held = self._held, []
        for call in held:
            call()

    async def _release(self) -> None:
        await self._acceptances.calm(BURST)
        self._waits = None
        self.flush()
