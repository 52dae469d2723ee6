"""A keyed work queue: which key gets a reconcile now, which later, and never two reconciles of one key at a time.

Contract:
- `add` asks for a reconcile. Adds of a key that waits are one. An add during a reconcile of the key guarantees one
  more after it, so that nothing which happened meanwhile is overlooked.
- Urgent keys overtake all others, and `reserved` places are theirs alone: reconciles that hang cannot fill the house. A
  waiting key that is added as urgent becomes urgent; the reverse does not happen. Ordinary keys keep a `share` of the
  places, and while both wait, one reconcile in `ordinary_every` is an ordinary one's: urgent keys that never end, or
  hang, starve nobody.
- Keys have a group (by default each its own), and groups take turns, in both lanes. In each lane a group may hold three
  times as many places as it leaves free: one whose reconciles are slow never has them all.
- A key has one timer, and the earliest time wins. A reconcile that begins drops it: it says anew when the next is due.
  Whether a key is urgent is asked when it is due, for it may have become so by the time that has passed.
- A reconcile that raises is repeated after a back-off that doubles (`retry_after` of the error, if it has one, is the
  least), and as urgently as it was. An ordinary add waits for the back-off's end; an urgent one does not. A reconcile
  that returns resets it.
- A reconcile that has done what others may wait for can `leave` its place to the next one, and goes on without; no more
  than `aside` at a time, so that those which hang there are bounded, too.
- `stop` begins no more reconciles, lets the running ones end within a grace, and cancels the rest.
Time is `clock`'s, which may go on while the machine (and the event loop's clock) sleeps: what came due meanwhile is
seen LONGEST_SLEEP seconds after at the latest. The queue must be used within its loop. Rejected: `asyncio.Queue` with
workers (no keys), a priority queue (two lanes need no heap), a task for each key (10,000 tasks that sleep).
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
LONGEST_SLEEP = 30.0
"""Seconds after which a timer looks at the clock again."""
EARLY = 0.001
"""Seconds: the loop may call a timer its clock's resolution early."""


def _never(_: object) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """How many reconciles at a time; back-off in seconds. Raises ValueError where they make no sense."""

    workers: int = 16
    reserved: int = 4
    """Places beside `workers` that only urgent keys may take."""
    ordinary_every: int = 8
    """While keys of both lanes wait, one reconcile of so many is an ordinary key's."""
    aside: int = 64
    """Reconciles that have left their place and go on."""
    backoff: float = 0.2
    backoff_max: float = 10.0

    def __post_init__(self) -> None:
        counts = self.workers >= 1 and self.reserved >= 0 and self.ordinary_every >= 2 and self.aside >= 0
        if not counts or not 0 < self.backoff <= self.backoff_max:
            raise ValueError(f"these make no queue: {self}")

    @property
    def share(self) -> int:
        """Places that no urgent key may take; where there is but one place, none."""
        return min(max(1, self.workers // self.ordinary_every), self.workers + self.reserved - 1)

    def delay(self, failures: int) -> float:
        """Back-off after so many failures in a row, without jitter."""
        return min(self.backoff * 2.0 ** min(failures - 1, 30), self.backoff_max)


@dataclass(slots=True)
class _Timer:
    when: float
    handle: asyncio.TimerHandle


@dataclass(slots=True)
class _Failing:
    failures: int
    until: float
    """Before this time an ordinary add does not lead to a reconcile."""
    urgent: bool
    """Whether it is repeated as urgent then, whatever `is_urgent` says."""


class WorkQueue(Generic[Key]):
    """Runs `work(key)` for keys that were added. `group_of` is asked when a key begins to wait.

    `is_urgent` is asked when a timer is due, and says whether the key is added as urgent then; `clock` gives seconds,
    only ever goes forward, and at least as fast as the loop's (None: the loop's own).
    """

    def __init__(
        self,
        work: Callable[[Key], Awaitable[None]],
        options: QueueOptions | None = None,
        group_of: Callable[[Key], Group] = lambda key: key,
        is_urgent: Callable[[Key], bool] = _never,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._work = work
        self._options = options or QueueOptions()
        self._group_of = group_of
        self._is_urgent = is_urgent
        self._clock = clock
        self._urgent: Turns[Key] = Turns()
        self._ordinary: Turns[Key] = Turns()
        self._urgent_in_a_row = 0
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._placed: dict[Key, tuple[bool, Group]] = {}
        """Those that hold a place: whether as urgent, and for which group."""
        self._ordinary_running = 0
        self._places: Counter[tuple[bool, Group]] = Counter()
        """Places that each group holds as urgent, and as ordinary."""
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
        if failing is not None and not urgent:
            if failing.until > self._now():
                self._set_timer(key, failing.until)
                return
            urgent = failing.urgent
        self._enqueue(key, urgent)
        self._fill()

    def add_after(self, key: Key, seconds: float) -> None:
        """Ask for a reconcile in so many seconds; 0 or less: now."""
        self.add_at(key, self._now() + seconds)

    def add_at(self, key: Key, when: float) -> None:
        """Ask for a reconcile at a time of the clock; an earlier one that was asked for stays."""
        if when <= self._now():
            self.add(key, self._is_urgent(key))
        else:
            self._set_timer(key, when)

    def leave(self, key: Key) -> None:
        """The reconcile of the key needs its place no more, though it goes on: the next one may begin."""
        if len(self._running) - len(self._placed) < self._options.aside:
            self._vacate(key)
            self._fill()

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
        return asyncio.get_running_loop().time() if self._clock is None else self._clock()

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
            self._placed[key] = urgent, group
            self._places[urgent, group] += 1
            self._ordinary_running += not urgent
            # An empty context: what the caller of `add` had set (log fields of another key) is not this reconcile's.
            task = asyncio.create_task(self._reconcile(key, urgent), context=contextvars.Context())
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
        free = self._free(urgent)
        if free <= 0:
            return None
        lane = self._urgent if urgent else self._ordinary
        return lane.take(lambda group: self._places[urgent, group] < SHARE * free)

    def _free(self, urgent: bool) -> int:
        """Places that a key of the lane may take now."""
        options = self._options
        empty = options.workers + options.reserved - len(self._placed)
        kept = max(0, options.share - self._ordinary_running)
        return empty - kept if urgent else max(empty - options.reserved, kept)

    async def _reconcile(self, key: Key, urgent: bool) -> None:
        try:
            await self._work(key)
            self._failing.pop(key, None)
        except Exception as error:
            self._failed(key, urgent, error)
        finally:
            del self._running[key]
            self._vacate(key)
            again = self._again.pop(key, None)
            if again is not None and not self._stopped:
                self.add(key, again)
            self._fill()

    def _vacate(self, key: Key) -> None:
        """Give the key's place back, if it holds one."""
        held = self._placed.pop(key, None)
        if held is None:
            return
        self._ordinary_running -= not held[0]
        self._places[held] -= 1
        if not self._places[held]:
            del self._places[held]

    def _failed(self, key: Key, urgent: bool, error: Exception) -> None:
        failures = self._failing[key].failures + 1 if key in self._failing else 1
        delay = self._options.delay(failures) * random.uniform(0.75, 1.0)
        if isinstance(error, ApiError):
            delay = max(delay, error.retry_after or 0.0)
            logger.warning("reconcile of %s failed (%d in a row), again in %.1f s: %s", key, failures, delay, error)
        else:
            logger.error("reconcile of %s failed (%d in a row), again in %.1f s", key, failures, delay, exc_info=error)
        until = self._now() + delay
        self._failing[key] = _Failing(failures, until, urgent)
        self._set_timer(key, until)

    def _set_timer(self, key: Key, when: float) -> None:
        known = self._timers.get(key)
        if known is not None:
            when = min(when, known.when)
            known.handle.cancel()
        if not self._stopped:
            # Spread out: thousands of timers that were set at once must not look at the clock at once.
            sleep = min(when - self._now(), LONGEST_SLEEP * random.uniform(0.5, 1.0))
            handle = asyncio.get_running_loop().call_later(sleep, self._look, key)
            self._timers[key] = _Timer(when, handle)

    def _look(self, key: Key) -> None:
        """Whether the key is due; if not, its timer goes on."""
        timer = self._timers[key]
        if timer.when - self._now() > EARLY:
            self._set_timer(key, timer.when)
            return
        del self._timers[key]
        failing = self._failing.get(key)
        if failing is not None and failing.until <= timer.when:
            failing.until = timer.when - 1
        self.add(key, self._is_urgent(key))

    def _drop_timer(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.handle.cancel()
