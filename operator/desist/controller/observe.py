"""From stores and caches to the one value that a reconcile is decided from.

Contract: `assemble` only gathers: no call, no decision. What a reconcile of an execution and one of an operation look
at alike is gathered by the same code (`Sights`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict, TypeVar

from desist.api.execution import WorkflowExecution
from desist.controller.caches import Caches
from desist.controller.executions import Executions
from desist.controller.memory import Memory
from desist.controller.operation_records import OperationRecord
from desist.controller.operations import Operations
from desist.controller.platform import Platform
from desist.controller.records import ExecutionRecord, StoppableRecord, WorkflowRecord, current_pod
from desist.controller.store import Store
from desist.lifecycle.observed.pods import NodeView, PodView
from desist.lifecycle.observed.pushes import Pushed
from desist.lifecycle.observed.questions import CreateAnswer, Refusal
from desist.lifecycle.observed.sight import Observed, ObservedOperation, Sight, TooLarge
from desist.lifecycle.settings import Settings

Seen = TypeVar("Seen", bound=Sight)


class _Sight(TypedDict):
    """The fields of `Sight` that come from memory."""

    settings: Settings
    pods: tuple[PodView, ...]
    deleted: tuple[PodView, ...]
    nodes: tuple[NodeView, ...]
    created: CreateAnswer | None
    refusals: tuple[Refusal, ...]
    pushes: tuple[Pushed, ...]
    made: str
    field_manager: str | None
    began: datetime


@dataclass(frozen=True, slots=True)
class Sights:
    """Gathers what every reconcile looks at."""

    caches: Caches
    memory: Memory
    platform: Platform
    began: datetime
    """When this process began to look."""

    def of(self, record: StoppableRecord) -> _Sight:
        """What bears on the processes of that object."""
        uid, execution, pod = record.metadata.uid, record.owner.uid, current_pod(record)
        pods, deleted = self.caches.pods(record.metadata, execution), self.caches.deleted(record.metadata, execution)
        nodes = record.nodes | {view.node for view in (*pods, *deleted) if view.node}
        if any(view.name == pod for view in pods):
            self.memory.found(uid)
        return _Sight(
            settings=self.platform.core_settings(),
            pods=pods,
            deleted=deleted,
            nodes=self.caches.nodes(nodes),
            created=self.memory.refusal(uid, pod),
            refusals=self.memory.pod_refusals(uid),
            pushes=self.memory.pushes(uid),
            made=self.memory.made(uid, pod),
            field_manager=record.field_manager,
            began=self.began,
        )


@dataclass(frozen=True, slots=True)
class Observer:
    """Gathers what one reconcile of an execution may look at."""

    sights: Sights
    workflows: Store[WorkflowRecord]
    operations: Operations

    def assemble(self, record: ExecutionRecord) -> Observed:
        """The observation, from memory alone."""
        workflow, caches = self._workflow(record), self.sights.caches
        run_id = record.status.run_id if record.status is not None else None
        return Observed(
            **self.sights.of(record),
            execution=record.execution,
            workflow=workflow.workflow if workflow else None,
            too_large=record.too_large or _of_workflow(workflow),
            operations=self.operations.seen(record.metadata),
            operation_pods=caches.operation_pods(record.metadata),
            listed_at_end=self.sights.memory.at_end(record.metadata.uid, run_id),
            counted_at=self.sights.memory.counted_at(record.metadata.uid),
        )

    def _workflow(self, record: ExecutionRecord) -> WorkflowRecord | None:
        """The Workflow that it names, if it exists."""
        reference = record.execution.spec.workflow_ref
        return self.workflows.named(record.metadata.namespace, reference.name) if reference else None


@dataclass(frozen=True, slots=True)
class OperationObserver:
    """Gathers what one reconcile of an operation may look at."""

    sights: Sights
    executions: Executions
    operations: Operations

    def assemble(self, record: OperationRecord) -> ObservedOperation:
        """The observation, from memory alone."""
        return ObservedOperation(
            **self.sights.of(record),
            operation=record.operation,
            execution=self._execution(record),
            too_large=record.too_large,
            earlier=self.operations.earlier(record),
            age=record.age,
        )

    def _execution(self, record: OperationRecord) -> WorkflowExecution | None:
        """The execution that it names, if it is known; of one at rest nothing is, and it is asked for."""
        owner, known = record.owner, self.executions.get(record.owner.uid)
        if not isinstance(known, ExecutionRecord):
            return None
        named = (known.metadata.namespace, known.metadata.name) == (owner.namespace, owner.name)
        return known.execution if named else None


def _of_workflow(workflow: WorkflowRecord | None) -> TooLarge | None:
    """What of the Workflow is too large, as an execution of it is told."""
    found = workflow.too_large if workflow else None
    return replace(found, message=f"the Workflow's {found.message}") if found else None


def with_live_pod(seen: Seen, found: PodView | None, missed_since: datetime | None = None) -> Seen:
    """The observation after a GET of the current attempt's pod; `missed_since`: when one first found none."""
    if found is None:
        return replace(seen, live_pod=True, missed_since=missed_since)
    pods = tuple(pod for pod in seen.pods if pod.uid != found.uid)
    deleted = tuple(pod for pod in seen.deleted if pod.uid != found.uid)
    return replace(seen, live_pod=True, pods=(*pods, found), deleted=deleted)
