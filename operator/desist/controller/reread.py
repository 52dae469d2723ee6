"""What turned out to be otherwise is read, so that the next reconcile does not judge the same stale state once more.

Contract: what was read goes where the watches put theirs, and only if it is newer. The events that would say the same
may be long in coming: a watch may be cut, and nobody says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from desist.api.meta import ObjectMeta
from desist.controller.caches import Caches
from desist.controller.cluster import Cluster, Vanished
from desist.controller.executions import Executions
from desist.controller.kinds import EXECUTION
from desist.controller.records import ExecutionRecord
from desist.controller.views import PodRecord
from desist.lifecycle.observed import WantedPod


@dataclass(frozen=True, slots=True)
class Rereader:
    """Reads executions and pods. Raises kube's errors."""

    cluster: Cluster
    executions: Executions
    caches: Caches

    async def execution(self, metadata: ObjectMeta) -> ExecutionRecord | None:
        """Read the execution of that name; one that is gone, or another one, is forgotten. Raises Unreadable, too."""
        known = self.executions.trusted(metadata.uid)
        try:
            fresh = EXECUTION.read(await self.cluster.get(EXECUTION, metadata.namespace, metadata.name), known)
        except Vanished:
            self.executions.forget(metadata.uid)
            return None
        if fresh.metadata.uid != metadata.uid:
            # The other one's own event brings it a reconcile; noted here, that event would say nothing new.
            self.executions.forget(metadata.uid)
            return None
        self.executions.note(fresh)
        return fresh

    async def pod(self, owner: ObjectMeta, uid: str) -> None:
        """Read the pod of that UID. One that is not there any more is left to its DELETED event, which holds proof."""
        known = next((view for view in self.caches.pods(owner) if view.uid == uid), None)
        if known is None:
            return
        wanted = WantedPod(known.name, known.run_id, known.attempt, known.uid)
        found = await self.cluster.live_pod(owner, wanted)
        if found is not None:
            self.caches.pod_read(PodRecord(owner.namespace, owner.uid, found))
