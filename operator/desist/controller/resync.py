"""What kopf never says: which executions and workflows were deleted while its watch was cut.

Contract: every `interval` seconds, and shortly after kopf has listed again (`listed_again`), the objects are listed
(metadata only) and compared with the store. Records whose objects are gone are dropped. Objects that are newer than
their record get PATIENCE to come through the watch; what is still behind then is read directly, and `behind` says so
until a comparison finds nothing behind: a watch that is deaf fails the liveness probe. A list that cannot be made is
tried again; it makes nothing known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from desist.controller.cluster import Cluster, Vanished
from desist.controller.store import Difference, Store

logger = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that a watch may take to deliver what a list has shown."""
DEBOUNCE = 1.0
"""Seconds without a listing event after which kopf's listing counts as over."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object, its store, and whom to tell."""

    name: str
    store: Store[Any]
    note: Callable[[Any], None]
    """Called with the body of an object that the watch has not delivered."""
    gone: Callable[[str], None]
    """Called with the UID of a record whose object is gone."""


@dataclass(slots=True)
class Resync:
    """Compares stores with lists, for ever."""

    cluster: Cluster
    kinds: tuple[Kind, ...]
    interval: float
    behind: int = 0
    """How many objects the last comparison found that the watch had not delivered in time."""
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _last_listing: float = 0.0

    def listed_again(self) -> None:
        """Kopf has delivered an object by a listing."""
        self._last_listing = asyncio.get_running_loop().time()
        self._asked.set()

    def deaf(self) -> str | None:
        """For the liveness probe: why a watch counts as deaf."""
        return f"kopf's watch is behind: {self.behind} objects were not delivered" if self.behind else None

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await self._wait()
            self._asked.clear()
            try:
                self.behind = sum([await self.compare(kind) for kind in self.kinds])
            except Exception as error:  # the next round tries again; nothing was concluded
                logger.warning("comparing with a list failed: %s", error)

    async def compare(self, kind: Kind) -> int:
        """Compare one kind once; gives how many objects its watch did not deliver. Raises kube's errors."""
        difference = await self._difference(kind)
        for uid in difference.gone:
            logger.info("a %s was deleted while nobody watched: %s", kind.name, uid)
            kind.gone(uid)
        if not difference.behind:
            return 0
        await asyncio.sleep(PATIENCE)
        late = difference.behind & (await self._difference(kind)).behind
        for namespace, name in late:
            await self._read(kind, namespace, name)
        return len(late)

    async def _difference(self, kind: Kind) -> Difference:
        listed, version = await self.cluster.list_metadata(kind.name)
        return kind.store.compare(listed, version)

    async def _read(self, kind: Kind, namespace: str, name: str) -> None:
        try:
            kind.note(await self.cluster.get(kind.name, namespace, name))
        except Vanished:
            logger.debug("%s %s/%s went meanwhile", kind.name, namespace, name)

    async def _wait(self) -> None:
        """Until the interval is over, or until kopf has listed again and is through."""
        try:
            await asyncio.wait_for(self._asked.wait(), self.interval)
        except TimeoutError:
            return
        while (left := self._last_listing + DEBOUNCE - asyncio.get_running_loop().time()) > 0:
            self._asked.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), left)
