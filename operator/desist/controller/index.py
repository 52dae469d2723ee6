"""Which executions wait for which Workflow, so that its change wakes them and nobody else.

Contract: `note` is told every record of an execution; `of` gives the UIDs that would begin with the Workflow of that
name. An execution that has begun, or has ended, waits for none.
"""

from __future__ import annotations

from collections import defaultdict

from desist.controller.records import ExecutionRecord

Name = tuple[str, str]


class Awaiting:
    """Executions by the Workflow that they wait for."""

    def __init__(self) -> None:
        self._by_uid: dict[str, Name] = {}
        self._by_name: dict[Name, set[str]] = defaultdict(set)

    def note(self, record: ExecutionRecord) -> None:
        """Keep what the execution waits for now."""
        uid, name = record.metadata.uid, record.awaited_workflow
        self.forget(uid)
        if name is not None:
            held = (record.metadata.namespace, name)
            self._by_uid[uid] = held
            self._by_name[held].add(uid)

    def forget(self, uid: str) -> None:
        """The execution waits for nothing any more."""
        name = self._by_uid.pop(uid, None)
        if name is not None:
            self._by_name[name].discard(uid)
            if not self._by_name[name]:
                del self._by_name[name]

    def of(self, namespace: str, name: str) -> frozenset[str]:
        """UIDs of the executions that wait for that Workflow."""
        return frozenset(self._by_name.get((namespace, name), ()))
