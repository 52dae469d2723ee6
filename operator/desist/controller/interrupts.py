"""Calls that a stop does not wait for: where one is asked for meanwhile, they are ended.

Contract: a key has one reconcile at a time, and so one such call. `run` makes the call beside the reconcile, and raises
`Overtaken` where `interrupt` came first: the reconcile ends, and the next one finds the stop. A call is ended only
while it cannot have been carried out, as its `Passage` says: one on the wire may have been, and its answer is awaited.
Rejected: to cancel the reconcile (a pod that was made, and of which nobody notes the UID).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from desist.controller.kinds import Key
from desist.kube.lanes import Passage

T = TypeVar("T")


class Overtaken(Exception):
    """A stop came first; the key is added already."""


class Interrupts:
    """The calls under way."""

    def __init__(self) -> None:
        self._under_way: dict[Key, tuple[asyncio.Task[Any], Passage]] = {}

    async def run(self, key: Key, call: Callable[[Passage], Coroutine[Any, Any, T]]) -> T:
        """What the call gives. Raises Overtaken, and what the call raises."""
        passage = Passage()
        made = asyncio.create_task(call(passage))
        self._under_way[key] = made, passage
        try:
            await asyncio.wait((made,))
        finally:
            del self._under_way[key]
            made.cancel()
        if made.cancelled():
            raise Overtaken("a stop came first")
        return made.result()

    def interrupt(self, key: Key) -> None:
        """A stop of it is asked for: end its call, unless that may have been carried out."""
        made, passage = self._under_way.get(key, (None, None))
        if made is not None and passage is not None and not passage.sent:
            made.cancel()
