"""A keyed work queue: which key gets a reconcile now, which later, and never two reconciles of one key at a time.

Contract:
- `add` asks for a reconcile. Adds of a key that waits are one. An add during a reconcile of the key guarantees one
  more after it, so that nothing which happened meanwhile is overlooked.
- Urgent keys overtake all others, and `reserved` places are theirs alone: reconciles that hang cannot fill the house. A
  waiting key that is added as urgent becomes urgent; the reverse does not happen. While both wait, one reconcile in
  `ordinary_every` is an ordinary one's: urgent keys that never end starve nobody.
- Keys have a group (by default each its own), and groups take turns, in both lanes. A group may hold three times as
  many places as it leaves free: one whose reconciles are slow never has them all.
- A key has one timer, and the earliest time wins. A reconcile that begins drops it: it says anew when the next is due.
- A reconcile that raises is repeated after a back-off that doubles (`retry_after` of the error, if it has one, is the
  least), and as urgently as it was. An ordinary add waits for the back-off's end; an urgent one does not. A reconcile
  that returns resets it.
- `stop` begins no more reconciles, lets the running ones end within a grace, and cancels the rest.
Time is the event loop's; the queue must be used within its loop. Rejected: `asyncio.Queue` with workers (no keys), a
priority queue (two lanes need no heap), a task for each key (10,000 tasks that sleep).
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from desist.kube.errors import ApiError
from desist.kube.turns import Group, Turns

Key = TypeVar("Key", bound=Hashable)
logger = logging.getLogger(__name__)
SHARE = 3
"""A group may hold so many times the places that are free."""


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """How many reconciles at a time; back-off in seconds. Raises ValueError where they make no sense."""

    workers: int = 16
    reserved: int = 4
    """Places beside `workers` that only urgent keys may take."""
    ordinary_every: int = 8
    """While keys of both lanes wait, one reconcile of so many is an ordinary key's."""
    backoff: float = 0.2
    backoff_max: float = 10.0

    def __post_init__(self) -> None:
        counts = self.workers >= 1 and self.reserved >= 0 and self.ordinary_every >= 2
        if not counts or not 0 < self.backoff <= self.backoff_max:
            raise ValueError(f"these make no queue: {self}")

    def delay(self, failures: int) -> float:
        """Back-off after so many failures in a row, without jitter."""
        return min(self.backoff * 2.0 ** min(failures - 1, 30), self.backoff_max)


@dataclass(slots=True)
class _Timer:
    when: float
    urgent: bool
    handle: asyncio.TimerHandle


@dataclass(slots=True)
class _Failing:
    failures: int
    until: float
    """Before this time an ordinary add does not lead to a reconcile."""


class WorkQueue(Generic[Key]):
    """Runs `work(key)` for keys that were added. `group_of` is asked when a key begins to wait."""

    def __init__(
        self,
        work: Callable[[Key], Awaitable[None]],
        options: QueueOptions | None = None,
        group_of: Callable[[Key], Group] = lambda key: key,
    ) -> None:
        self._work = work
        self._options = options or QueueOptions()
        self._group_of = group_of
        self._urgent: Turns[Key] = Turns()
        self._ordinary: Turns[Key] = Turns()
        self._urgent_in_a_row = 0
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._places: Counter[Group] = Counter()
        """Places that each group holds."""
        self._again: dict[Key, bool] = {}
        """Keys that were added during their reconcile, and whether as urgent."""
        self._timers: dict[Key, _Timer] = {}
        self._failing: dict[Key, _Failing] = {}
        self._stopped = False

    def __len__(self) -> int:
        """Keys that wait for a place; those with a timer do not."""
        return len(self._urgent) + len(self._ordinary)

    @property
    def running(self) -> int:
        """Reconciles at this moment."""
        return len(self._running)

    def add(self, key: Key, urgent: bool = False) -> None:
        """Ask for a reconcile now."""
        if key in self._running:
            self._again[key] = urgent or self._again.get(key, False)
            return
        failing = self._failing.get(key)
        if failing is not None and not urgent and failing.until > self._now():
            self._set_timer(key, failing.until, urgent=False)
            return
        self._enqueue(key, urgent)
        self._fill()

    def add_after(self, key: Key, seconds: float, urgent: bool = False) -> None:
        """Ask for a reconcile in so many seconds; 0 or less: now."""
        self.add_at(key, self._now() + seconds, urgent)

    def add_at(self, key: Key, when: float, urgent: bool = False) -> None:
        """Ask for a reconcile at a time of the loop's clock; an earlier one that was asked for stays."""
        if when <= self._now():
            self.add(key, urgent)
        else:
            self._set_timer(key, when, urgent)

    def forget(self, key: Key) -> None:
        """Drop the key's timer and its back-off; a reconcile that waits or runs is not touched."""
        self._drop_timer(key)
        self._failing.pop(key, None)

    async def stop(self, grace: float) -> frozenset[Key]:
        """Begin no more reconciles; give the running ones `grace` seconds, then cancel them. Gives their keys."""
        self._stopped = True
        for key in list(self._timers):
            self._drop_timer(key)
        running = dict(self._running)
        if running:
            await asyncio.wait(running.values(), timeout=grace)
        cut = frozenset(key for key, task in running.items() if not task.done())
        for key in cut:
            running[key].cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)
        return cut

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _enqueue(self, key: Key, urgent: bool) -> None:
        if urgent:
            self._ordinary.discard(key)
            self._urgent.add(key, self._group_of(key))
        elif key not in self._urgent:
            self._ordinary.add(key, self._group_of(key))

    def _fill(self) -> None:
        """Begin as many reconciles as there are places."""
        while not self._stopped and (taken := self._next()) is not None:
            key, group, urgent = taken
            self._drop_timer(key)
            self._places[group] += 1
            # An empty context: what the caller of `add` had set (log fields of another key) is not this reconcile's.
            task = asyncio.create_task(self._reconcile(key, group, urgent), context=contextvars.Context())
            self._running[key] = task

    def _next(self) -> tuple[Key, Group, bool] | None:
        """The key that is next, its group, and whether it is urgent; None: there is none, or no place for it."""
        turn = self._urgent_in_a_row + 1 < self._options.ordinary_every
        for urgent in (True, False) if turn else (False, True):
            if (taken := self._take(urgent)) is not None:
                self._urgent_in_a_row = self._urgent_in_a_row + 1 if urgent and self._ordinary else 0
                return *taken, urgent
        return None

    def _take(self, urgent: bool) -> tuple[Key, Group] | None:
        """The next key of a lane, and its group."""
        free = self._options.workers + (self._options.reserved if urgent else 0) - len(self._running)
        if free <= 0:
            return None
        lane = self._urgent if urgent else self._ordinary
        return lane.take(lambda group: self._places[group] < SHARE * free)

    async def _reconcile(self, key: Key, group: Group, urgent: bool) -> None:
        try:
            await self._work(key)
            self._failing.pop(key, None)
        except Exception as error:
            self._failed(key, urgent, error)
        finally:
            self._leave(key, group)
            again = self._again.pop(key, None)
            if again is not None and not self._stopped:
                self.add(key, again)
            self._fill()

    def _leave(self, key: Key, group: Group) -> None:
        del self._running[key]
        self._places[group] -= 1
        if not self._places[group]:
            del self._places[group]

    def _failed(self, key: Key, urgent: bool, error: Exception) -> None:
        failures = self._failing[key].failures + 1 if key in self._failing else 1
        delay = self._options.delay(failures) * random.uniform(0.75, 1.0)
        if isinstance(error, ApiError):
            delay = max(delay, error.retry_after or 0.0)
            logger.warning("reconcile of %s failed (%d in a row), again in %.1f s: %s", key, failures, delay, error)
        else:
            logger.error("reconcile of %s failed (%d in a row), again in %.1f s", key, failures, delay, exc_info=error)
        until = self._now() + delay
        self._failing[key] = _Failing(failures, until)
        self._set_timer(key, until, urgent)

    def _set_timer(self, key: Key, when: float, urgent: bool) -> None:
        known = self._timers.get(key)
        if known is not None:
            urgent = urgent or known.urgent
            when = min(when, known.when)
            known.handle.cancel()
        if not self._stopped:
            handle = asyncio.get_running_loop().call_at(when, self._due, key)
            self._timers[key] = _Timer(when, urgent, handle)

    def _due(self, key: Key) -> None:
        timer = self._timers.pop(key)
        failing = self._failing.get(key)
        if failing is not None and failing.until <= timer.when:
            # The loop may call a timer a clock's resolution early: the back-off is over all the same.
            failing.until = timer.when - 1
        self.add(key, timer.urgent)

    def _drop_timer(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.handle.cancel()
