"""Slim records of `Operation` objects, as the reflector delivers them, ten times as many as there are executions.

Contract: `operation_record` turns a raw body into a frozen record, or raises what `Kind.read` makes an `Unreadable` of.
- The arguments are dropped: who starts the pod reads them then.
- Sizes are judged first. Of what is too large nothing is read: an empty pod or outcome stands for it, and `too_large`
  says so, so that nobody takes it for one that asks for just that.
- What is known of the same generation is kept (`known`): its spec is not measured, read or held a second time.
- Of one that has ended and has nothing to answer, all that is kept is what its execution looks at (`Ended`).
- `age` is how old it was when this process first saw it. Only whoever lists knows that; it stays as it was then.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from desist.api.conditions import StallReason
from desist.api.meta import ObjectMeta
from desist.api.operation import Operation
from desist.api.status import OperationStatus
from desist.controller.records import field_manager, nodes_of, same_spec
from desist.lifecycle.observed.sight import OperationSeen, TooLarge
from desist.lifecycle.operation.seen import seen_of
from desist.lifecycle.pod import limits
from desist.lifecycle.view import current

YOUNG = timedelta(seconds=5)
"""What is no older than this when it is first seen counts as new: the API server tells times to the second."""
OUTCOME_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """One operation as it was last seen."""

    operation: Operation
    """Without its arguments."""
    seen: OperationSeen
    """What its execution looks at."""
    field_manager: str | None = None
    """Who wrote spec.cancellation.mode last."""
    too_large: TooLarge | None = None
    """What of its spec is too large to be read."""
    age: timedelta = timedelta(0)
    """How old it was when this process first saw it."""

    @property
    def metadata(self) -> ObjectMeta:
        """Identity and age."""
        return self.operation.metadata

    @property
    def version(self) -> int:
        """Its resourceVersion."""
        return int(self.metadata.resource_version)

    @property
    def status(self) -> OperationStatus | None:
        """What has happened to it."""
        return self.operation.status

    @property
    def nodes(self) -> frozenset[str]:
        """Nodes whose state bears on it."""
        return nodes_of(self.status)

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return not self.seen.phase.terminal

    @property
    def execution(self) -> str:
        """UID of the execution that it names."""
        return self.operation.spec.execution_ref.uid

    @property
    def owner(self) -> ObjectMeta:
        """The execution that it names: it controls the pods."""
        named = self.operation.spec.execution_ref
        return ObjectMeta.model_construct(uid=named.uid, name=named.name, namespace=self.metadata.namespace)

    @property
    def names(self) -> Mapping[str, str]:
        """How a log line names it."""
        return {"operation": self.metadata.name, "execution": self.operation.spec.execution_ref.name}

    @property
    def created(self) -> int:
        """When it was created, in seconds."""
        return _seconds(self.metadata.creation_timestamp)

    @property
    def at_rest(self) -> bool:
        """Whether it has ended, and every request to stop it is answered."""
        status = self.status
        if status is None or status.open or status.observed_generation != self.metadata.generation:
            return False
        others = [process for process in status.processes if process != current(status)]
        return self.operation.spec.cancellation == status.stop.observed and not others


@dataclass(frozen=True, slots=True)
class Ended:
    """What is kept of an operation that has ended and has nothing to answer."""

    namespace: str
    resource_version: int
    generation: int
    execution: str
    """UID of the execution that it names."""
    created: int
    """When it was created, in seconds."""
    seen: OperationSeen

    @staticmethod
    def of(record: OperationRecord) -> Ended:
        """That operation; all of a run hold its namespace and its ids once."""
        metadata, seen = record.metadata, record.seen
        return Ended(
            namespace=sys.intern(metadata.namespace),
            resource_version=int(metadata.resource_version),
            generation=metadata.generation,
            execution=sys.intern(record.execution),
            created=record.created,
            seen=replace(seen, run_id=sys.intern(seen.run_id), command=sys.intern(seen.command)),
        )

    @property
    def version(self) -> int:
        """Its resourceVersion."""
        return self.resource_version

    @property
    def metadata(self) -> ObjectMeta:
        """Identity and age, made anew."""
        return ObjectMeta.model_construct(
            uid=self.seen.uid,
            namespace=self.namespace,
            name=self.seen.name,
            resource_version=str(self.resource_version),
            generation=self.generation,
        )

    @property
    def owner(self) -> ObjectMeta:
        """The execution that it names, by UID alone: it controls the pods."""
        return ObjectMeta.model_construct(uid=self.execution, name="", namespace=self.namespace)


Known = OperationRecord | Ended


def kept(record: Known) -> Known:
    """What is kept of it."""
    return Ended.of(record) if isinstance(record, OperationRecord) and record.at_rest else record


def operation_record(body: Mapping[str, Any], known: OperationRecord | Ended | None = None) -> OperationRecord:
    """The record of an operation's body. Raises pydantic's ValidationError, and RecursionError."""
    kept = known if isinstance(known, OperationRecord) else None
    if kept is not None and same_spec(body, kept.metadata):
        spec: Any = kept.operation.spec
        too_large = kept.too_large
    else:
        spec, too_large = _measured(body.get("spec"))
    operation = Operation.model_validate({**body, "spec": spec})
    asked = operation.spec.cancellation is not None
    manager = field_manager(body["metadata"].get("managedFields", ())) if asked else None
    age = kept.age if kept is not None else timedelta(0)
    return OperationRecord(operation, seen_of(operation), manager, too_large, age)


def with_age(record: OperationRecord, server_time: datetime | None) -> OperationRecord:
    """The record of one that was listed at that time of the API server's clock, which is when it was first seen."""
    created = record.metadata.creation_timestamp
    age = server_time - created if server_time is not None and created is not None else timedelta(0)
    return replace(record, age=age) if age > YOUNG else record


def _measured(spec: Any) -> tuple[Any, TooLarge | None]:
    """What is to be read of a spec, and what of it is too large for that."""
    if not isinstance(spec, Mapping):
        return spec, None
    kept = {name: value for name, value in spec.items() if name != "arguments"}
    found = limits.too_large(spec)
    work: tuple[tuple[str, StallReason, int, dict[str, Any]], ...] = (
        ("pod", StallReason.TEMPLATE_REFUSED, limits.TEMPLATE_BYTES, {}),
        ("local", StallReason.ARGUMENTS_REFUSED, OUTCOME_BYTES, {"outcome": {}}),
    )
    for name, reason, most, empty in work:
        if name in kept and (judged := limits.judge(reason, f"spec.{name}", kept[name], most)) is not None:
            kept[name], found = empty, judged
    return kept, found


def _seconds(moment: datetime | None) -> int:
    return 0 if moment is None else int(moment.timestamp())
