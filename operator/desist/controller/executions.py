"""The store of executions, which also knows which of them wait for which Workflow.

Contract: as `Store`; besides, `awaiting` gives the UIDs that would begin with the Workflow of that name, so that its
change wakes them and nobody else. An execution that has begun, or has ended, waits for none. The index is kept by
`note` and `forget` themselves, because records come from watches, from lists and from own writes alike.
"""

from __future__ import annotations

from collections import defaultdict

from desist.controller.records import ExecutionRecord
from desist.controller.store import Store

Name = tuple[str, str]


class Executions(Store[ExecutionRecord]):
    """Executions by UID, by name, and by the Workflow that they wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._awaited: dict[str, Name] = {}
        self._awaiting: dict[Name, set[str]] = defaultdict(set)

    def note(self, record: ExecutionRecord) -> bool:
        """Keep the record if it is newer than what is known; says whether it was."""
        newer = super().note(record)
        if newer:
            self._index(record.metadata.uid, record)
        return newer

    def forget(self, uid: str) -> ExecutionRecord | None:
        """Drop the record; gives it back if there was one."""
        self._index(uid, None)
        return super().forget(uid)

    def awaiting(self, namespace: str, name: str) -> frozenset[str]:
        """UIDs of the executions that wait for that Workflow."""
        return frozenset(self._awaiting.get((namespace, name), ()))

    def _index(self, uid: str, record: ExecutionRecord | None) -> None:
        before = self._awaited.pop(uid, None)
        if before is not None:
            self._awaiting[before].discard(uid)
            if not self._awaiting[before]:
                del self._awaiting[before]
        if record is not None and record.awaited_workflow is not None:
            self._awaited[uid] = (record.metadata.namespace, record.awaited_workflow)
            self._awaiting[self._awaited[uid]].add(uid)
