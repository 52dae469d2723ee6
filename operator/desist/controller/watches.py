"""The watches of pods and nodes: reflectors that feed the caches and wake the executions concerned.

Contract: pods carry our label (the API server filters), nodes come whole but are cut down as they are decoded. The
reflectors relist and diff by themselves; here it only matters whether a deletion was seen or missed (see `Caches`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec

from desist.api.meta import EXECUTION_UID_LABEL
from desist.controller.caches import Caches
from desist.controller.raw import RawNode, RawPod
from desist.controller.views import NodeRecord, PodRecord, node_record, pod_record
from desist.kube.client import Client
from desist.kube.listing import Change, ChangeKind
from desist.kube.reflector import Reflector, Source
from desist.kube.resource import NODES, PODS, Query

_POD = msgspec.json.Decoder(RawPod)
_NODE = msgspec.json.Decoder(RawNode)


class Watches:
    """Both watches; `wake` is called with the UID of each execution concerned."""

    def __init__(
        self, client: Client, caches: Caches, wake: Callable[[str], None], clock: Callable[[], datetime]
    ) -> None:
        self._caches = caches
        self._wake = wake
        pods = Reflector(
            client,
            Source(PODS, Query(labels=EXECUTION_UID_LABEL)),
            lambda raw: pod_record(_POD.decode(raw), clock()),
            self.on_pod,
        )
        nodes = Reflector(
            client, Source(NODES, Query()), lambda raw: node_record(_NODE.decode(raw), clock()), self.on_node
        )
        self.reflectors: tuple[tuple[str, Reflector[Any]], ...] = (("pods", pods), ("nodes", nodes))

    def anew(self) -> None:
        """Versions have gone back: list everything anew, and take it as it is."""
        self._caches.doubt()
        for _, reflector in self.reflectors:
            reflector.anew()

    async def synced(self) -> None:
        """Wait until both caches hold what there is."""
        await asyncio.gather(*(reflector.synced.wait() for _, reflector in self.reflectors))

    def streamed(self) -> bool:
        """Whether this server gives lists as streams."""
        return all(reflector.streamed for _, reflector in self.reflectors)

    def stuck(self) -> str | None:
        """For the liveness probe."""
        now = asyncio.get_running_loop().time()
        return next((reason for _, each in self.reflectors if (reason := each.stuck(now)) is not None), None)

    def behind(self) -> str | None:
        """For the readiness probe."""
        now = asyncio.get_running_loop().time()
        return next((reason for _, each in self.reflectors if (reason := each.behind(now)) is not None), None)

    def on_pod(self, change: Change[PodRecord]) -> None:
        """The reflector says something of a pod."""
        if change.kind is not ChangeKind.DELETED and change.new is not None:
            self._wake(self._caches.pod_changed(change.new))
            return
        last = change.new if change.seen and change.new is not None else change.old
        if last is not None:
            self._wake(self._caches.pod_deleted(last, seen=change.seen and change.new is not None))

    def on_node(self, change: Change[NodeRecord]) -> None:
        """The reflector says something of a node."""
        if change.kind is ChangeKind.DELETED:
            self._wake_all(self._caches.node_deleted(change.identity.name))
        elif change.new is not None:
            self._wake_all(self._caches.node_changed(change.new))

    def _wake_all(self, executions: Iterable[str]) -> None:
        for uid in executions:
            self._wake(uid)
