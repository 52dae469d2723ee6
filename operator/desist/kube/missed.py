"""What a watch has not brought, told by a list: for a mirror that nobody else compares.

Contract: `missed` lists (metadata only), gives the watch `patience` seconds, and counts the objects that the mirror
shows in an older state than the list does, or still has though the list does not. One that the mirror does not have
counts only where the watch has not come as far as that object: what is not ours is never kept, however often it is
told. Of a watch that was cut meanwhile, or that has come on though not so far yet, only what it has passed by counts:
it may still bring the rest, and a list in its place would miss how pods have ended. Nothing is concluded where the
mirror is about to be listed anyway. Raises ApiError.
Why: an API server, or its store, may lose events of a watch that is well otherwise and goes on by bookmarks.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from desist.kube.client import Client
from desist.kube.listing import PAGE, Entry, pages
from desist.kube.reflector import Reflector
from desist.kube.resource import Source
from desist.kube.wire import identity


async def missed(client: Client, mirror: Reflector[Any], patience: float) -> int:
    """How many objects its watch owes it."""
    listed, version = await _listed(client, mirror.source)
    before = mirror.reached
    await asyncio.sleep(patience)
    store, reached = mirror.store, mirror.reached
    if not reached:
        return 0
    silent = reached == before and mirror.open_for(asyncio.get_running_loop().time()) >= patience
    due = version if silent else min(version, reached)
    late = sum(_version(store.get(uid), reached) < each <= due for uid, each in listed.items())
    return late + sum(uid not in listed and _version(kept, 0) <= version <= due for uid, kept in store.items())


async def _listed(client: Client, source: Source) -> tuple[dict[str, int], int]:
    """Versions by UID, and the list's own."""
    found: dict[str, int] = {}
    version = 0
    async for page in pages(client, source.resource, replace(source.query, limit=PAGE, metadata_only=True)):
        version = int(page.resource_version)
        found |= {who.uid: int(who.resource_version) for who in map(identity, page.items)}
    return found, version


def _version(kept: Entry[Any] | None, otherwise: int) -> int:
    return otherwise if kept is None else int(kept.identity.resource_version or 0)
