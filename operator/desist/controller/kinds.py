"""The kinds that people and their processes write, and the one table that says how this process handles each of them.

Contract:
- `Kind` is what is true of a kind everywhere: its name, where it is in the API, how its objects come and are read.
  `KINDS` are all of them, in the order in which they are compared with lists: what others wait for comes first.
- `Managed` is a row of the table: a kind, and what one process does with it. The wiring makes the rows; all other
  modules take a kind or a row, and spell no kind's name.
- `Kind.read` raises `Unreadable` with the object's name (a newer schema, an object from before the schema, one that is
  nested too deep). The caller says so and goes on: one bad object must never stop the others.

A new kind is a `Kind` here, a reader in `records`, a reconciler, and a row in the wiring; one that is not mirrored
needs a handler, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic

from pydantic import ValidationError

from desist.api.execution import WorkflowExecution
from desist.api.meta import GROUP, VERSION
from desist.api.operation import Operation
from desist.api.workflow import Workflow
from desist.controller import operation_records, records
from desist.controller.operation_records import OperationRecord, operation_record
from desist.controller.records import ExecutionRecord, WorkflowRecord, execution_record, workflow_record
from desist.controller.store import Record, Store
from desist.kube.resource import Resource

Body = Mapping[str, Any]
"""An object as JSON has it."""


def _whole(record: Any) -> Any:
    return record


class Unreadable(ValueError):
    """An object that this version cannot read."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[Record]):
    """What is true of a kind in every process."""

    name: str
    resource: Resource
    parse: Callable[[Body, Any], Record]
    """The record of a body; also given what is known of the same object. Raises pydantic's ValidationError, and
    RecursionError."""
    mirrored: bool = False
    """Whether a reflector of ours brings its objects, and not kopf."""
    kept: Callable[[Any], Any] = _whole
    """What is kept of a record: less of an object that is at rest."""
    seldom_compared: bool = False
    """Whether `Resync` compares it with a list in a few of its rounds only."""

    @property
    def path(self) -> tuple[str, str, str]:
        """Group, version and plural."""
        return self.resource.group, self.resource.version, self.resource.plural

    def read(self, body: Body, known: Any = None) -> Record:
        """The record of a body, which shares with `known` (an earlier record of it) what is the same.

        Raises Unreadable.
        """
        try:
            return self.parse(body, known)
        except (ValidationError, RecursionError) as error:
            raise Unreadable(self._complaint(body, error)) from error

    def _complaint(self, body: Body, error: ValidationError | RecursionError) -> str:
        metadata = body.get("metadata", {})
        what = f"{self.name} {metadata.get('namespace')}/{metadata.get('name')} cannot be read"
        if isinstance(error, RecursionError):
            return f"{what}: it is nested too deep"
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        return f"{what}: {where}: {first['msg']}"


WORKFLOW = Kind(Workflow.__name__, Resource(GROUP, VERSION, "workflows"), workflow_record)
EXECUTION = Kind(
    WorkflowExecution.__name__,
    Resource(GROUP, VERSION, "workflowexecutions"),
    execution_record,
    mirrored=True,
    kept=records.kept,
)
OPERATION = Kind(
    Operation.__name__,
    Resource(GROUP, VERSION, "operations"),
    operation_record,
    mirrored=True,
    kept=operation_records.kept,
    seldom_compared=True,
)
KINDS: tuple[Kind[WorkflowRecord] | Kind[ExecutionRecord] | Kind[OperationRecord], ...] = (
    WORKFLOW,
    EXECUTION,
    OPERATION,
)


@dataclass(frozen=True, slots=True)
class Key:
    """One object to reconcile."""

    kind: str
    uid: str


Reconcile = Callable[[str], Awaitable[datetime | None]]
"""Reconciles the object of that UID; gives when it is due again at the latest. Raises kube's errors."""


def _never(_: Any) -> bool:
    return False


def _nobody(_: Any) -> Iterable[Key]:
    return ()


@dataclass(frozen=True, slots=True)
class Managed(Generic[Record]):
    """A row of the table: what this process does with one kind."""

    kind: Kind[Any]
    store: Store[Record]
    reconcile: Reconcile
    urgent: Callable[[Record], bool] = _never
    """Whether the reconcile of an object in this state overtakes others."""
    waiting: Callable[[Record], Iterable[Key]] = _nobody
    """Who waits for an object like this one: woken when it turns up, when its spec changes, and when it goes."""

    def namespace(self, uid: str) -> str:
        """The namespace of the object of that UID; empty where it is not known."""
        record = self.store.get(uid)
        return "" if record is None else str(record.metadata.namespace)

    def is_urgent(self, uid: str) -> bool:
        """Whether the reconcile of the object of that UID overtakes others."""
        record = self.store.get(uid)
        return record is not None and self.urgent(record)


Table = Mapping[str, Managed[Any]]
"""The rows by the names of their kinds, in the order of `KINDS`."""


def table(*rows: Managed[Any]) -> Table:
    """The table of these rows. Raises ValueError where a kind has no row, or the order is not that of `KINDS`."""
    if tuple(row.kind for row in rows) != KINDS:
        raise ValueError(f"the table has rows for {[row.kind.name for row in rows]}")
    return {row.kind.name: row for row in rows}
