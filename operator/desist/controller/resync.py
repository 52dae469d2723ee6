"""What watches did not say: objects that were deleted, or changed, without a word, and a restored store.

Contract: every `interval` seconds, and shortly after kopf has listed again (`heard`), objects are listed (metadata
only) and compared with the store. Records whose objects are gone are dropped (kopf does not tell of them where its
watch was cut, and a late answer may put one back). Objects that are newer than their record, or have none, get PATIENCE
to come through the watch; what is still behind then is read directly, and the watch counts as deaf. A reflector of ours
leaves a deaf watch and lists (`relist`); kopf cannot be told to: until it delivers something of that kind the liveness
probe fails.
Operations are compared each SELDOM-th time only. So are pods and nodes; a watch of theirs that owes something is left,
and lists.
Until the first object of a kind that kopf watches has come, while there are some, the operator is not ready: a
connection that was made while the node's network was being set up may stay open and silent. A list that cannot be made
is tried again; nothing is concluded from it.
A list whose version is lower than one that was known before it was asked for (an object's, or one that a reflector had
come to by bookmarks alone), or that shows an object in an older state than is known, though it is no older itself,
tells that the cluster's own store was restored from a backup. Then nothing that is known holds: all objects are listed
anew, with their bodies (the same version may now hold something else), and whoever else keeps versions is told
(`restored`).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from desist.controller.cluster import Cluster, Vanished
from desist.controller.intake import Intake
from desist.controller.kinds import Kind, Managed
from desist.kube.errors import ApiError
from desist.kube.lanes import Budget

logger = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds that a watch may take to deliver what a list has shown."""
SELDOM = 10
"""In which of the rounds operations, pods and nodes are compared."""
DEBOUNCE = 1.0
"""Seconds without a listing event after which kopf's listing counts as over."""


@dataclass(slots=True)
class Resync:
    """Compares stores with lists, for ever."""

    cluster: Cluster
    intake: Intake
    interval: float
    restored: Callable[[], None]
    """Called where versions have gone back."""
    relist: Callable[[Kind[Any]], None]
    """Called where a reflector's watch is deaf."""
    others: Callable[[float], Iterable[tuple[str, Awaitable[None]]]]
    """Comparisons of pods and of nodes, whose watches get so many seconds for what a list has shown."""
    reached: Callable[[Kind[Any]], int]
    """Up to which version a reflector has been told everything of that kind; 0: nobody knows."""
    _deaf: dict[str, int] = field(default_factory=dict)
    """By kind: how many objects a list has shown that kopf's watch did not deliver in time."""
    _heard: set[str] = field(default_factory=set)
    """Kinds of which kopf's watch has delivered something."""
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _last_listing: float = 0.0

    def heard(self, kind: Kind[Any], listing: bool) -> None:
        """Kopf has delivered an object of that kind; `listing`: because it has listed again."""
        self._deaf.pop(kind.name, None)
        self._heard.add(kind.name)
        if listing:
            self._last_listing = asyncio.get_running_loop().time()
            self._asked.set()

    def deaf(self) -> str | None:
        """For the liveness probe: why a watch counts as deaf."""
        return next((_complaint(kind, count) for kind, count in self._deaf.items()), None)

    def silent(self) -> str | None:
        """For the readiness probe: which watch has not delivered anything yet."""
        rows = self.intake.table.items()
        kopfs = (name for name, row in rows if not row.kind.mirrored and len(row.store) > 0)
        names = (name for name in kopfs if name not in self._heard)
        return next((f"the watch of {name} has not delivered anything yet" for name in names), None)

    async def run(self) -> None:
        """Go on until cancelled."""
        for count in itertools.count(1):
            await self._wait()
            self._asked.clear()
            all_of_them = count % SELDOM == 0
            for row in self.intake.table.values():
                if all_of_them or not row.kind.seldom_compared:
                    await _try(row.kind.name, self.compare(row))
            if all_of_them:
                for what, comparison in self.others(PATIENCE):
                    await _try(what, comparison)

    async def compare(self, row: Managed[Any]) -> None:
        """Compare one kind once. Raises kube's errors."""
        kind = row.kind
        highest = max(row.store.highest, self.reached(kind))
        listed, version = await self.cluster.list_metadata(kind)
        if version < highest or row.store.ahead_of(listed, version):
            logger.warning("versions of %s went back (known %d, now %d): listing anew", kind.name, highest, version)
            row.store.doubt()
            self.restored()
        if row.store.doubted and not kind.mirrored:
            await self._take_back(row)
            return
        if row.store.doubted and not self.reached(kind):
            return  # its reflector is about to say what there is
        difference = row.store.compare(listed, version)
        for uid in difference.gone:
            logger.info("a %s was deleted while nobody watched: %s", kind.name, uid)
            self.intake.forget(kind, uid)
        if not difference.behind:
            return
        await asyncio.sleep(PATIENCE)
        late = row.store.compare(listed, version).behind
        found = sum([await self._read(kind, namespace, name) for namespace, name in late])
        if found:
            logger.error("%s", _complaint(kind.name, found))
            self._call_deaf(kind, found)

    def _call_deaf(self, kind: Kind[Any], found: int) -> None:
        """The watch of that kind is deaf."""
        if kind.mirrored:
            self.relist(kind)
        else:
            self._deaf[kind.name] = found

    async def _take_back(self, row: Managed[Any]) -> None:
        """What is listed is what there is. Raises kube's errors; then the next round begins again."""
        async for body in self.cluster.list(row.kind):
            self.intake.note(row.kind, body)
        for uid in row.store.doubted:
            self.intake.forget(row.kind, uid)

    async def _read(self, kind: Kind[Any], namespace: str, name: str) -> bool:
        """Note the object as it is; False where it went meanwhile. One that cannot be had holds no other one up."""
        try:
            self.intake.note(kind, await self.cluster.get(kind, namespace, name, Budget.START))
        except Vanished:
            return False
        except ApiError as error:
            logger.warning("%s %s/%s, which is listed, is not read: %s", kind.name, namespace, name, error)
        return True

    async def _wait(self) -> None:
        """Until the interval is over, or until kopf has listed again and is through."""
        # Not `wait_for`: before Python 3.12 it drops a cancellation that comes when it has what it waits for.
        try:
            async with asyncio.timeout(self.interval):
                await self._asked.wait()
        except TimeoutError:
            return
        while (until := self._last_listing + DEBOUNCE) > asyncio.get_running_loop().time():
            self._asked.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._asked.wait()


async def _try(what: str, comparison: Awaitable[None]) -> None:
    """Compare; where that fails, a later round does, and others need not wait for it."""
    try:
        await comparison
    except Exception as error:
        logger.warning("comparing %s with a list failed: %s", what, error)


def _complaint(kind: str, count: int) -> str:
    return f"the watch of {kind} is deaf: {count} not delivered"
