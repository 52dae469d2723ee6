"""A few slots for calls that others can make hang: who gets none comes back, instead of waiting at a worker's place.

Contract: `take` gives a key a slot, or notes that it waits; it never blocks. When a slot falls free it is kept for the
next key that waits, groups taking turns, and `wake` is called with that key: its next reconcile finds the slot taken
for it, also where the one that found none still runs then. `release` at the end of every other reconcile gives back
what the key holds, used or not, so that no slot is lost to a key that changed its mind; `leave` also where it failed:
it comes again after a back-off, during which nothing is kept for it. A group holds at most as many slots as it leaves
free: another's call finds one, however many hang.
Rejected: a semaphore (who waits for it holds a worker; a tenant's hundred hanging calls hold all of them).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from desist.kube.turns import Group, Turns

Key = TypeVar("Key", bound=Hashable)


class Slots(Generic[Key]):
    """`count` slots. Raises ValueError where that is none."""

    def __init__(self, count: int, wake: Callable[[Key], None]) -> None:
        if count < 1:
            raise ValueError("there must be a slot")
        self._count = count
        self._wake = wake
        self._held: dict[Key, Group] = {}
        self._by_group: Counter[Group] = Counter()
        self._waiting: Turns[Key] = Turns()
        self._turned_away: set[Key] = set()
        """Keys whose present reconcile has found none."""

    def __len__(self) -> int:
        """Slots that are taken."""
        return len(self._held)

    @property
    def waiting(self) -> int:
        """Keys that wait for one."""
        return len(self._waiting)

    def take(self, key: Key, group: Group) -> bool:
        """Whether the key has a slot now; if not, it is woken when there is one for it."""
        if key not in self._held:
            if not self._may(group):
                self._waiting.add(key, group)
                self._turned_away.add(key)
                return False
            self._waiting.discard(key)
            self._hold(key, group)
        self._turned_away.discard(key)
        return True

    def release(self, key: Key) -> None:
        """The key's reconcile is over."""
        if key in self._turned_away:
            # What it holds was kept for the next one.
            self._turned_away.discard(key)
            return
        group = self._held.pop(key, None)
        if group is not None:
            self._by_group[group] -= 1
            if not self._by_group[group]:
                del self._by_group[group]
            self._hand_on()

    def leave(self, key: Key) -> None:
        """The key's reconcile has failed: it holds nothing and waits for nothing."""
        self._waiting.discard(key)
        self._turned_away.discard(key)
        self.release(key)

    def _hand_on(self) -> None:
        """Keep what is free for those who wait."""
        while (taken := self._waiting.take(self._may)) is not None:
            self._hold(*taken)
            self._wake(taken[0])

    def _may(self, group: Group) -> bool:
        free = self._count - len(self._held)
        return free > 0 and (self._by_group[group] < free)

    def _hold(self, key: Key, group: Group) -> None:
        self._held[key] = group
        self._by_group[group] += 1
