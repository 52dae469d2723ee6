"""Whole lists, page by page, and what a list says that a store does not.

Contract: `pages` gives one consistent list and holds one page of it; where the continue token expires under it (410),
the caller begins again. `diff` is pure: from what was kept and what is listed, both by UID, to the
changes between them, deletions first, because an object that was made anew under the same name has another UID.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, TypeVar

from desist.kube.client import Client
from desist.kube.lanes import Budget
from desist.kube.resource import Query, Resource
from desist.kube.wire import Identity, Page

PAGE = 500
Record = TypeVar("Record")


class ChangeKind(Enum):
    """What happened to an object; the values are the watch's words."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Entry(Generic[Record]):
    """What is kept of one object."""

    identity: Identity
    record: Record


@dataclass(frozen=True, slots=True)
class Change(Generic[Record]):
    """One change of one object."""

    kind: ChangeKind
    identity: Identity
    old: Record | None
    """What was known before; None where nothing was."""
    new: Record | None
    """ADDED, MODIFIED: what is known now. DELETED: the last state, as the event has it; None where not `seen`, or not
    read."""
    seen: bool = True
    """False: found by comparing with a list. States in between were missed, the last one of a deleted object too."""


def diff(store: Mapping[str, Entry[Record]], listed: Mapping[str, Entry[Record]]) -> Iterator[Change[Record]]:
    """Changes that make the store what was listed; both by UID."""
    for uid, kept in store.items():
        if uid not in listed:
            yield Change(ChangeKind.DELETED, kept.identity, kept.record, None, seen=False)
    for uid, entry in listed.items():
        known = store.get(uid)
        if known is None:
            yield Change(ChangeKind.ADDED, entry.identity, None, entry.record, seen=False)
        elif known.identity.resource_version != entry.identity.resource_version:
            yield Change(ChangeKind.MODIFIED, entry.identity, known.record, entry.record, seen=False)


async def pages(client: Client, resource: Resource, query: Query, budget: Budget = Budget.START) -> AsyncIterator[Page]:
    """The pages of one consistent list; all bear its resourceVersion. Raises ApiError; Gone: begin again."""
    while True:
        page = await client.list(resource, query, budget=budget)
        yield page
        if not page.continue_token:
            return
        query = replace(query, continue_token=page.continue_token)
