"""Slim records of `WorkflowExecution` and `Workflow` objects, as a watch or a list delivers them.

Contract: `execution_record` and `workflow_record` turn a raw body into a frozen record, or raise what `Kind.read` makes
an `Unreadable` of. The managed fields are read here once and then forgotten: they are half of a body.
- Sizes are judged first; of a spec in which something is too large, neither template nor arguments are read.
- What is known of the same generation is kept (`known`): its spec is not measured, read or held a second time.
- Of an execution at rest its name is kept, and no more (`Resting`): whoever needs more reads it again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from desist.api.execution import WorkflowExecution
from desist.api.meta import ObjectMeta
from desist.api.status import Stoppable, WorkflowExecutionStatus
from desist.api.workflow import Workflow
from desist.lifecycle.observed.sight import TooLarge
from desist.lifecycle.pod import limits
from desist.lifecycle.run.rest import at_rest, unproven_pod
from desist.lifecycle.view import current


class Placed(Protocol):
    """What pods belong to."""

    @property
    def metadata(self) -> ObjectMeta:
        """Identity and age."""

    @property
    def owner(self) -> ObjectMeta:
        """The execution that controls its pods."""

    @property
    def version(self) -> int:
        """The resourceVersion as the number that it is."""


class StoppableRecord(Placed, Protocol):
    """What the records of all that can be stopped have in common."""

    @property
    def status(self) -> Stoppable | None:
        """What has happened to it."""

    @property
    def open(self) -> bool:
        """Whether it has not ended."""

    @property
    def nodes(self) -> frozenset[str]:
        """Nodes whose state bears on it."""

    @property
    def names(self) -> Mapping[str, str]:
        """How a log line names it."""

    @property
    def field_manager(self) -> str | None:
        """Who wrote spec.cancellation.mode last."""


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """One execution as it was last seen."""

    execution: WorkflowExecution
    field_manager: str | None = None
    """Who wrote spec.cancellation.mode last."""
    too_large: TooLarge | None = None
    """What of its spec is too large to be read."""

    @property
    def metadata(self) -> ObjectMeta:
        """Identity and age."""
        return self.execution.metadata

    @property
    def version(self) -> int:
        """Its resourceVersion."""
        return int(self.metadata.resource_version)

    @property
    def owner(self) -> ObjectMeta:
        """The execution that controls its pods: itself."""
        return self.execution.metadata

    @property
    def names(self) -> Mapping[str, str]:
        """How a log line names it."""
        return {"execution": self.metadata.name}

    @property
    def status(self) -> WorkflowExecutionStatus | None:
        """What has happened to it."""
        return self.execution.status

    @property
    def open(self) -> bool:
        """Whether its run has not ended."""
        status = self.execution.status
        return status is None or status.phase is None or not status.phase.terminal

    @property
    def awaited_workflow(self) -> str | None:
        """Name of the Workflow that its run would begin with; None once it has begun."""
        begun = self.execution.status is not None and self.execution.status.workflow_spec is not None
        reference = self.execution.spec.workflow_ref
        return None if begun or reference is None or not self.open else reference.name

    @property
    def nodes(self) -> frozenset[str]:
        """Nodes whose state bears on it."""
        return nodes_of(self.execution.status)


@dataclass(frozen=True, slots=True)
class Resting:
    """What is kept of an execution at rest."""

    uid: str
    namespace: str
    name: str
    resource_version: int
    generation: int
    run_id: str = ""
    late: int = 0
    """How many late operations of that run its status has counted."""
    unproven_pod: str = ""
    """UID of its process's pod, where that was closed without proof."""

    @staticmethod
    def of(record: ExecutionRecord) -> Resting:
        """That execution; all in a namespace hold its name once."""
        metadata, status = record.metadata, record.status or WorkflowExecutionStatus()
        return Resting(
            uid=metadata.uid,
            namespace=sys.intern(metadata.namespace),
            name=metadata.name,
            resource_version=int(metadata.resource_version),
            generation=metadata.generation,
            run_id=status.run_id or "",
            late=status.operations.late if status.operations is not None else 0,
            unproven_pod=unproven_pod(status),
        )

    @property
    def version(self) -> int:
        """Its resourceVersion."""
        return self.resource_version

    @property
    def metadata(self) -> ObjectMeta:
        """Identity and age, made anew."""
        return ObjectMeta.model_construct(
            uid=self.uid,
            namespace=self.namespace,
            name=self.name,
            resource_version=str(self.resource_version),
            generation=self.generation,
        )

    @property
    def owner(self) -> ObjectMeta:
        """The execution that controls its pods: itself."""
        return self.metadata


@dataclass(frozen=True, slots=True)
class WorkflowRecord:
    """One workflow as it was last seen."""

    workflow: Workflow
    too_large: TooLarge | None = None
    """What of its spec is too large to be read."""

    @property
    def metadata(self) -> ObjectMeta:
        """Identity and age."""
        return self.workflow.metadata

    @property
    def version(self) -> int:
        """Its resourceVersion."""
        return int(self.metadata.resource_version)


def kept(record: ExecutionRecord | Resting) -> ExecutionRecord | Resting:
    """What is kept of an execution."""
    return Resting.of(record) if isinstance(record, ExecutionRecord) and at_rest(record.execution) else record


def nodes_of(status: Stoppable | None) -> frozenset[str]:
    """Nodes that a status names."""
    if status is None:
        return frozenset()
    bound = [process.node for process in status.processes] + [entry.node for entry in status.unconfirmed]
    return frozenset(node for node in bound if node)


def current_pod(record: StoppableRecord) -> str:
    """Name of the current attempt's pod; empty where there is no attempt yet."""
    process = current(record.status) if record.status is not None else None
    return process.pod if process is not None else ""


def execution_record(body: Mapping[str, Any], known: ExecutionRecord | Resting | None = None) -> ExecutionRecord:
    """The record of an execution's body. Raises pydantic's ValidationError, and RecursionError."""
    if isinstance(known, ExecutionRecord) and same_spec(body, known.metadata):
        spec: Any = known.execution.spec
        too_large = known.too_large
    else:
        spec, too_large = _measured(body)
    execution = WorkflowExecution.model_validate({**body, "spec": spec})
    asked = execution.spec.cancellation is not None
    manager = field_manager(body["metadata"].get("managedFields", ())) if asked else None
    return ExecutionRecord(execution, manager, too_large)


def workflow_record(body: Mapping[str, Any], known: WorkflowRecord | None = None) -> WorkflowRecord:
    """The record of a workflow's body. Raises pydantic's ValidationError, and RecursionError."""
    if known is not None and same_spec(body, known.metadata):
        spec: Any = known.workflow.spec
        too_large = known.too_large
    else:
        spec, too_large = _measured(body)
    return WorkflowRecord(Workflow.model_validate({**body, "spec": spec}), too_large)


def _measured(body: Mapping[str, Any]) -> tuple[Any, TooLarge | None]:
    """What is to be read of the body's spec, and what of it is too large for that."""
    spec = body.get("spec")
    found = limits.too_large(spec)
    return (spec if found is None else limits.without_what_is_limited(spec or {})), found


def same_spec(body: Mapping[str, Any], known: ObjectMeta) -> bool:
    """Whether the API server says that the spec is the one that is known: its generation counts every change."""
    said = body["metadata"]
    return bool(known.generation) and (said.get("uid"), said.get("generation")) == (known.uid, known.generation)


def field_manager(entries: Iterable[Mapping[str, Any]]) -> str | None:
    """The manager of the latest entry that owns spec.cancellation.mode; None where nobody does."""
    owners = [
        (str(entry.get("time", "")), str(entry.get("manager", "")))
        for entry in entries
        if "f:mode" in _below(entry.get("fieldsV1"), "f:spec", "f:cancellation")
    ]
    return max(owners, key=lambda owner: owner[0])[1] if owners else None


def _below(fields: Any, *path: str) -> Mapping[str, Any]:
    for step in path:
        fields = fields.get(step) if isinstance(fields, Mapping) else None
    return fields if isinstance(fields, Mapping) else {}
