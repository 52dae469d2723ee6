"""A mirror of one collection of the API server: list, then watch, for ever.

Contract: `run` never returns and never gives up; it ends by cancellation only. Every change is told to `on_change`, in
order and before the next one is looked at. A watch that was cut goes on where it was; one that is too old (410, as an
event or as an answer) begins anew, and what the new list no longer has is told as DELETED with its last known record.
So does one that the server has refused several times in a row at the same version, in other words or none (`position`).
`relist` does the same at once, for whoever knows that the watch is deaf. So does `anew`, and tells all that is listed,
whatever its version: where versions went back (a store restored from a backup), a watch is silent until they have
caught up, and the same version may hold something else.
With `reads_deleted` False a DELETED event's object is not parsed, and is told of also where it was never known.
A list is streamed where the server can (WatchList); one without an end (a proxy drops bookmarks, say) is the last.
`parse` makes a slim record of an object's JSON; None: not ours, not kept. An object that it cannot read is logged, and
keeps its former record: one bad object never stops the others. A watch on which nothing comes, not even the server's
own end of it, is given up (a half-open connection).
Traps: a watch with a selector says DELETED also of an object that lives and only left the selection; who needs proof
of an end must ask for the object itself. With `seen` False, states in between were missed.
Rejected: kopf's handlers for pods (objects deleted while a watch was too old are never reported, and an event costs
ten times as much), lists from the API server's cache (resourceVersion 0: they may be older than what was seen).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Generic, TypeVar

import msgspec

from desist.kube.client import Client
from desist.kube.errors import ApiError, BadRequest, Forbidden, Gone, Invalid, error_from
from desist.kube.listing import PAGE, Change, ChangeKind, Entry, diff, pages
from desist.kube.liveness import Liveness, Timing
from desist.kube.position import Position, refuses
from desist.kube.resource import Source
from desist.kube.wire import Identity, WatchEvent, bookmark, identity

Record = TypeVar("Record")
logger = logging.getLogger(__name__)


class Reflector(Generic[Record]):
    """The mirror; `run` is to be a task of its own."""

    def __init__(
        self,
        client: Client,
        source: Source,
        parse: Callable[[bytes], Record | None],
        on_change: Callable[[Change[Record]], None],
        timing: Timing | None = None,
        reads_deleted: bool = True,
    ) -> None:
        """`reads_deleted`: whether the last state that a DELETED event carries is parsed and told."""
        self._reads_deleted = reads_deleted
        self.synced = asyncio.Event()
        """Set once the first list has been told."""
        self.source = source
        self.streamed = False
        """Whether this server has given a whole list as a stream."""
        self._client = client
        self._parse = parse
        self._on_change = on_change
        self._timing = timing or Timing()
        self._entries: dict[str, Entry[Record]] = {}
        self._position = Position()
        self._streaming = True
        """Whether the next list is asked for as a stream (WatchList)."""
        self._streams = True
        """Whether the server can do that at all."""
        self._liveness = Liveness(str(source), self._timing, client.options.request_timeout)
        self._leash: asyncio.Timeout | None = None
        """Around the present list and watch."""

    @property
    def store(self) -> Mapping[str, Entry[Record]]:
        """What is there, by UID."""
        return MappingProxyType(self._entries)

    @property
    def reached(self) -> int:
        """The version up to which all is known; 0: none is, a list is due."""
        return int(self._position.version or 0)

    def open_for(self, now: float) -> float:
        """Seconds since the present watch was let in; below 0 where none is open. `now` is the loop's time."""
        return self._liveness.open_for(now)

    def stuck(self, now: float) -> str | None:
        """Why only a restart can help; None: it works, or tries to. `now` is the loop's time."""
        return self._liveness.stuck(now)

    def behind(self, now: float) -> str | None:
        """Why the store may not be what the cluster is; None: it follows. `now` is the loop's time."""
        return self._liveness.behind(now)

    def relist(self) -> None:
        """Drop the present watch and list, unless that is due, or under way."""
        if self._position.version:
            self._leave()

    def anew(self) -> None:
        """Drop the present watch, list, and tell of everything."""
        for uid, kept in self._entries.items():
            self._entries[uid] = Entry(msgspec.structs.replace(kept.identity, resource_version=""), kept.record)
        self._leave()

    def _leave(self) -> None:
        self._position.lose()
        if self._leash is not None and not self._leash.expired():
            self._leash.reschedule(self._now())

    async def run(self) -> None:
        """Mirror until cancelled."""
        self._liveness.running = True
        try:
            while True:
                await self._turn()
        finally:
            self._liveness.running = False

    async def _turn(self) -> None:
        """One list, where one is due, and one watch; then the wait that is due."""
        self._liveness.turn(self._now())
        least = 0.0
        try:
            async with asyncio.timeout(None) as self._leash:
                await self._list_and_watch()
            if self._liveness.ended(self._now()):
                return
            self._refused()
        except TimeoutError:
            logger.warning("watch of %s: listing anew, as was asked for", self.source)
            return
        except Gone as error:
            logger.info("watch of %s is too old, listing again: %s", self.source, error.message)
            self._position.lose()
            self._liveness.failed(self._now())
        except ApiError as error:
            self._failed(error)
            if refuses(error):
                self._refused()
            least = error.retry_after or 0.0
        except Exception:
            logger.exception("watch of %s: a fault of ours, listing again", self.source)
            self._position.lose()
            self._liveness.failed(self._now())
        finally:
            # Also where it has ended by itself before it was cut: what it brought last is no place to go on from.
            if self._leash is not None and self._leash.when() is not None:
                self._position.lose()
            self._leash = None
        await asyncio.sleep(self._liveness.pause(self._now(), least))

    async def _list_and_watch(self) -> None:
        listed: dict[str, Entry[Record]] | None = None
        if not self._position.version:
            if self._streams and self._streaming:
                listed = {}
                self._streaming = False  # the next try lists plainly, unless this one comes to its end
            else:
                await self._list()
        try:
            await self._watch(listed)
        except (BadRequest, Invalid) as error:
            if listed is None:
                raise
            logger.info("lists of %s cannot be streamed by this server: %s", self.source, error.message)
            self._streams = False
        finally:
            # What has no end, or none in time, would keep each later list from beginning for as long. The server's time
            # begins a little before ours.
            endless = self._liveness.open_for(self._now()) > 0.9 * self._timing.watch
            if listed is not None and not self._streaming and endless:
                logger.info("a streamed list of %s had no end: no more of them", self.source)
                self._streams = False

    async def _list(self) -> None:
        listed: dict[str, Entry[Record]] = {}
        version = ""
        async for page in pages(self._client, self.source.resource, replace(self.source.query, limit=PAGE)):
            self._liveness.listing(self._now())
            version = page.resource_version
            for raw in page.items:
                self._collect(listed, raw)
        self._liveness.heard(self._now())
        self._replace(listed, version)

    async def _watch(self, listed: dict[str, Entry[Record]] | None) -> None:
        """Follow events; with `listed`, the first ones are a list, up to a bookmark that says so."""
        query = replace(self.source.query, resource_version=self._position.version)
        parameters = {"allowWatchBookmarks": "true", "timeoutSeconds": str(self._timing.watch)}
        if listed is not None:
            parameters |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        silence = self._timing.silence
        async with self._client.watch(self.source.resource, query, parameters, silence) as events:
            if self._liveness.opened(self._now()):
                logger.info("watch of %s goes on", self.source)
            async for event in events:
                self._liveness.heard(self._now())
                if event.type == "ERROR":
                    raise error_from(0, event.object)
                if listed is None:
                    self._take(event)
                elif self._gathered(listed, event):
                    listed = None

    def _gathered(self, listed: dict[str, Entry[Record]], event: WatchEvent) -> bool:
        """One event of a streamed list; says whether it was the end of it."""
        if event.type != "BOOKMARK":
            self._collect(listed, event.object, gone=event.type == "DELETED")
            return False
        version, complete = bookmark(event.object)
        if complete:
            self.streamed = True
            self._replace(listed, version)
        return complete

    def _collect(self, listed: dict[str, Entry[Record]], raw: bytes, gone: bool = False) -> None:
        who = identity(raw)
        record = None if gone else self._read(who, raw)
        if record is not None:
            listed[who.uid] = Entry(who, record)
        else:
            listed.pop(who.uid, None)

    def _replace(self, listed: dict[str, Entry[Record]], version: str) -> None:
        """The list is complete: tell what it says that was not known."""
        for change in list(diff(self._entries, listed)):
            self._note(change)
        self._position.reach(version)
        self._streaming = True
        if not self.synced.is_set():
            logger.info("watch of %s: %d listed", self.source, len(listed))
            self._liveness.listed = True
            self.synced.set()

    def _take(self, event: WatchEvent) -> None:
        """One event of the watch."""
        if event.type == "BOOKMARK":
            self._position.reach(bookmark(event.object)[0])
            return
        who = identity(event.object)
        known = self._entries.get(who.uid)
        old = known.record if known is not None else None
        new = self._read(who, event.object) if event.type != "DELETED" or self._reads_deleted else None
        if event.type == "DELETED":
            if old is not None or new is not None or not self._reads_deleted:
                self._note(Change(ChangeKind.DELETED, who, old, new))
        elif new is not None:
            self._note(Change(ChangeKind.ADDED if old is None else ChangeKind.MODIFIED, who, old, new))
        elif old is not None:
            # It is there, but not ours any more: that is not its end.
            self._note(Change(ChangeKind.DELETED, who, old, None, seen=False))
        self._position.reach(who.resource_version)

    def _read(self, who: Identity, raw: bytes) -> Record | None:
        try:
            return self._parse(raw)
        except (msgspec.MsgspecError, ValueError, LookupError, TypeError) as error:
            logger.warning("one of %s, %s/%s, cannot be read: %s", self.source, who.namespace, who.name, error)
            known = self._entries.get(who.uid)
            return known.record if known is not None else None

    def _note(self, change: Change[Record]) -> None:
        uid = change.identity.uid
        if change.kind is ChangeKind.DELETED:
            self._entries.pop(uid, None)
        elif change.new is not None:
            self._entries[uid] = Entry(change.identity, change.new)
        try:
            self._on_change(change)
        except Exception:
            logger.exception("%s of %s was not handled", change.kind.value, change.identity.name)

    def _failed(self, error: ApiError) -> None:
        self._liveness.failed(self._now(), str(error))
        kind = self.source.resource
        if isinstance(error, Forbidden):
            need = f"grant get, list and watch on {kind.plural!r} in API group {kind.group!r}"
            logger.error("not permitted to watch %s: %s: %s", self.source, need, error.message)
        else:
            logger.warning("watch of %s failed (%d in a row): %s", self.source, self._liveness.failures, error)

    def _refused(self) -> None:
        """One more watch that the server has ended, and that has brought nothing."""
        if self._position.refused():
            logger.warning("watch of %s cannot go on at version %s: list", self.source, self._position.version)
            self._position.lose()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
