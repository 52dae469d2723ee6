"""Creates of pods, dry runs and real ones: few at a time, each with a time limit, and what was refused is remembered.

Contract: a webhook may hold up each create for half a minute, and a tenant may start hundreds. So
- a create needs a slot (kube/slots): without one `NoSlot` is raised, the reconcile ends, and its key is woken when a
  slot is kept for it. `release` belongs at the end of every reconcile.
- a dry run ends at once where a stop is asked for meanwhile (`interrupts`): that one has nothing to try any more. So
  does a create that still waits to be sent; one that was sent may have happened, and its answer is awaited.
- what has not been answered in time is refused, in words. It may happen all the same: that is a late start.
- a refusal holds until its wait is over, for the same try (`of`: what it was made from); it doubles with each one in a
  row. The core is told how long is left, and nobody is asked meanwhile, whatever wakes the key.
In memory only: a restart asks anew. Rejected: a wait in status (a write each time), the queue's back-off (a stop would
inherit it, and an ordinary event would reset it).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from desist.api.base import Opaque
from desist.api.meta import ObjectMeta
from desist.controller.cluster import Cluster
from desist.controller.interrupts import Interrupts
from desist.controller.kinds import Key
from desist.kube.slots import Slots
from desist.lifecycle.observed.questions import Answer, CreateAnswer
from desist.lifecycle.settings import Settings


class NoSlot(Exception):
    """No slot is free; the key is woken when one is."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    of: Hashable
    answer: CreateAnswer
    times: int
    """How often in a row."""
    until: float
    """By the clock of `Creates`."""


class Creates:
    """All creates of pods. `clock` gives seconds, and only ever goes forward."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        slots: int,
        wake: Callable[[Key], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._clock = clock
        self._dry_runs: Slots[Key] = Slots(slots, wake)
        self._real: Slots[Key] = Slots(slots, wake)
        self._refusals: dict[Key, _Refusal] = {}
        self.interrupts = Interrupts()

    async def dry_run(self, key: Key, owner: ObjectMeta, of: Hashable, manifest: Callable[[], Opaque]) -> CreateAnswer:
        """The answer to a dry run, as it was given if it still holds. Raises NoSlot, Overtaken, kube's errors."""
        held = self._refusals.get(key)
        if held is not None and held.of == of and held.until > self._clock():
            return replace(held.answer, retry_after=held.until - self._clock())
        self._take(self._dry_runs, key, owner.namespace)
        # Nothing comes of a dry run: it may be ended on the wire, too.
        answer = await self.interrupts.run(key, lambda _: self._cluster.dry_run_pod(owner, manifest()))
        return self._noted(key, of, answer)

    async def create(self, key: Key, owner: ObjectMeta, pod: str, manifest: Opaque) -> CreateAnswer:
        """The answer to a create. Raises NoSlot, Overtaken, and kube's errors."""
        self._take(self._real, key, owner.namespace)
        answer = await self.interrupts.run(key, lambda passage: self._cluster.create_pod(owner, manifest, passage))
        return self._noted(key, pod, answer)

    def release(self, key: Key, failed: bool = False) -> None:
        """The reconcile of that key is over; one that failed waits for no slot, but for its back-off."""
        for slots in (self._dry_runs, self._real):
            if failed:
                slots.leave(key)
            else:
                slots.release(key)

    def forget(self, key: Key) -> None:
        """Nothing is created for it any more."""
        self._refusals.pop(key, None)

    def _take(self, slots: Slots[Key], key: Key, namespace: str) -> None:
        if not slots.take(key, namespace):
            raise NoSlot(f"{slots.waiting} creates of pods wait for a slot")

    def _noted(self, key: Key, of: Hashable, answer: CreateAnswer) -> CreateAnswer:
        before = self._refusals.pop(key, None)
        if answer.answer is Answer.PASSED:
            return answer
        times = before.times + 1 if before is not None and before.of == of else 1
        wait = self._wait(answer.answer, times)
        self._refusals[key] = _Refusal(of, answer, times, self._clock() + wait)
        return replace(answer, retry_after=wait)

    def _wait(self, answer: Answer, times: int) -> float:
        settings = self._settings
        first = settings.retry_invalid_after if answer is Answer.INVALID else settings.retry_after
        return min(first * 2.0 ** min(times - 1, 30), max(first, settings.retry_after_max))
