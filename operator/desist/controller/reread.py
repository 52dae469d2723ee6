"""What turned out to be otherwise is read, so that the next reconcile does not judge the same stale state once more.

Contract: what was read goes where the watches put theirs, and only if it is newer. The events that would say the same
may be long in coming: a watch may be cut, and nobody says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

from desist.api.meta import ObjectMeta
from desist.controller.caches import Caches
from desist.controller.cluster import Cluster, Vanished
from desist.controller.kinds import Kind
from desist.controller.records import Placed
from desist.controller.store import Record, Store
from desist.controller.views import PodRecord
from desist.lifecycle.observed.questions import WantedPod


@dataclass(frozen=True, slots=True)
class Rereader(Generic[Record]):
    """Reads objects of one kind, and their pods. Raises kube's errors."""

    kind: Kind[Record]
    cluster: Cluster
    store: Store[Any]
    caches: Caches

    async def read(self, metadata: ObjectMeta) -> Record | None:
        """Read the object of that name; one that is gone, or another one, is forgotten. Raises Unreadable, too."""
        known = self.store.trusted(metadata.uid)
        try:
            body = await self.cluster.get(self.kind, metadata.namespace, metadata.name)
        except Vanished:
            self.store.forget(metadata.uid)
            return None
        fresh = self.kind.read(body, known)
        if fresh.metadata.uid != metadata.uid:
            # The other one's own event brings it a reconcile; noted here, that event would say nothing new.
            self.store.forget(metadata.uid)
            return None
        self.store.note(fresh)
        return fresh

    async def pod(self, record: Placed, uid: str) -> None:
        """Read the pod of that UID. One that is not there any more is left to its DELETED event, which holds proof."""
        known = next((view for view in self.caches.of(record) if view.uid == uid), None)
        if known is None:
            return
        wanted = WantedPod(known.name, known.run_id, known.attempt, known.uid, known.operation)
        found = await self.cluster.live_pod(record.owner, wanted)
        if found is not None:
            self.caches.pod_read(PodRecord(record.owner.namespace, record.owner.uid, found))
