"""What one reconcile sees: an execution or an operation, and all of the cluster that bears on it, as frozen records.

Contract: no method here decides anything. The controller (or a simulation) fills these from its caches; the core
only reads them. A pod is in exactly one of `pods` (it exists, as a watch or a GET says) and `deleted` (its DELETED
event was seen, with its last state). A pod that status lists and that is in neither has vanished, or was never made.
Times are aware datetimes in UTC. Each says whose clock it is by: the controller's (this process's, and what another one
wrote into status or a mailbox), the API server's (`created_at`, `deletion_timestamp`), or the node's (all of
`ContainerView`). Those of different clocks are never compared as if they were one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from desist.api.base import Opaque
from desist.api.conditions import StallReason
from desist.api.execution import WorkflowExecution
from desist.api.operation import Operation, WorkKind
from desist.api.status import UnconfirmedProcess
from desist.api.vocabulary import ClosePolicy, Phase, ProcessRole
from desist.api.workflow import Workflow
from desist.lifecycle.settings import Settings


class ContainerKind(StrEnum):
    """Which list of the pod a container is from."""

    INIT = "init"
    SIDECAR = "sidecar"
    """A native one: an init container with restartPolicy Always."""
    REGULAR = "regular"
    """The workflow's own."""
    EPHEMERAL = "ephemeral"
    """A debug session's: `kubectl debug`."""
    ADDED = "added"
    """A regular container that admission has put beside it."""


class ContainerPhase(StrEnum):
    """Kubernetes' three states of a container."""

    WAITING = "waiting"
    RUNNING = "running"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container's status. A container without a status yet is `waiting` with an empty reason."""

    name: str
    kind: ContainerKind
    phase: ContainerPhase = ContainerPhase.WAITING
    container_id: str = ""
    reason: str = ""
    message: str = ""
    """Waiting: why. Terminated: the termination message."""
    exit_code: int | None = None
    signal: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PushTo:
    """How a pod's launcher takes a push, as the pod was made."""

    key_id: str
    """Of the key by which it verifies."""
    port: int


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod of the execution, any attempt's."""

    name: str
    uid: str
    resource_version: str
    run_id: str
    attempt: int
    phase: str
    """Pending, Running, Succeeded, Failed or Unknown."""
    containers: tuple[ContainerView, ...]
    """All of them: init containers, sidecars (also what admission has added), and the workflow process's."""
    node: str = ""
    reason: str = ""
    message: str = ""
    created_at: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_seconds: int | None = None
    deletion_seen_at: datetime | None = None
    """When this process first saw that deletion, by its own clock; a new process counts anew."""
    grace_seconds: int = 30
    """The pod's own terminationGracePeriodSeconds."""
    disruption_reason: str = ""
    """Reason of the condition DisruptionTarget where it is True (DeletionByPodGC, EvictionByEvictionAPI, ...)."""
    unschedulable: str = ""
    """Message of PodScheduled=False, reason Unschedulable."""
    has_probe: bool = False
    """Whether the kubelet stops the workflow's container where a liveness or startup probe of it fails."""
    role: ProcessRole | None = ProcessRole.WORKFLOW
    """What its label says that it is to the run; None: something that this version does not know."""
    mailbox: str = ""
    """The annotation desist.dev/stop as it is stored; empty: none."""
    gates: tuple[str, ...] = ()
    """Names of the scheduling gates that hold it back."""
    finalizers: tuple[str, ...] = ()
    """What holds it back from going, once it is deleted."""
    scheduler: str = "default-scheduler"
    scheduling: bool = True
    """Whether a scheduler has said anything of it."""
    sandbox: bool | None = None
    """Condition PodReadyToStartContainers: volumes and sandbox are ready; None: nobody has said."""
    operation: str = ""
    """UID of the operation that it belongs to; empty: it is the workflow process's."""
    launched: bool = True
    """Whether the launcher stands in the command line of a regular container, as in all pods that Desist makes."""
    address: str = ""
    """Its IP address; empty: it has none yet."""
    push: PushTo | None = None
    """None: it takes no push."""

    @property
    def deletion_due(self) -> datetime | None:
        """When the grace of its deletion is over, by the controller's clock; None: it is not being deleted."""
        if self.deletion_seen_at is None:
            return None
        return self.deletion_seen_at + timedelta(seconds=self.deletion_grace_seconds or 0)

    @property
    def workflow(self) -> ContainerView:
        """The workflow process's container."""
        return next(c for c in self.containers if c.kind is ContainerKind.REGULAR)


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node, as far as proof needs it."""

    name: str
    boot_id: str
    ready: bool
    ready_since: datetime
    """When this process first saw the condition Ready as it is, by its own clock; a new process counts anew."""
    ready_changed: datetime | None = None
    """When it changed, by the clock of whoever wrote that: it tells one change from another, and nothing else."""
    out_of_service: bool = False
    """Tainted node.kubernetes.io/out-of-service: an administrator's word that nothing runs there."""


class Answer(StrEnum):
    """The API server's answer to a create, tried or real."""

    PASSED = "passed"
    INVALID = "invalid"
    """400 or 422: the template is wrong, and will be until somebody changes it."""
    REFUSED = "refused"
    """Anything else (quota, a namespace that ends, a policy, 5xx): it may pass."""
    TAKEN = "taken"
    """409: a pod of that name exists, and is not the attempt's."""


@dataclass(frozen=True, slots=True)
class CreateAnswer:
    """What the API server said about a pod."""

    answer: Answer
    message: str = ""
    at: datetime | None = None
    """When it answered; a create that was refused is repeated `retry_after` later. None: at once."""
    retry_after: float | None = None
    """Seconds until a refused one is tried again, longer each time in a row; None: as the settings have it."""
    pod_uid: str = ""
    """UID of the pod, where it was made, or had been."""


class PodCall(StrEnum):
    """The two calls by which a stop reaches a pod."""

    POST = "patch"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a posting or a DELETE that was refused, however often it was tried."""

    pod_uid: str
    call: PodCall
    asks: str
    """What it asked for, so that something else is not taken for refused."""
    message: str
    at: datetime
    """The last time."""
    times: int = 1
    """How often in a row; 0 where it may have been a passing fault."""


@dataclass(frozen=True, slots=True)
class PushAnswer:
    """What a launcher answered to a push: good for words, for history, and for sparing a repeat; it proves nothing."""

    command_id: str
    sequence: int
    did: str
    """As the launcher spells it: told, killing, noted."""
    told: int
    """How many processes it has signalled."""
    refused: int
    """How many of them refused the signal."""
    main_ended: bool
    """Whether the command itself has exited."""
    left: int
    """How many other processes still live."""
    at: datetime
    """When the answer came, by the controller's clock."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What this process pushed last to a pod. It is kept in memory only, and may be lost."""

    pod_uid: str
    sequence: int
    asks: str
    """Mode and grace, as `plan.PushStop.asks` had it."""
    sent_at: datetime
    answer: PushAnswer | None = None
    """The last that this pod's launcher gave, whichever of the pushes to it that answers; None: none came."""


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


@dataclass(frozen=True, slots=True)
class WantedPod:
    """A pod to ask for by its name, which says whose it is where nothing else does."""

    name: str
    run_id: str
    attempt: int
    uid: str | None = None
    """Its UID; None: not known yet, any pod of that name which the execution owns will do."""
    operation: str = ""
    """UID of the operation whose pod it is; empty: it is the workflow process's."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What must be asked of the API server first; the answers go into the next `Observed`.

    A live pod that was found belongs into `pods` (and no more into `deleted`); a live node takes the place of the
    cached one in `nodes`. Nothing is asked twice for what is already answered.
    """

    dry_run: bool = False
    """Dry-run create of the first attempt's pod (`manifest.pod_manifest`)."""
    operations: bool = False
    """All operations of the execution, by a consistent LIST."""
    execution: bool = False
    """Of an operation: its execution."""
    creator: bool = False
    """Of an operation: the pod of its createdBy."""
    arguments: bool = False
    """Of an operation: its arguments."""
    live_pod: WantedPod | None = None
    """The current attempt's pod, where it is to be asked for live."""
    live_nodes: tuple[str, ...] = ()
    """Names of nodes to GET live."""

    def __bool__(self) -> bool:
        return self != NOTHING


NOTHING = Questions()
