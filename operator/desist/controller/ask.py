"""What the core wants to know before it decides is asked of the API server, live.

Contract: `answer` gives the observation back with the answers in it; it decides nothing, and asks nothing that was not
wanted. Raises kube's errors: without an answer there is no decision.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from datetime import datetime

from desist.api.base import Opaque
from desist.controller.caches import Caches
from desist.controller.cluster import Cluster
from desist.controller.creates import Creates
from desist.controller.kinds import EXECUTION, Key
from desist.controller.memory import Memory
from desist.controller.observe import with_live_pod
from desist.lifecycle.observed import CreateAnswer, Observed, Questions, WantedPod
from desist.lifecycle.pod.manifest import dry_run_manifest


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks."""

    cluster: Cluster
    creates: Creates
    caches: Caches
    memory: Memory
    clock: Callable[[], datetime]

    async def answer(self, questions: Questions, observed: Observed) -> Observed:
        """The observation with the API server's answers in it. Raises NoSlot, and kube's errors."""
        if questions.dry_run:
            observed = replace(observed, dry_run=await self._dry_run(observed))
        if questions.live_pod is not None:
            observed = await self._with_live_pod(observed, questions.live_pod)
        for name in questions.live_nodes:
            observed = await self._with_live_node(observed, name)
        return observed

    async def _dry_run(self, observed: Observed) -> CreateAnswer:
        metadata = observed.execution.metadata
        key = Key(EXECUTION.name, metadata.uid)
        return await self.creates.dry_run(key, metadata, _made_from(observed), lambda: _first_pod(observed))

    async def _with_live_pod(self, observed: Observed, wanted: WantedPod) -> Observed:
        owner = observed.execution.metadata
        found = await self.cluster.live_pod(owner, wanted)
        if found is None:
            return with_live_pod(observed, None, self.memory.missed(owner.uid, wanted.name, self.clock()))
        self.memory.found(owner.uid)
        return with_live_pod(observed, self.caches.dated(owner.uid, found))

    async def _with_live_node(self, observed: Observed, name: str) -> Observed:
        found = await self.cluster.live_node(name)
        node = self.caches.known_since(found) if found is not None else None
        others = tuple(known for known in observed.nodes if known.name != name)
        nodes = others if node is None else (*others, node)
        return replace(observed, nodes=nodes, live_nodes=(*observed.live_nodes, name))


def _made_from(observed: Observed) -> Hashable:
    """What the first pod depends on: while that is the same, a refusal holds."""
    workflow = observed.workflow.metadata if observed.workflow else None
    made_from = (workflow.uid, workflow.generation) if workflow else None
    return observed.execution.metadata.generation, made_from, observed.settings


def _first_pod(observed: Observed) -> Opaque:
    spec = observed.execution.spec.workflow_spec or (observed.workflow.spec if observed.workflow else None)
    if spec is None:
        raise ValueError("a dry run needs a workflow, in place or by reference")
    arguments = observed.execution.spec.arguments
    return dry_run_manifest(observed.execution, spec, arguments, observed.settings)
