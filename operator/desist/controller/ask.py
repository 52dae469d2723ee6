"""What the core wants to know before it decides is asked of the API server, live.

Contract: `answer` gives the observation back with the answers in it; it decides nothing, and asks nothing that was not
wanted. Raises kube's errors: without an answer there is no decision. What only one kind asks for is asked by `own`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic

from desist.controller.caches import Caches
from desist.controller.cluster import Cluster
from desist.controller.memory import Memory
from desist.controller.observe import Seen, with_live_pod
from desist.controller.records import StoppableRecord
from desist.lifecycle.observed.questions import Questions, WantedPod

Own = Callable[[Questions, Any, Seen], Awaitable[Seen]]


@dataclass(frozen=True, slots=True)
class Asker(Generic[Seen]):
    """Asks."""

    cluster: Cluster
    caches: Caches
    memory: Memory
    clock: Callable[[], datetime]
    own: Own[Seen]
    """Answers what only this kind asks for."""

    async def answer(self, questions: Questions, record: StoppableRecord, seen: Seen) -> Seen:
        """The observation with the API server's answers in it. Raises Unreadable, and kube's errors."""
        seen = await self.own(questions, record, seen)
        if questions.live_pod is not None:
            seen = await self._with_live_pod(record, seen, questions.live_pod)
        for name in questions.live_nodes:
            seen = await self._with_live_node(seen, name)
        return seen

    async def _with_live_pod(self, record: StoppableRecord, seen: Seen, wanted: WantedPod) -> Seen:
        uid, owner = record.metadata.uid, record.owner
        # A pod that its execution controls is the execution's own, or this operation's, and no other one's.
        found = await self.cluster.live_pod(owner, replace(wanted, operation="" if owner.uid == uid else uid))
        if found is None:
            return with_live_pod(seen, None, self.memory.missed(uid, wanted.name, self.clock()))
        self.memory.found(uid)
        return with_live_pod(seen, self.caches.dated(uid, found))

    async def _with_live_node(self, seen: Seen, name: str) -> Seen:
        found = await self.cluster.live_node(name)
        node = self.caches.known_since(found) if found is not None else None
        others = tuple(known for known in seen.nodes if known.name != name)
        nodes = others if node is None else (*others, node)
        return replace(seen, nodes=nodes, live_nodes=(*seen.live_nodes, name))
