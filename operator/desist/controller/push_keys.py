"""The push keys of this process: read from their Secret, made where there is none, rotated, and dropped at last.

Contract: `current` is the key for new pods, `get` the key that a pod names; both answer from memory, None where push is
off for it. `load` reads the Secret once at the start and waits MOMENT for that at most; `run` goes on for ever, looking
again every EVERY seconds, and soon after a pod has named a key that is not known (another controller's new one).
- The first start, and an administrator who takes `current` away, get a new key; so does one that is older than
  `rotate_after`, or was made by a clock that was far ahead. A key that is not current any more stays for KEPT, which is
  longer than a create of a pod may take or another controller may go by it, and then until no pod names it.
- Each change is guarded by the Secret's version: of two controllers at once one makes the key, and both use it.
- A Secret that is not there, may not be read, or whose current key is none: push is off, which is said once, and it is
  looked at again with a back-off. Where the API server cannot be reached, or refuses a change, what is known goes on to
  count.
The account may get and patch that one Secret, and no other: no watch, no list, no create.
Rejected: a watch (one more connection for what changes once a month), a key for each pod (30,000 of them, and each in
the pod's own environment, where its user reads it).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from desist.controller import push_ring
from desist.controller.cluster import Cluster, Outdated, SecretData, Vanished
from desist.controller.push_ring import PushKey, Ring
from desist.kube.errors import ApiError, Forbidden

logger = logging.getLogger(__name__)
MOMENT = 2.0
"""Seconds that the start waits for the Secret at most."""
EVERY = 60.0
SOONEST = 5.0
"""Seconds between two looks, whoever asks for them."""
FIRST, LONGEST = 5.0, 300.0
"""Seconds before a look that failed is tried again; doubles each time in a row."""
KEPT = timedelta(minutes=10)
AHEAD = timedelta(hours=1)
"""How far ahead a key may have been made. One of later than that would hold until then: it is due."""
TRIES = 3
"""Of one change, where another controller comes first."""


class Unusable(Exception):
    """The Secret says something that is no key for new pods."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the Secret is."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class PushKeys:
    """Holds them."""

    def __init__(
        self,
        cluster: Cluster,
        place: Place | None,
        rotate_after: timedelta | None,
        named: Callable[[], Collection[str]],
        clock: Callable[[], datetime],
    ) -> None:
        """`place` is None where push is off. `named` gives the ids that pods name. `clock`: one for all controllers."""
        self._cluster = cluster
        self._place = place
        self._rotate_after = rotate_after
        self._named = named
        self._clock = clock
        self._ring = Ring()
        self._asked = asyncio.Event()
        self._failures = 0
        self._said = ""

    @property
    def current(self) -> PushKey | None:
        """The key for new pods; None: they get none."""
        return self._ring.key

    def get(self, key_id: str) -> PushKey | None:
        """The key of that id; one that is not known is looked for soon."""
        key = self._ring.keys.get(key_id)
        if key is None:
            self._asked.set()
        return key

    async def load(self) -> None:
        """Read the Secret, and make the first key; what takes longer than a moment comes later."""
        try:
            async with asyncio.timeout(MOMENT):
                await self._try(drop=False)
        except TimeoutError:
            self._failed(f"the Secret {self._place} was not read within {MOMENT:g} s", keep=True)

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await self._wait()
            # Pods are known by now: before the start was over, none named any key.
            await self._try(drop=True)

    async def _wait(self) -> None:
        if self._place is None:
            await asyncio.Event().wait()
        await asyncio.sleep(SOONEST)
        pause = min(FIRST * 2.0 ** min(self._failures - 1, 30), LONGEST) if self._failures else EVERY
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, pause - SOONEST)):
                await (asyncio.Event() if self._failures else self._asked).wait()
        self._asked.clear()

    async def _try(self, drop: bool) -> None:
        """One look; never raises."""
        if self._place is None:
            return
        try:
            self._take(await self._look(self._place, drop))
        except Unusable as error:
            self._off(f"the Secret {self._place} is of no use: {error}")
        except Vanished:
            self._off(f"there is no Secret {self._place}")
        except Forbidden as error:
            self._off(f"the Secret {self._place} cannot be read: {error}")
        except ApiError as error:
            self._failed(f"the Secret {self._place} cannot be read: {error}", keep=True)
        except Exception as error:  # what it holds comes from outside, and it must not end the process
            logger.debug("looking at the push keys failed", exc_info=True)
            self._failed(f"the Secret {self._place} cannot be read: {error!r}", keep=True)

    async def _look(self, place: Place, drop: bool) -> Ring:
        """The Secret as it is, after what is due. Raises Unusable, Vanished, and kube's errors."""
        for _ in range(TRIES):
            found = await self._cluster.secret(place.namespace, place.name)
            ring = push_ring.read(found.data)
            changes = self._due(ring, drop)
            if not changes:
                return ring
            try:
                return push_ring.read((await self._change(place, found, changes)).data)
            except Outdated:
                logger.debug("the push keys were changed meanwhile: looking again")
            except ApiError as error:
                if ring.key is None:
                    raise
                return replace(ring, faults=(*ring.faults, f"it cannot be changed: {error}"))
        return ring

    async def _change(self, place: Place, found: SecretData, changes: push_ring.Changes) -> SecretData:
        return await self._cluster.change_secret(place.namespace, place.name, found.version, changes)

    def _due(self, ring: Ring, drop: bool) -> push_ring.Changes:
        """What is to be changed; nothing where the current key stays, and no old one is to go."""
        key, now = ring.key, self._clock()
        if key is None:
            if ring.current:
                raise Unusable("; ".join(ring.faults))
            return push_ring.new_key(now)
        if self._rotate_after is not None and not -AHEAD <= now - key.made < self._rotate_after:
            return push_ring.new_key(now)
        unneeded = ring.old - set(self._named()) if drop and ring.old and now - key.made >= KEPT else ()
        return push_ring.without(unneeded)

    def _take(self, ring: Ring) -> None:
        before, self._ring = self._ring, ring
        self._failures = 0
        if ring.current != before.current:
            logger.info("push: new pods get key %s", ring.current)
        if gone := sorted(before.keys.keys() - ring.keys.keys()):
            logger.info("push: keys that no pod names any more are gone: %s", ", ".join(gone))
        self._say(f"the Secret {self._place}: {'; '.join(ring.faults)}" if ring.faults else "")

    def _off(self, why: str) -> None:
        self._failed(why, keep=False)

    def _failed(self, why: str, keep: bool) -> None:
        self._failures += 1
        if not keep:
            self._ring = Ring()
        on = self.current is not None
        self._say(f"{why}; push goes on with the keys that are known" if on else f"push is off: {why}")

    def _say(self, words: str) -> None:
        """Once, for as long as it is so."""
        if words and words != self._said:
            logger.warning("%s", words)
        self._said = words
