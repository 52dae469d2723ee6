"""The watches of what is on a stop's way: reflectors that feed caches and stores, and wake whom it concerns.

Contract: pods carry our label (the API server filters), nodes come whole but are cut down as they are decoded, of
executions and operations slim records are made, which are held once, here and in the stores. The reflectors relist and
diff by themselves; here it only matters whether a deletion was seen or missed (see `Caches`), and whether an operation
was listed: then it may be older than it looks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from desist.api.meta import EXECUTION_UID_LABEL
from desist.controller.caches import Caches
from desist.controller.intake import Intake
from desist.controller.kinds import KINDS, Key, Kind
from desist.controller.operation_records import OperationRecord, with_age
from desist.controller.raw import RawNode, RawPod
from desist.controller.views import NodeRecord, PodRecord, node_record, pod_record
from desist.controller.waking import Waking
from desist.kube.client import Client
from desist.kube.listing import Change, ChangeKind
from desist.kube.liveness import Timing
from desist.kube.missed import missed
from desist.kube.reflector import Reflector
from desist.kube.resource import NODES, PODS, Query, Source
from desist.kube.wire import identity
from desist.lifecycle.plan import PostMailbox
from desist.lifecycle.proof.process import ended

logger = logging.getLogger(__name__)
PROMPT = Timing(watch=20, margin=10)
"""Of executions and operations: a stop waits behind a connection that died for no longer than watch and margin."""
_POD = msgspec.json.Decoder(RawPod)
_NODE = msgspec.json.Decoder(RawNode)


class Watches:
    """The watches of pods, nodes, executions and operations."""

    def __init__(
        self,
        client: Client,
        caches: Caches,
        intake: Intake,
        waking: Waking,
        clock: Callable[[], datetime],
        posted: Callable[[str], PostMailbox | None],
    ) -> None:
        """`posted`: what was posted last to a pod of the object of that UID."""
        self._posted = posted
        self._client = client
        self._caches = caches
        self._intake = intake
        self._waking = waking
        pods = Reflector(
            client,
            Source(PODS, Query(labels=EXECUTION_UID_LABEL)),
            lambda raw: pod_record(_POD.decode(raw), clock()),
            self.on_pod,
        )
        nodes = Reflector(
            client, Source(NODES, Query()), lambda raw: node_record(_NODE.decode(raw), clock()), self.on_node
        )
        self._others: dict[str, Reflector[Any]] = {"pods": pods, "nodes": nodes}
        self._mirrors = {kind.resource.plural: self._mirror(kind) for kind in KINDS if kind.mirrored}
        """Of our kinds."""
        self.reflectors = self._others | self._mirrors
        """All of them, by what they mirror."""

    def anew(self) -> None:
        """Versions have gone back: list everything anew, and take it as it is."""
        self._caches.doubt()
        for row in self._intake.table.values():
            if row.kind.mirrored:
                row.store.doubt()
        for reflector in self.reflectors.values():
            reflector.anew()

    def relist(self, kind: Kind[Any]) -> None:
        """Leave the watch of one of our kinds, and list."""
        self._mirrors[kind.resource.plural].relist()

    def comparisons(self, patience: float) -> Iterator[tuple[str, Awaitable[None]]]:
        """Of pods and of nodes with lists; a watch that owes something is left, to list. They raise kube's errors."""
        return ((what, self._compare(what, each, patience)) for what, each in self._others.items())

    def reached(self, kind: Kind[Any]) -> int:
        """Up to which version all of one of our kinds was told; 0: not known, or kopf watches it."""
        reflector = self._mirrors.get(kind.resource.plural)
        return 0 if reflector is None else reflector.reached

    async def synced(self) -> None:
        """Wait until all hold what there is."""
        await asyncio.gather(*(reflector.synced.wait() for reflector in self.reflectors.values()))

    def streamed(self) -> bool:
        """Whether this server gives lists as streams."""
        return all(reflector.streamed for reflector in self.reflectors.values())

    def stuck(self) -> str | None:
        """For the liveness probe."""
        now = asyncio.get_running_loop().time()
        return next((reason for each in self.reflectors.values() if (reason := each.stuck(now)) is not None), None)

    def behind(self) -> str | None:
        """For the readiness probe."""
        now = asyncio.get_running_loop().time()
        return next((reason for each in self.reflectors.values() if (reason := each.behind(now)) is not None), None)

    def on_pod(self, change: Change[PodRecord]) -> None:
        """The reflector says something of a pod."""
        ran = _runs(change.old)
        if change.old is not None and change.new is not None and change.old.key != change.new.key:
            # Its labels were changed: it is gone from what it belonged to.
            self._caches.pod_deleted(change.old, seen=False)
            self._waking.pod_changed(change.old, ran, runs=False)
        if change.kind is not ChangeKind.DELETED and change.new is not None:
            self._caches.pod_changed(change.new)
            if self._is_news(change.old, change.new):
                self._waking.pod_changed(change.new, ran, _runs(change.new))
            else:
                self._waking.confirmed(change.new.key)
            return
        last = change.new if change.seen and change.new is not None else change.old
        if last is not None:
            self._caches.pod_deleted(last, seen=change.seen and change.new is not None)
            self._waking.pod_changed(last, ran, runs=False)

    def on_node(self, change: Change[NodeRecord]) -> None:
        """The reflector says something of a node."""
        if change.kind is ChangeKind.DELETED:
            self._wake_all(self._caches.node_deleted(change.identity.name))
        elif change.new is not None:
            self._wake_all(self._caches.node_changed(change.new))

    def read(self, kind: Kind[Any], raw: bytes) -> Any:
        """What is kept of an object of our kinds. None: it cannot be read, and nothing is to be kept.

        A version that is known is not read again: the store's own record is given, so that it is held once.
        """
        who, store = identity(raw), self._intake.table[kind.name].store
        if store.knows(who.uid, who.resource_version):
            return store.get(who.uid)  # an own write comes back as an event
        record = self._intake.read(kind, msgspec.json.decode(raw))
        return store.trusted(who.uid) if record is None else kind.kept(record)

    def on_object(self, kind: Kind[Any], change: Change[Any]) -> None:
        """The reflector says something of an object of our kinds."""
        if change.kind is ChangeKind.DELETED:
            if not change.seen:
                logger.info("a %s is not there any more, or cannot be read: %s", kind.name, change.identity.uid)
            self._intake.forget(kind, change.identity.uid)
        elif change.new is not None:
            self._intake.take(kind, self._aged(change.new) if _listed(change) else change.new)

    async def _compare(self, what: str, reflector: Reflector[Any], patience: float) -> None:
        if count := await missed(self._client, reflector, patience):
            logger.error("the watch of %s is deaf: %d not delivered", what, count)
            reflector.relist()

    def _mirror(self, kind: Kind[Any]) -> Reflector[Any]:
        read, on_object = partial(self.read, kind), partial(self.on_object, kind)
        # Of what is gone nothing is read: a last state that cannot be read is no reason to complain.
        return Reflector(self._client, Source(kind.resource, Query()), read, on_object, PROMPT, reads_deleted=False)

    def _aged(self, record: Any) -> Any:
        return with_age(record, self._client.server_time()) if isinstance(record, OperationRecord) else record

    def _is_news(self, old: PodRecord | None, new: PodRecord) -> bool:
        """Whether a pod says more than that it has another version, and what was posted to it."""
        if old is None or not (new.view.mailbox == old.view.mailbox or self._is_own(new)):
            return True
        view = replace(old.view, resource_version=new.view.resource_version, mailbox=new.view.mailbox)
        return replace(old, view=view) != new

    def _is_own(self, record: PodRecord) -> bool:
        """Whether the pod's mailbox is as this process has written it last."""
        posting = self._posted(record.key.uid)
        return posting is not None and record.view.mailbox in (posting.text, posting.lean)

    def _wake_all(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._waking.add(key)


def _listed(change: Change[Any]) -> bool:
    """Whether a list has shown it for the first time."""
    return change.kind is ChangeKind.ADDED and not change.seen


def _runs(record: PodRecord | None) -> bool:
    return record is not None and not ended(record.view)
