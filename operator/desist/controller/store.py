"""What is known of one kind of our objects: records by UID, healed by comparing them with lists.

Contract: `note` takes what a watch, a list or an own write says and keeps the newer; an older one changes nothing.
`forget` drops a record whose object is gone. `compare` says what a list knows better (the list's own
resourceVersion matters: what was noted after the list was made is not missing). Nobody else writes here, and nothing
is decided from it but by a reconcile. Why lists at all: kopf does not report what was
deleted while its watch was cut, a watch may be deaf, and an answer that comes late may put back what is gone.
Versions only go back where the cluster's own store was restored from a backup; then all that is known is in doubt
(`doubt`): whatever is said of an object next replaces its record, and `doubted` are those of which nothing was said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from desist.api.meta import ObjectMeta


class HasMetadata(Protocol):
    """A record that knows which object it is of."""

    @property
    def metadata(self) -> ObjectMeta:
        """Identity and age."""

    @property
    def version(self) -> int:
        """The resourceVersion as the number that it is: Kubernetes promises that they can be compared in a kind."""


Record = TypeVar("Record", bound=HasMetadata)


@dataclass(frozen=True, slots=True)
class Difference:
    """What a list knows better than a store."""

    gone: frozenset[str] = frozenset()
    """UIDs of records whose objects are no longer there."""
    behind: frozenset[tuple[str, str]] = frozenset()
    """(namespace, name) of objects that are newer than their record, or that have none."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One object of a metadata list."""

    namespace: str
    name: str
    version: int


class Store(Generic[Record]):
    """Records of one kind, by UID and by name."""

    def __init__(self) -> None:
        self._by_uid: dict[str, Record] = {}
        self._by_name: dict[tuple[str, str], str] = {}
        self._skipped: dict[str, int] = {}
        self._doubted: set[str] = set()
        self._highest = 0

    def __len__(self) -> int:
        return len(self._by_uid)

    def __iter__(self) -> Iterator[Record]:
        return iter(list(self._by_uid.values()))

    def get(self, uid: str) -> Record | None:
        """The record of that UID."""
        return self._by_uid.get(uid)

    def trusted(self, uid: str) -> Record | None:
        """The record of that UID, unless it is in doubt: what it says of a generation holds."""
        return None if uid in self._doubted else self._by_uid.get(uid)

    def knows(self, uid: str, resource_version: str) -> bool:
        """Whether that version of the object would say nothing new."""
        return uid in self._by_uid and self._version(uid) >= int(resource_version)

    def named(self, namespace: str, name: str) -> Record | None:
        """The record of the object that bears the name now."""
        uid = self._by_name.get((namespace, name))
        return None if uid is None else self._by_uid.get(uid)

    def note(self, record: Record) -> bool:
        """Keep the record if it is newer than what is known; says whether it was."""
        said, metadata = record.version, record.metadata
        uid, name = metadata.uid, (metadata.namespace, metadata.name)
        if uid in self._by_uid and self._version(uid) >= said:
            return False
        self._doubted.discard(uid)
        self._highest = max(self._highest, said)
        self._by_uid[uid] = record
        bears = self._by_name.get(name)
        # A late report of an object that is gone must not take the name from the one that bears it now.
        if bears not in self._by_uid or self._version(bears) <= said:
            self._by_name[name] = uid
        return True

    def skip(self, uid: str, resource_version: str) -> None:
        """That version of the object cannot be read: no list knows it better than its watch."""
        self._skipped[uid] = int(resource_version)

    def forget(self, uid: str) -> Record | None:
        """Drop the record; gives it back if there was one."""
        self._doubted.discard(uid)
        self._skipped.pop(uid, None)
        record = self._by_uid.pop(uid, None)
        if record is not None:
            key = (record.metadata.namespace, record.metadata.name)
            if self._by_name.get(key) == uid:
                del self._by_name[key]
        return record

    @property
    def highest(self) -> int:
        """The highest version of all that was noted."""
        return self._highest

    @property
    def doubted(self) -> frozenset[str]:
        """UIDs of records that were called in doubt, and of which nothing was said since."""
        return frozenset(self._doubted)

    def doubt(self) -> None:
        """Versions have gone back: whatever is said next of an object is news."""
        self._doubted = set(self._by_uid)
        self._skipped.clear()
        self._highest = 0

    def compare(self, listed: Mapping[str, Listed], list_version: int) -> Difference:
        """What the list (objects by UID, and the list's own version) knows better."""
        self._skipped = {uid: skipped for uid, skipped in self._skipped.items() if uid in listed}
        gone = {uid for uid, record in self._by_uid.items() if uid not in listed}
        return Difference(
            gone=frozenset(uid for uid in gone if self._version(uid) <= list_version),
            behind=frozenset((o.namespace, o.name) for uid, o in listed.items() if self._is_behind(uid, o)),
        )

    def ahead_of(self, listed: Mapping[str, Listed], list_version: int) -> bool:
        """Whether a list shows an object in an older state than is known, though it is no older itself."""
        return any(each.version < self._version(uid) <= list_version for uid, each in listed.items())

    def _is_behind(self, uid: str, listed: Listed) -> bool:
        return max(self._skipped.get(uid, 0), self._version(uid)) < listed.version

    def _version(self, uid: str) -> int:
        """Version of the record; 0 where there is none, or it is in doubt."""
        known = self._by_uid.get(uid)
        return 0 if known is None or uid in self._doubted else known.version
