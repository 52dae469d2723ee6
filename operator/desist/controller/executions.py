"""The store of executions, which also knows which of them wait for which Workflow.

Contract: as `Store`; besides, `awaiting` gives the UIDs that would begin with the Workflow of that name, so that its
change wakes them and nobody else. An execution that has begun, or has ended, waits for none. The index is kept by
`note` and `forget` themselves, because records come from watches, from lists and from own writes alike.
Of an execution at rest only its name is kept: most executions have ended, and nobody asks for them.
`changed` is told of each record that takes the place of another one, from wherever it comes, an own write too: what
bears on the execution's operations must reach them at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from desist.controller.records import ExecutionRecord, Resting, kept
from desist.controller.store import Store

Name = tuple[str, str]
Known = ExecutionRecord | Resting
Changed = Callable[[Known | None, Known | None], None]
"""Told what was known and what is known now; None: no such execution."""


def _told_nobody(_: Known | None, __: Known | None) -> None:
    pass


class Executions(Store[Known]):
    """Executions by UID, by name, and by the Workflow that they wait for."""

    def __init__(self, changed: Changed = _told_nobody) -> None:
        super().__init__()
        self._changed = changed
        self._awaited: dict[str, Name] = {}
        self._awaiting: dict[Name, set[str]] = defaultdict(set)

    def note(self, record: Known) -> bool:
        """Keep the record if it is newer than what is known, or its name where it is at rest; says whether it was."""
        before = self.get(record.metadata.uid)
        if newer := super().note(kept(record)):
            self._index(record.metadata.uid, _awaited(record))
            self._changed(before, record)
        return newer

    def forget(self, uid: str) -> Known | None:
        """Drop the record; gives it back if there was one."""
        self._index(uid, None)
        before = super().forget(uid)
        if before is not None:
            self._changed(before, None)
        return before

    def awaiting(self, namespace: str, name: str) -> frozenset[str]:
        """UIDs of the executions that wait for that Workflow."""
        return frozenset(self._awaiting.get((namespace, name), ()))

    def _index(self, uid: str, awaited: Name | None) -> None:
        before = self._awaited.pop(uid, None)
        if before is not None:
            self._awaiting[before].discard(uid)
            if not self._awaiting[before]:
                del self._awaiting[before]
        if awaited is not None:
            self._awaited[uid] = awaited
            self._awaiting[awaited].add(uid)


def _awaited(record: Known) -> Name | None:
    """The Workflow that the execution waits for."""
    name = None if isinstance(record, Resting) else record.awaited_workflow
    return None if name is None else (record.metadata.namespace, name)
