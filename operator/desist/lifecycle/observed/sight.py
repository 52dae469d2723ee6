"""What one reconcile sees: an execution or an operation, and all of the cluster that bears on it, as frozen records.

Contract: the controller (or a simulation) fills these from its caches; the core only reads them. A pod is in exactly
one of `pods` (it exists, as a watch or a GET says) and `deleted` (its DELETED event was seen, with its last state). A
pod that status lists and that is in neither has vanished, or was never made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from desist.api.base import Opaque
from desist.api.conditions import StallReason
from desist.api.execution import WorkflowExecution
from desist.api.operation import Operation, WorkKind
from desist.api.status import UnconfirmedProcess
from desist.api.vocabulary import ClosePolicy, Phase
from desist.api.workflow import Workflow
from desist.lifecycle.observed.pods import NodeView, PodView
from desist.lifecycle.observed.pushes import Pushed
from desist.lifecycle.observed.questions import CreateAnswer, Refusal
from desist.lifecycle.settings import Settings


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A template or arguments that are larger than they may be; nothing else of them was read."""

    reason: StallReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a reconcile may look at, whether it is one of an execution or of an operation; `it` is that object."""

    settings: Settings
    pods: tuple[PodView, ...] = ()
    """Its own: of an execution those of its workflow process, of an operation those of its process."""
    deleted: tuple[PodView, ...] = ()
    """Last states of pods whose DELETED event was seen (kept in memory; lost when the controller restarts)."""
    nodes: tuple[NodeView, ...] = ()
    """All nodes that a pod or status.processes names, as far as they exist."""
    live_nodes: tuple[str, ...] = ()
    """Names of nodes that a GET made for this reconcile asked for: `nodes` has the answer, or none where it was 404."""
    live_pod: bool = False
    """Whether a GET made now asked for the current attempt's pod: `pods` has the answer, or none (404)."""
    created: CreateAnswer | None = None
    """Answer to the last real create of the current attempt's pod, where it was refused."""
    refusals: tuple[Refusal, ...] = ()
    """Postings and DELETEs that were refused, the last answer of each pod and call."""
    pushes: tuple[Pushed, ...] = ()
    """What was pushed, the last to each pod."""
    made: str = ""
    """UID of the current attempt's pod, where this process has made it; empty: it has not, or does not know."""
    field_manager: str | None = None
    """Field manager that wrote spec.cancellation.mode last."""
    began: datetime | None = None
    """When this process began to look at the cluster; None: it does not matter."""
    missed_since: datetime | None = None
    """When this process first asked in vain for the current attempt's pod, not having seen it since; None: never."""

    def node(self, name: str) -> NodeView | None:
        """The node of that name; None where no such object exists."""
        return next((n for n in self.nodes if n.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed(Sight):
    """Everything that one reconcile of one execution may look at."""

    execution: WorkflowExecution
    workflow: Workflow | None = None
    """The Workflow that spec.workflowRef names, if it exists."""
    too_large: TooLarge | None = None
    """What of the execution's own spec, or of that Workflow, is too large to be read; the rest of it is there."""
    dry_run: CreateAnswer | None = None
    """Answer to a dry-run create of the first attempt's pod, where it was asked for."""
    operations: tuple[OperationSeen, ...] = ()
    """All operations whose executionRef has its UID, of whichever run they say that they are."""
    operations_listed: bool = False
    """Whether a LIST made for this reconcile has found all of them: `operations` holds what was newer or missing."""
    listed_at_end: frozenset[str] | None = None
    """UIDs of the operations that a LIST has found which was made once the run's stop, or its end, was stored.

    The first such LIST of this process counts: what was created after it does not begin. None: none was made.
    """
    operation_pods: tuple[PodView, ...] = ()
    """Pods of its operations, also of operations that are not there any more (`PodView.operation` is their UID)."""
    counted_at: datetime | None = None
    """When this process last wrote `status.operations`; None: it has not."""


@dataclass(frozen=True, slots=True)
class OperationSeen:
    """What the reconcile of an execution looks at of one operation."""

    uid: str
    name: str
    key: str
    run_id: str
    kind: WorkKind
    close_policy: ClosePolicy
    phase: Phase
    begun: bool
    """Whether its first attempt is in its status (of a timer: when it is due); what was done locally has begun."""
    known: bool = True
    """Whether its own reconcile has judged it."""
    attempt: int = 0
    started: bool = False
    """Whether that attempt, the current one, has a process that was seen to run and is not known to have ended."""
    foreign: bool = False
    """Whether it was found not to be of the run that it names: it counts nowhere."""
    late: bool = False
    """Whether it turned up after the run had ended."""
    failed: bool = False
    """Whether it ended otherwise than Succeeded."""
    command: str = ""
    """Of one that was closed by its run's stop or end: id of the command by which that was."""
    ended_at: datetime | None = None
    unproven_pod: str = ""
    """UID of its process's pod, where that was closed without proof."""
    proven_pod: str = ""
    """The same, where not the pod has proven its end but its node: the pod itself may never show it."""
    unconfirmed: tuple[UnconfirmedProcess, ...] = ()
    waits_for: str = ""
    """The first thing that it waits for, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedOperation(Sight):
    """Everything that one reconcile of one operation may look at."""

    operation: Operation
    """Without its arguments, which are read when they are needed."""
    execution: WorkflowExecution | None = None
    """The execution that spec.executionRef names by name and UID, as it is known; None: none such is known."""
    execution_read: bool = False
    """Whether it was asked for after the operation was seen; None: there is none then, or it is being deleted."""
    creator_read: bool = False
    creator_uid: str = ""
    """Of createdBy's pod, by a GET made for this reconcile; empty: none, or it has ended or is being deleted."""
    arguments: Opaque | None = None
    arguments_read: bool = False
    """Whether `arguments` are known."""
    too_large: TooLarge | None = None
    """What of its spec is larger than it may be; it was not read: `local.outcome` and `pod` are empty ones then."""
    earlier: int = 0
    """How many operations of the same run are there that were created earlier."""
    age: timedelta = timedelta(0)
    """How old it was when this process first saw it, by the API server's own clock."""
