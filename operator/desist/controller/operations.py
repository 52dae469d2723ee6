"""The store of operations, which also knows which of them are whose.

Contract: as `Store`; besides, all that the reconcile of an execution looks at of its operations (`seen`), which of them
are open, and which were created earlier than one of them. An execution's are those of its namespace that name its UID:
what one in another namespace says of itself is nobody's business. All of that is kept by `note` and `forget`
themselves, because records come from the watch, from lists and from own writes alike; `changed` is told of each.
Of one that has ended and has nothing to answer only that is kept (`Ended`): there are ten times as many of them as of
executions, and most have ended.
`tick` counts what is noted here and what is read elsewhere, so that it can be said which came first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sized
from itertools import count
from typing import TypeVar

from desist.api.meta import ObjectMeta
from desist.controller.operation_records import Known, OperationRecord, kept
from desist.controller.store import Difference, Listed, Store
from desist.lifecycle.observed.sight import OperationSeen

Place = TypeVar("Place")
Held = TypeVar("Held", bound=Sized)
Whose = tuple[str, str]
"""Namespace, and UID of the execution."""
Changed = Callable[[Whose, OperationSeen | None, OperationSeen | None], None]
"""Told whose it is, what was seen of it, and what is seen now; None: no such operation."""


def _told_nobody(_: Whose, __: OperationSeen | None, ___: OperationSeen | None) -> None:
    pass


class Operations(Store[Known]):
    """Operations by UID, by name, and by execution."""

    def __init__(self, changed: Changed = _told_nobody) -> None:
        super().__init__()
        self._changed = changed
        self._seen: dict[Whose, dict[str, OperationSeen]] = defaultdict(dict)
        self._open: dict[Whose, set[str]] = defaultdict(set)
        self._order: dict[tuple[str, str, str], list[tuple[int, str]]] = defaultdict(list)
        """By namespace, execution and run: when each was created, and its UID; without those that are foreign."""
        self._noted: dict[str, int] = {}
        """Of open ones: the tick at which what is known of them was noted."""
        self._ticks = count(1)

    def tick(self) -> int:
        """A number that is higher than all before."""
        return next(self._ticks)

    def noted(self, uid: str) -> int:
        """The tick at which the record of that open operation was noted; 0: it is not open."""
        return self._noted.get(uid, 0)

    def note(self, record: Known) -> bool:
        """Keep the record if it is newer than what is known, or what is left of an ended one; says whether it was."""
        before = self.get(record.metadata.uid)
        record = kept(record)
        if not super().note(record):
            return False
        if before is not None and _run(before) != _run(record):
            self._take_out(before)
        self._put_in(record)
        self._changed(_whose(record), before.seen if before is not None else None, record.seen)
        return True

    def forget(self, uid: str) -> Known | None:
        """Drop the record; gives it back if there was one."""
        before = super().forget(uid)
        if before is not None:
            self._take_out(before)
            self._changed(_whose(before), before.seen, None)
        return before

    def seen(self, execution: ObjectMeta) -> tuple[OperationSeen, ...]:
        """What the reconcile of that execution looks at of each of its operations."""
        return tuple(self._seen.get((execution.namespace, execution.uid), {}).values())

    def open(self, whose: Whose) -> frozenset[str]:
        """UIDs of the operations of that execution that have not ended."""
        return frozenset(self._open.get(whose, ()))

    def earlier(self, record: OperationRecord) -> int:
        """How many operations of the same run were created earlier; those that are foreign do not count."""
        return bisect_left(self._order.get(_run(record), []), (record.created, record.metadata.uid))

    def differ(self, execution: ObjectMeta, listed: dict[str, Listed], list_version: int) -> Difference:
        """What a list of that execution's operations, of that version, knows better."""
        mine = self._seen.get((execution.namespace, execution.uid), {})
        return Difference(
            gone=frozenset(uid for uid in mine if uid not in listed and self._version(uid) <= list_version),
            behind=frozenset((o.namespace, o.name) for uid, o in listed.items() if self._is_behind(uid, o)),
        )

    def _put_in(self, record: Known) -> None:
        uid, whose, ended = record.seen.uid, _whose(record), record.seen.phase.terminal
        self._seen[whose][uid] = record.seen
        self._order_in(record)
        if ended:
            self._close(whose, uid)
        else:
            self._open[whose].add(uid)
            self._noted[uid] = self.tick()

    def _order_in(self, record: Known) -> None:
        order, entry = self._order[_run(record)], (record.created, record.seen.uid)
        place = bisect_left(order, entry)
        there = place < len(order) and order[place] == entry
        if there and record.seen.foreign:
            del order[place]
        elif not there and not record.seen.foreign:
            order.insert(place, entry)
        _drop_empty(self._order, _run(record))

    def _take_out(self, record: Known) -> None:
        uid, whose, run = record.seen.uid, _whose(record), _run(record)
        self._close(whose, uid)
        self._seen[whose].pop(uid)
        self._order[run] = [entry for entry in self._order[run] if entry[1] != uid]
        _drop_empty(self._seen, whose)
        _drop_empty(self._order, run)

    def _close(self, whose: Whose, uid: str) -> None:
        self._noted.pop(uid, None)
        self._open[whose].discard(uid)
        _drop_empty(self._open, whose)


def _drop_empty(held: dict[Place, Held], place: Place) -> None:
    if not held[place]:
        del held[place]


def _whose(record: Known) -> Whose:
    return record.metadata.namespace, record.execution


def _run(record: Known) -> tuple[str, str, str]:
    return *_whose(record), record.seen.run_id
