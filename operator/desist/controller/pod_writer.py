"""The two calls by which a stop reaches a pod, and what is made of their refusal.

Contract: both are guarded by what was judged. Where somebody changes the pod all the time and nothing that matters has
changed, the pod is read and the call made again at once, under its new version. A refusal is remembered for the core,
which has another way; it is never raised. A fault that may pass (a 5xx, no answer in time, a kind that is not served
just now) counts as a refusal from its second time on. What says nothing of this pod (429, no connection) is raised:
the queue comes again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from desist.api.meta import ObjectMeta
from desist.controller.cluster import Cluster, Outdated, Vanished
from desist.controller.memory import Memory
from desist.controller.outcome import Outcome
from desist.controller.records import Placed
from desist.kube.errors import ApiError, Invalid, TooLarge, may_pass, of_the_server
from desist.lifecycle.observed.pods import ContainerPhase, PodView
from desist.lifecycle.observed.questions import PodCall, Refusal, WantedPod
from desist.lifecycle.plan import DeletePod, PostMailbox

logger = logging.getLogger(__name__)
TRIES = 5
"""Of one call, where the pod changes between its reading and the call."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of a posting."""

    outcome: Outcome
    version: str = ""
    """The pod's resourceVersion after it; empty where it was not done."""


@dataclass(frozen=True, slots=True)
class PodWriter:
    """Posts and deletes."""

    cluster: Cluster
    memory: Memory
    clock: Callable[[], datetime]

    async def post(self, whose: Placed, action: PostMailbox) -> Posted:
        """Write the mailbox. Raises kube's errors where the API server is at fault; of a repeat, every error."""
        for _ in range(TRIES):
            try:
                version = await self._patch(whose.owner, action)
            except Vanished:
                return Posted(Outcome.AGAIN)
            except Outdated:
                fresh = await self._fresh(whose.owner, action.pod, action.uid)
                if fresh is None or fresh.mailbox != action.over or _started(fresh) != action.started:
                    return Posted(Outcome.AGAIN)
                action = replace(action, resource_version=fresh.resource_version)
                continue
            except ApiError as error:
                if action.again:
                    raise
                return Posted(self._refused(whose.metadata.uid, action.uid, PodCall.POST, action.asks, error))
            logger.info("stop posted %sto pod %s", "again " if action.again else "", action.pod)
            self.memory.pod_taken(whose.metadata.uid, action.uid, PodCall.POST)
            self.memory.posted(whose.metadata.uid, action, version)
            return Posted(Outcome.DONE, version)
        return Posted(Outcome.AGAIN)

    async def delete(self, whose: Placed, action: DeletePod, version: str) -> Outcome:
        """Delete the pod; with a version only while its workflow container has not started. Raises as `post`."""
        for _ in range(TRIES):
            try:
                await self.cluster.delete_pod(whose.owner.namespace, action, version)
            except Vanished:
                return Outcome.DONE
            except Outdated:
                fresh = await self._fresh(whose.owner, action.pod, action.uid)
                if not version or fresh is None or _started(fresh):
                    return Outcome.AGAIN
                version = fresh.resource_version
                continue
            except ApiError as error:
                return self._refused(whose.metadata.uid, action.uid, PodCall.DELETE, str(action.grace_seconds), error)
            logger.info("pod %s deleted, grace %s", action.pod, action.grace_seconds)
            self.memory.pod_taken(whose.metadata.uid, action.uid, PodCall.DELETE)
            self.memory.deleted(whose.metadata.uid, action.uid)
            return Outcome.DONE
        return Outcome.AGAIN

    async def _patch(self, owner: ObjectMeta, action: PostMailbox) -> str:
        """The PATCH; where it does not fit, or is not valid, once more at once without reason and details."""
        try:
            return await self.cluster.post_mailbox(owner.namespace, action)
        except (TooLarge, Invalid):
            if not action.lean:
                raise
            return await self.cluster.post_mailbox(owner.namespace, replace(action, text=action.lean))

    async def _fresh(self, owner: ObjectMeta, name: str, uid: str) -> PodView | None:
        """The pod as it is now; None where it is another one, or is being deleted."""
        found = await self.cluster.live_pod(owner, WantedPod(name, "", 0, uid))
        return found if found is not None and found.uid == uid and found.deletion_timestamp is None else None

    def _refused(self, of: str, pod_uid: str, call: PodCall, asks: str, error: ApiError) -> Outcome:
        if of_the_server(error):
            raise error
        times = 0 if may_pass(error) else 1
        message = error.message or error.reason
        refusal = Refusal(pod_uid, call, asks, message, self.clock(), times)
        counted = self.memory.pod_refused(of, refusal)
        logger.warning("the %s of pod %s is refused (%d in a row): %s", call, pod_uid, counted.times, error)
        return Outcome.AGAIN


def _started(pod: PodView) -> bool:
    return pod.workflow.phase is not ContainerPhase.WAITING
