"""From caches and answers to the one value that a pass is decided from.

Contract: `assemble` only gathers (no call, no decision); `answer` asks the API server what the core wants to know
before it decides, and gives the observation back with the answers in it. How the launcher gets into pods is settled
here too, because only the controller sees the server's version and the nodes' runtimes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from desist.api.base import Opaque
from desist.controller.caches import Caches
from desist.controller.cluster import Cluster
from desist.controller.memory import Memory
from desist.controller.records import ExecutionRecord, WorkflowRecord
from desist.controller.settings import ControllerSettings
from desist.controller.store import Store
from desist.lifecycle.observed import Observed, PodView, Questions
from desist.lifecycle.pod.manifest import pod_manifest, pod_name
from desist.lifecycle.settings import LauncherDelivery, Settings
from desist.lifecycle.wire import mailbox

TRIAL_RUN_ID = "0" * 26
"""The run of a dry-run create: no real run has it, so its pod's name is nobody's."""
IMAGE_VOLUME_SERVER = (1, 35)
IMAGE_VOLUME_CONTAINERD = (2, 1)


@dataclass(slots=True)
class Observer:
    """Gathers what one pass may look at."""

    settings: ControllerSettings
    cluster: Cluster
    workflows: Store[WorkflowRecord]
    caches: Caches
    memory: Memory
    server: tuple[int, int] = field(default=(0, 0), init=False)
    """The API server's version, major and minor."""

    def assemble(self, record: ExecutionRecord, now: datetime) -> Observed:
        """The observation, from memory alone."""
        execution, uid = record.execution, record.metadata.uid
        pods, deleted = self.caches.pods(uid), self.caches.deleted(uid)
        nodes = record.nodes | {pod.node for pod in (*pods, *deleted) if pod.node}
        reference = execution.spec.workflow_ref
        workflow = self.workflows.named(record.metadata.namespace, reference.name) if reference else None
        return Observed(
            execution=execution,
            settings=self.core_settings(),
            workflow=workflow.workflow if workflow else None,
            pods=pods,
            deleted=deleted,
            nodes=self.caches.nodes(nodes),
            created=self.memory.refusal(uid, _current_pod(record)),
            field_manager=record.field_manager,
        )

    async def answer(self, questions: Questions, observed: Observed) -> Observed:
        """The observation with the API server's answers in it. Raises kube's errors."""
        if questions.trial:
            trial = await self.cluster.try_pod(observed.execution.metadata, _trial(observed))
            observed = replace(observed, trial=trial)
        if questions.live_pod is not None:
            found = await self.cluster.live_pod(observed.execution.metadata, questions.live_pod)
            observed = with_live_pod(observed, found)
        for name in questions.live_nodes:
            node = await self.cluster.live_node(name)
            nodes = tuple(known for known in observed.nodes if known.name != name)
            nodes = nodes if node is None else (*nodes, node)
            observed = replace(observed, nodes=nodes, live_nodes=(*observed.live_nodes, name))
        return observed

    def urgent(self, record: ExecutionRecord) -> bool:
        """Whether a stop is asked for that was not judged, or judged and not posted.

        Status tells of a posting with its next write only, which may be the run's last: memory knows before, and the
        mailbox itself after a restart. In a pod that is being deleted there is nothing to be posted.
        """
        command, uid, name = record.unposted, record.metadata.uid, _current_pod(record)
        if command is None:
            return record.unjudged
        pods = [pod for pod in self.caches.pods(uid) if pod.name == name]
        if any(pod.deletion_timestamp is not None for pod in pods):
            return record.unjudged
        posting = self.memory.last_posting(uid)
        posted = [pod.mailbox for pod in pods] + ([posting.text] if posting and posting.pod == name else [])
        return record.unjudged or command not in map(_command_of, posted)

    def core_settings(self) -> Settings:
        """The core's settings, with the launcher's way into pods settled."""
        way = self.settings.delivery.fixed or delivery(self.server, self.caches.runtimes())
        return replace(self.settings.core, launcher_delivery=way)


def with_live_pod(observed: Observed, found: PodView | None) -> Observed:
    """The observation after a GET of the current attempt's pod."""
    if found is None:
        return replace(observed, live_pod=True)
    pods = tuple(pod for pod in observed.pods if pod.uid != found.uid)
    deleted = tuple(pod for pod in observed.deleted if pod.uid != found.uid)
    return replace(observed, live_pod=True, pods=(*pods, found), deleted=deleted)


def delivery(server: tuple[int, int], runtimes: Iterable[str]) -> LauncherDelivery:
    """By image volume where the server and every node's runtime have them, else by an init container."""
    versions = [_containerd(runtime) for runtime in runtimes]
    able = server >= IMAGE_VOLUME_SERVER and bool(versions) and min(versions) >= IMAGE_VOLUME_CONTAINERD
    return LauncherDelivery.IMAGE_VOLUME if able else LauncherDelivery.INIT_CONTAINER


def _containerd(runtime: str) -> tuple[int, int]:
    """Major and minor; (0, 0) for another runtime, of which nothing is known."""
    found = re.match(r"containerd://v?(\d+)\.(\d+)", runtime)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _command_of(text: str) -> str | None:
    """The command that a mailbox holds."""
    stop = mailbox.parse(text)
    return stop.command_id if stop is not None else None


def _current_pod(record: ExecutionRecord) -> str:
    """Name of the current attempt's pod; empty where there is no attempt yet."""
    status = record.execution.status
    if status is None or status.run_id is None or status.attempt is None:
        return ""
    return pod_name(record.metadata.name, status.run_id, status.attempt)


def _trial(observed: Observed) -> Opaque:
    spec = observed.execution.spec.workflow_spec or (observed.workflow.spec if observed.workflow else None)
    if spec is None:
        raise ValueError("a trial needs a workflow, in place or by reference")
    arguments = observed.execution.spec.arguments
    return pod_manifest(observed.execution, spec, arguments, TRIAL_RUN_ID, 1, observed.settings)
