"""Slim records of what users write: `WorkflowExecution` and `Workflow` objects as kopf's watch delivers them.

Contract: `execution_record` and `workflow_record` turn a raw body into a frozen record, or raise what `Kind.read` makes
an `Unreadable` of. The managed fields are read here once and then forgotten: they are half of a body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from desist.api.execution import WorkflowExecution
from desist.api.meta import ObjectMeta
from desist.api.workflow import Workflow


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """One execution as it was last seen."""

    execution: WorkflowExecution
    field_manager: str | None = None
    """Who wrote spec.cancellation.mode last."""

    @property
    def metadata(self) -> ObjectMeta:
        """Identity and age."""
        return self.execution.metadata

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
        status = self.execution.status
        if status is None:
            return frozenset()
        bound = [process.node for process in status.processes] + [entry.node for entry in status.unconfirmed]
        return frozenset(node for node in bound if node)


@dataclass(frozen=True, slots=True)
class WorkflowRecord:
    """One workflow as it was last seen."""

    workflow: Workflow

    @property
    def metadata(self) -> ObjectMeta:
        """Identity and age."""
        return self.workflow.metadata


def execution_record(body: Mapping[str, Any]) -> ExecutionRecord:
    """The record of an execution's body. Raises pydantic's ValidationError, and RecursionError."""
    execution = WorkflowExecution.model_validate(body)
    asked = execution.spec.cancellation is not None
    return ExecutionRecord(execution, field_manager(body["metadata"].get("managedFields", ())) if asked else None)


def workflow_record(body: Mapping[str, Any]) -> WorkflowRecord:
    """The record of a workflow's body. Raises pydantic's ValidationError, and RecursionError."""
    return WorkflowRecord(Workflow.model_validate(body))


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
