"""The CustomResourceDefinitions, made of the models: names, columns, selectable fields, schema.

Contract: `definitions()` gives them as plain values, in the order in which they are to be written; `render` gives the
text of one file. The same models always give the same text, so that a check can say when the committed files are stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from desist.api.base import Model
from desist.api.execution import WorkflowExecution
from desist.api.meta import GROUP, VERSION
from desist.api.operation import Operation
from desist.api.schema import structural
from desist.api.workflow import Workflow

HEADER = "# Generated from the models in operator/desist/api by `python -m hack.generators.crds`. Do not edit.\n"

_WIDE = 1
"""Kubernetes' priority of a column that only `-o wide` shows."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False

    def wire(self) -> dict[str, Any]:
        """The column as Kubernetes spells it."""
        spelled: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        spelled["description"] = self.description
        return spelled | ({"priority": _WIDE} if self.wide else {})


@dataclass(frozen=True, slots=True)
class Definition:
    """What a kind is called, and what lists of it show and select."""

    model: type[Model]
    plural: str
    short: str
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """Name of the file under crds/."""
        return f"{self.plural}.yaml"


_AGE = Column("Age", ".metadata.creationTimestamp", "Time since the creation.", "date")

# A moment that lies ahead shows as <invalid> in a column of type date; so Kill-At is a string.
WORKFLOW_EXECUTION = Definition(
    model=WorkflowExecution,
    plural="workflowexecutions",
    short="wfx",
    columns=(
        Column("Phase", ".status.phase", "Where the run is."),
        Column("Mode", ".status.cancellation.mode", "The mode of the stop that is in force."),
        Column("Reason", ".spec.cancellation.reason", "Why somebody asked for the stop."),
        Column("Attempt", ".status.attempt", "Number of the current attempt.", "integer"),
        Column("Waiting-On", ".status.waitingOn[0]", "The first thing that the run waits for."),
        Column("Kill-At", ".status.cancellation.killAt", "When SIGKILL is due."),
        _AGE,
        Column("Workflow", ".spec.workflowRef.name", "The Workflow that is run.", wide=True),
        Column("Kill-After", ".status.cancellation.killAfter", "When the stop becomes a Kill by itself.", wide=True),
        Column("Node", ".status.processes[0].node", "Node of the workflow process.", wide=True),
        Column("Ended", ".status.endTime", "Time since the workflow process ended.", "date", wide=True),
        Column("Operations", ".status.operations.open", "Operations that have not ended.", "integer", wide=True),
        Column("Left-Over", ".status.operations.leftOver", "Operations left running.", "integer", wide=True),
        Column("Run-ID", ".status.runId", "ID of the run.", wide=True),
        Column("Failure", ".status.failure.message", "Why the run did not succeed.", wide=True),
        Column(
            "Stalled",
            '.status.conditions[?(@.type=="Stalled")].message',
            "Why the run cannot begin, or why it failed.",
            wide=True,
        ),
    ),
    selectable=(
        ".spec.workflowRef.name",
        ".spec.cancellation.mode",
        ".status.phase",
        ".status.bucket",
        ".status.closedReason",
        ".status.runId",
        ".status.cancellation.mode",
    ),
)
WORKFLOW = Definition(
    model=Workflow,
    plural="workflows",
    short="dwf",
    columns=(
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status', "Whether Desist can run the template."),
        Column("Signal", ".spec.stopPolicy.signal", "The stop signal."),
        Column("Grace", ".spec.stopPolicy.gracePeriodSeconds", "Seconds from the signal to SIGKILL.", "integer"),
        Column("Kill-After", ".spec.stopPolicy.killAfterSeconds", "Seconds until a stop becomes a Kill.", "integer"),
        _AGE,
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', "What is wrong with it.", wide=True),
    ),
)
OPERATION = Definition(
    model=Operation,
    plural="operations",
    short="op",
    columns=(
        Column("Execution", ".spec.executionRef.name", "The execution that it belongs to."),
        Column("Key", ".spec.key", "What it is called in its run."),
        Column("Phase", ".status.phase", "Where it is."),
        Column("Attempt", ".status.attempt", "Number of the current attempt.", "integer"),
        Column("Reason", ".spec.cancellation.reason", "Why somebody asked for its stop."),
        Column("Waiting-On", ".status.waitingOn[0]", "The first thing that it waits for."),
        _AGE,
        Column("Close", ".spec.closePolicy", "What happens to it when its run ends.", wide=True),
        Column("Due", ".status.dueAt", "When a timer is due.", wide=True),
        Column("Kill-At", ".status.cancellation.killAt", "When SIGKILL is due.", wide=True),
        Column("Node", ".status.processes[0].node", "Node of its process.", wide=True),
        Column("Ended", ".status.endTime", "Time since its process ended.", "date", wide=True),
        Column("Failure", ".status.failure.message", "Why it did not succeed.", wide=True),
    ),
    selectable=(".spec.executionRef.uid", ".spec.executionRef.name", ".spec.runId", ".status.phase"),
)
DEFINITIONS = (WORKFLOW, WORKFLOW_EXECUTION, OPERATION)


def definition(of: Definition) -> dict[str, Any]:
    """One CustomResourceDefinition. Raises schema.Inexpressible where a model says what it cannot hold."""
    kind = of.model.__name__
    names = {"kind": kind, "listKind": f"{kind}List", "plural": of.plural, "singular": kind.lower()}
    version: dict[str, Any] = {"name": VERSION, "served": True, "storage": True, "subresources": {"status": {}}}
    if of.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in of.selectable]
    version["additionalPrinterColumns"] = [column.wire() for column in of.columns]
    version["schema"] = {"openAPIV3Schema": structural(of.model, without=frozenset({"metadata"}))}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{of.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": names | {"shortNames": [of.short], "categories": ["desist"]},
            "versions": [version],
        },
    }


def render(of: Definition) -> str:
    """The text of the file under crds/, header included."""
    return HEADER + yaml.safe_dump(definition(of), sort_keys=False, width=120, allow_unicode=True)


def files() -> dict[str, str]:
    """File name to text, for all kinds."""
    return {of.file_name: render(of) for of in DEFINITIONS}
