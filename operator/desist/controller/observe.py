"""From stores and caches to the one value that a reconcile is decided from.

Contract: `assemble` only gathers: no call, no decision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from desist.controller.caches import Caches
from desist.controller.memory import Memory
from desist.controller.platform import Platform
from desist.controller.records import ExecutionRecord, WorkflowRecord
from desist.controller.store import Store
from desist.lifecycle.observed import Observed, PodView, TooLarge
from desist.lifecycle.view import current


@dataclass(frozen=True, slots=True)
class Observer:
    """Gathers what one reconcile may look at."""

    workflows: Store[WorkflowRecord]
    caches: Caches
    memory: Memory
    platform: Platform
    began: datetime
    """When this process began to look."""

    def assemble(self, record: ExecutionRecord) -> Observed:
        """The observation, from memory alone."""
        execution, uid = record.execution, record.metadata.uid
        pods, deleted = self.caches.pods(record.metadata), self.caches.deleted(record.metadata)
        nodes = record.nodes | {pod.node for pod in (*pods, *deleted) if pod.node}
        workflow = self._workflow(record)
        if any(pod.name == current_pod(record) for pod in pods):
            self.memory.found(uid)
        return Observed(
            execution=execution,
            settings=self.platform.core_settings(),
            workflow=workflow.workflow if workflow else None,
            too_large=record.too_large or _of_workflow(workflow),
            pods=pods,
            deleted=deleted,
            nodes=self.caches.nodes(nodes),
            created=self.memory.refusal(uid, current_pod(record)),
            refusals=self.memory.pod_refusals(uid),
            made=self.memory.made(uid, current_pod(record)),
            field_manager=record.field_manager,
            began=self.began,
        )

    def _workflow(self, record: ExecutionRecord) -> WorkflowRecord | None:
        """The Workflow that it names, if it exists."""
        reference = record.execution.spec.workflow_ref
        return self.workflows.named(record.metadata.namespace, reference.name) if reference else None


def _of_workflow(workflow: WorkflowRecord | None) -> TooLarge | None:
    """What of the Workflow is too large, as an execution of it is told."""
    found = workflow.too_large if workflow else None
    return replace(found, message=f"the Workflow's {found.message}") if found else None


def with_live_pod(observed: Observed, found: PodView | None, missed_since: datetime | None = None) -> Observed:
    """The observation after a GET of the current attempt's pod; `missed_since`: when one first found none."""
    if found is None:
        return replace(observed, live_pod=True, missed_since=missed_since)
    pods = tuple(pod for pod in observed.pods if pod.uid != found.uid)
    deleted = tuple(pod for pod in observed.deleted if pod.uid != found.uid)
    return replace(observed, live_pod=True, pods=(*pods, found), deleted=deleted)


def current_pod(record: ExecutionRecord) -> str:
    """Name of the current attempt's pod; empty where there is no attempt yet."""
    status = record.execution.status
    process = current(status) if status is not None else None
    return process.pod if process is not None else ""
