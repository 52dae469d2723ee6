"""What the controller is told of objects of our kinds: noted or forgotten, and whom it concerns is woken.

Contract: whoever tells (kopf's watch, a reflector, the first list, a comparison with a later one) calls the same
methods. They never wait and never raise: an object that cannot be read is logged and skipped. What is not newer than
the record wakes nobody. Nothing is decided here, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from desist.controller.kinds import Body, Key, Kind, Managed, Table, Unreadable
from desist.controller.store import HasMetadata, Record
from desist.controller.unreadable import Complaints


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes what is told, for all kinds."""

    table: Table
    add: Callable[[Key], None]
    """Asks for a reconcile."""
    complaints: Complaints
    """Says what cannot be read."""

    def note(self, kind: Kind[Any], body: Body) -> None:
        """An object of that kind is like this."""
        metadata = body["metadata"]
        if self.table[kind.name].store.knows(metadata["uid"], metadata["resourceVersion"]):
            return  # at a start each object is told twice, and each write comes back as an event
        record = self.read(kind, body)
        if record is not None:
            self.take(kind, record)

    def read(self, kind: Kind[Record], body: Body) -> Record | None:
        """The record of an object's body; None where it cannot be read, and that is said."""
        store, metadata = self.table[kind.name].store, body["metadata"]
        try:
            record = kind.read(body, store.trusted(metadata["uid"]))
        except Unreadable as error:
            store.skip(metadata["uid"], metadata["resourceVersion"])
            self.complaints.tell(kind, body, error)
            return None
        self.complaints.forget(metadata["uid"])
        return record

    def take(self, kind: Kind[Any], record: HasMetadata) -> None:
        """What an object of that kind is by now."""
        row = self.table[kind.name]
        known = row.store.get(record.metadata.uid)
        if not row.store.note(record):
            return
        self.wake(kind, record.metadata.uid)
        if known is None or known.metadata.generation != record.metadata.generation:
            self._wake_waiting(row, record)

    def forget(self, kind: Kind[Any], uid: str) -> None:
        """The object of that UID is gone."""
        row = self.table[kind.name]
        self.complaints.forget(uid)
        record = row.store.forget(uid)
        self.wake(kind, uid)
        if record is not None:
            self._wake_waiting(row, record)

    def wake(self, kind: Kind[Any], uid: str) -> None:
        """Something that bears on the object of that UID has changed."""
        self.add(Key(kind.name, uid))

    def _wake_waiting(self, row: Managed[Any], record: HasMetadata) -> None:
        for key in row.waiting(record):
            self.add(key)
