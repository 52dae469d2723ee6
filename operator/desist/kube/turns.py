"""Keys that wait, in groups that take turns: who has many waits for itself, not the others for it.

Contract: `add` puts a key at the end of its group's line (again: it stays where it is). `take` gives the first key of
the group whose turn it is, and that group goes to the end of the round; a group that `may` refuses is passed over and
keeps its turn. So a key waits for at most one key of each other group, and the keys before it in its own. A round costs
as much as there are groups that are refused, whatever waits in them.
Rejected: one line (10,000 keys of one tenant in front of another's one), a weight a group (nobody would set it).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Group = Hashable


class Turns(Generic[Key]):
    """One lane of waiting keys."""

    def __init__(self) -> None:
        # OrderedDict, not dict: to find a dict's first key costs as much as keys were taken from its front before.
        self._lines: OrderedDict[Group, OrderedDict[Key, None]] = OrderedDict()
        """By group, the one whose turn it is first; none is empty."""
        self._groups: dict[Key, Group] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def __contains__(self, key: Key) -> bool:
        return key in self._groups

    def add(self, key: Key, group: Group) -> None:
        """Let the key wait; one that waits stays where it is, in the group that it had."""
        if key not in self._groups:
            self._groups[key] = group
            self._lines.setdefault(group, OrderedDict())[key] = None

    def discard(self, key: Key) -> None:
        """Let it not wait any longer."""
        if key in self._groups:
            group = self._groups.pop(key)
            self._lines[group].pop(key)
            if not self._lines[group]:
                del self._lines[group]

    def take(self, may: Callable[[Group], bool] = lambda group: True) -> tuple[Key, Group] | None:
        """The key whose turn it is, of a group that may have one now, and that group; None: there is none."""
        for group, line in self._lines.items():
            if may(group):
                key = next(iter(line))
                self.discard(key)
                if group in self._lines:
                    self._lines.move_to_end(group)
                return key, group
        return None
