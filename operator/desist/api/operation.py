"""`Operation`: one unit of work of a run. The workflow process writes it, the controller does it.

Contract: `spec` is written once, by a process of the run, and never changed but for `cancellation` and (before the
operation has begun) `createdBy`: the chart's admission policy holds that. `status` is the controller's (status.py).
`operation_name` is a pure function: whoever asks twice for one key gets a harmless 409.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from desist.api.base import LEFT_OUT_EMPTY, Model, Opaque
from desist.api.cancellation import Cancellation
from desist.api.markers import ListMap, Whole, rules
from desist.api.meta import ObjectMeta
from desist.api.rules import (
    ONE_COMMAND,
    ONE_WORK,
    OPERATION_MODE,
    OPERATION_RULES,
    OPERATION_RUN,
    PRINTABLE,
    PRINTABLE_KEY,
    RUN_ID,
)
from desist.api.status import OperationStatus
from desist.api.vocabulary import ClosePolicy
from desist.api.workflow import ActiveDeadlineSeconds, RetryPolicy, StopPolicy

NAME_STEM = 36
NAME_DIGITS = 20
MOST_OPERATIONS = 2000
"""Of one run."""


class ExecutionRef(Model):
    """The execution that it belongs to, in the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the WorkflowExecution."""
    uid: Annotated[str, Field(min_length=1, max_length=36)]
    """Its UID; a later execution of the same name is another one."""


class EnvironmentVariable(Model):
    """An environment variable."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Its name."""
    value: Annotated[str, Field(max_length=4096)] = ""
    """Its value."""


class PodWork(Model):
    """Work in a pod of its own: the run's template, with what is said here over it."""

    model_config = ConfigDict(json_schema_extra=rules(ONE_COMMAND))

    command: Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(max_length=256), LEFT_OUT_EMPTY] = ()
    """What to run, instead of the template's command and args. Absent: the template's."""
    image: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Image of the main container, instead of the template's."""
    resources: Opaque | None = None
    """Kubernetes' resources (requests and limits) of the main container, instead of the template's."""
    node_selector: Opaque | None = None
    """Kubernetes' nodeSelector, instead of the template's."""
    env: Annotated[tuple[EnvironmentVariable, ...], Field(max_length=256), LEFT_OUT_EMPTY, ListMap("name")] = ()
    """Environment variables of the main container, beside the template's; one of the same name takes its place."""


class LocalWork(Model):
    """Work that the workflow process did itself. It is written once, when it has ended; the API server's answer 201 says that it is kept."""

    outcome: Opaque
    """How it ended, an object at most 32 KiB: {"outcome": "Succeeded" | "Failed" | "Cancelled", "result": ..., "failure": {"message": ...}}."""


class TimerWork(Model):
    """A wait that outlives every process."""

    delay_milliseconds: Annotated[int, Field(ge=0, le=315_360_000_000)]
    """It is due so many milliseconds after the controller first saw it, or after its creation where the controller was away then (status.dueAt); at most ten years."""


class CreatedBy(Model):
    """The workflow pod that asks for it; admission holds it to the token of the request."""

    pod_name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the pod: $DESIST_POD_NAME."""
    pod_uid: Annotated[str, Field(min_length=1, max_length=36)]
    """UID of the pod: $DESIST_POD_UID."""


class OperationSpec(Model):
    """What to do, for which run, and whether it shall be stopped."""

    model_config = ConfigDict(json_schema_extra=rules(ONE_WORK, PRINTABLE_KEY))

    execution_ref: ExecutionRef
    """The execution that it belongs to: $DESIST_EXECUTION and $DESIST_EXECUTION_UID. The object's only owner reference names the same one."""
    run_id: Annotated[str, Field(max_length=26), RUN_ID]
    """The run that it belongs to: $DESIST_RUN_ID."""
    key: Annotated[str, Field(min_length=1, max_length=200)]
    """What it is called in the run, at most 200 characters, unique there: asked for again, after a restart of the workflow process, it is the same operation."""
    pod: PodWork | None = None
    """Work in a pod of its own. Set exactly one of pod, local and timer."""
    local: LocalWork | None = None
    """Work that the workflow process did itself. Set exactly one of pod, local and timer."""
    timer: TimerWork | None = None
    """A wait. Set exactly one of pod, local and timer."""
    arguments: Opaque | None = None
    """A JSON object, at most 32 KiB; the process finds it in the file /desist/arguments.json."""
    retry_policy: RetryPolicy = RetryPolicy()
    """How often it is tried again when it fails; by default it is not."""
    active_deadline_seconds: ActiveDeadlineSeconds | None = None
    """Seconds from its first attempt on, over all attempts, also while no process can start; then it is killed and ends as TimedOut."""
    stop_policy: StopPolicy | None = None
    """How its process likes to be stopped. Absent: as the run's."""
    close_policy: ClosePolicy = ClosePolicy.STOP
    """What happens to it where its run ends while it is open, otherwise than by Terminate, Kill or a deadline. Stop (default): it is stopped, and killed after its grace. Wait: the run stays open until it has ended. Abandon: it is left running."""
    cleanup: bool = False
    """Whether it was asked for by clean-up code."""
    cancellation: Annotated[Cancellation | None, *PRINTABLE, OPERATION_MODE, OPERATION_RUN] = None
    """The request to stop this operation alone, for example {mode: Cancel, reason: too slow}; its run goes on. Modes are Cancel and Kill. While it is open the request can be strengthened, not weakened or removed."""
    created_by: CreatedBy
    """The workflow pod that asks for it."""


class WorkKind(StrEnum):
    """What an operation is."""

    POD = "pod"
    LOCAL = "local"
    TIMER = "timer"


class Operation(Model):
    """One unit of work of a run: a pod, a timer, or what its workflow process did itself. Patch spec.cancellation to stop it alone."""

    model_config = ConfigDict(json_schema_extra=rules(*OPERATION_RULES))

    metadata: ObjectMeta
    spec: OperationSpec
    """What to do, for which run, and whether it shall be stopped."""
    status: Annotated[OperationStatus | None, Whole()] = None
    """What has happened to the operation, and what is being done about a request to stop it, or about its run's."""

    @property
    def kind(self) -> WorkKind:
        """What it is."""
        if self.spec.timer is not None:
            return WorkKind.TIMER
        return WorkKind.LOCAL if self.spec.local is not None else WorkKind.POD


def operation_name(execution: str, execution_uid: str, run_id: str, key: str) -> str:
    """Name of the operation of that key: a DNS label of at most 57 characters."""
    stem = execution[:NAME_STEM].rstrip("-.")
    digest = hashlib.sha256("\0".join((execution_uid, run_id, key)).encode()).hexdigest()
    return f"{stem}-{digest[:NAME_DIGITS]}"
