"""The status of a `WorkflowExecution`: everything that must outlive the controller.

Contract: what was accepted is here before anything is done about it. The core builds new values with `replace`;
nothing else makes one. `Stoppable` is what a run shares with whatever else can be stopped; on the wire it is flat.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Self

from pydantic import Field

from desist.api.base import LEFT_OUT_EMPTY, NULL, Id, Model, Opaque, Short, Text, Time
from desist.api.cancellation import Cancellation
from desist.api.markers import AnyJson, ListMap
from desist.api.meta import Condition
from desist.api.records import CommandRecord, Failure, HistoryEntry
from desist.api.vocabulary import (
    COMPLETION,
    Bucket,
    ClosedReason,
    CommandStatus,
    Mode,
    Phase,
    ProcessRole,
    ProcessState,
    RejectionReason,
    UnconfirmedReason,
)
from desist.api.workflow import WorkflowSpec

Name = Annotated[str, Field(max_length=253)]


class CancellationStatus(Model):
    """What is being done to stop the run."""

    observed: Cancellation | None = None
    """A copy of the request that was judged last."""
    mode: Mode | None = None
    """The mode in force."""
    command_id: Id | None = None
    """The command in force."""
    since: Time | None = None
    """When the mode in force was accepted."""
    grace_period_seconds: Annotated[int, Field(ge=0)] | None = None
    """The grace in force, in seconds; absent: no deadline (Cancel); 0: SIGKILL at once."""
    kill_grace_seconds: Annotated[int, Field(ge=0)] | None = None
    """The grace, in seconds, of a Kill that fires by itself (killAfterSeconds, activeDeadlineSeconds): the shortest that a request of this run means; absent: the workflow's."""
    kill_at: Time | None = None
    """When SIGKILL is due; absent: never."""
    kill_after: Time | None = None
    """When the stop becomes a Kill by itself; absent: never."""
    kill_after_sequence: Annotated[int, Field(ge=1)] | None = None
    """Sequence of the command record whose killAfterSeconds that is, a Duplicate's too."""
    forget_lost_nodes: bool | None = None
    """True once `onLostNode: Forget` was taken; it is not taken back."""
    end_mode: Mode | None = None
    """The strongest mode requested before a deadline fired; it names the end. Absent after a deadline without one: TimedOut."""


NOT_STOPPED = CancellationStatus()


class ProcessStatus(Model):
    """One process of the run, and what is known about it."""

    pod: Name
    """Name of its pod."""
    pod_uid: Id | None = None
    """UID of its pod; absent until the pod has been seen."""
    node: Name | None = None
    """Node it is bound to."""
    boot_id: Short | None = None
    """Boot ID of that node, as the node itself said when the container was first seen started."""
    role: ProcessRole = ProcessRole.WORKFLOW
    """`workflow`, `operation`, or `late-start` for a pod that no attempt wants any more and that is being stopped."""
    state: ProcessState
    """alive, unconfirmed (its node does not answer), gone (proven), unproven (closed without proof)."""
    exit_code: int | None = None
    """Exit code of the workflow process."""
    signal: int | None = None
    """Signal that ended it, where the exit code tells."""
    reason: Short | None = None
    """The kubelet's reason, or ours."""
    since: Time
    """When the state was first seen (for a pod that is missed: when that was)."""


class UnconfirmedProcess(Model):
    """A process that nobody can prove to be gone."""

    pod: Name
    """Name of its pod; the pod need not exist any more."""
    pod_uid: Id | None = None
    """UID of its pod; absent until the pod has been seen."""
    node: Name | None = None
    """Node it was bound to: the one to look at."""
    since: Time
    """When it stopped being confirmed."""
    reason: UnconfirmedReason
    """NodeLost (the node does not answer) or Unkillable (SIGKILL was due, the node answers, the process is still there)."""
    count: Annotated[int, Field(ge=1)] | None = None
    """Of a run's operations, one entry stands for all on a node: how many there are. Absent: one."""


class BlockedReason(Model):
    """Why a mode would not be accepted now."""

    action: Mode
    """The mode."""
    reason: RejectionReason
    """The code with which it would be rejected; `duplicate` where it is in force already."""


class Stoppable(Model):
    """What can be stopped: where it is, what is being done to stop it, and the records of both."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec that this status speaks of."""
    phase: Phase | None = None
    """Pending, Running, Cancelling, ForceCancelling, Terminating, KillCancelling; then Succeeded, Failed, TimedOut, Cancelled or Terminated, which never changes."""
    bucket: Bucket | None = None
    """The phase, coarsely: running, completed (Succeeded) or failed (all other ends)."""
    closed_reason: ClosedReason | None = None
    """completed, failed, timed_out, cancelled or terminated; absent while the run is open."""
    run_id: Id | None = None
    """ULID of the run; of an operation, that of the run that it belongs to."""
    attempt: Annotated[int, Field(ge=0)] | None = None
    """Number of the current attempt, from 1; absent before it has begun."""
    accepted_at: Time | None = None
    """When it began, with its first attempt; activeDeadlineSeconds count from here."""
    start_time: Time | None = None
    """When its first process started."""
    end_time: Time | None = None
    """When its process ended; set once."""
    failure: Failure | None = None
    """Why it did not succeed."""
    result: Annotated[Annotated[Opaque, AnyJson()] | None, Field(exclude_if=NULL.__eq__)] = None
    """What the process reported: any JSON value; null is the same as none."""
    cancellation: CancellationStatus | None = None
    """What is being done to stop it; absent while nothing is."""
    commands: Annotated[tuple[CommandRecord, ...], Field(max_length=64), LEFT_OUT_EMPTY, ListMap("sequence")] = ()
    """The commands, newest last: the accepted ones and the last 20 of the others."""
    command_count: Annotated[int, Field(ge=0)] = 0
    """How many commands there were in all."""
    history: Annotated[tuple[HistoryEntry, ...], Field(max_length=256), LEFT_OUT_EMPTY, ListMap("seq")] = ()
    """What happened, in order."""
    history_count: Annotated[int, Field(ge=0)] = 0
    """The highest seq given so far."""
    can_cancel: bool | None = None
    """Whether mode Cancel would be accepted now."""
    can_kill: bool | None = None
    """Whether mode Kill would be accepted now."""
    blocked_reasons: Annotated[tuple[BlockedReason, ...], Field(max_length=4), LEFT_OUT_EMPTY, ListMap("action")] = ()
    """For each mode that would not be accepted: why."""
    failed_attempts: Annotated[int, Field(ge=0)] | None = None
    """How many attempts failed and were followed by another."""
    disruptions: Annotated[int, Field(ge=0)] | None = None
    """How many attempts ended by a drain, an eviction, a deletion or a vanished pod."""
    next_attempt_at: Time | None = None
    """When the next attempt starts, while it waits in back-off."""
    processes: Annotated[tuple[ProcessStatus, ...], Field(max_length=16), LEFT_OUT_EMPTY] = ()
    """The current attempt's process first, then late starts until they are gone."""
    unconfirmed: Annotated[tuple[UnconfirmedProcess, ...], Field(max_length=16), LEFT_OUT_EMPTY] = ()
    """Processes that may still run and that nobody can confirm; what they belong to stays open."""
    waiting_on: Annotated[tuple[Text, ...], Field(max_length=16), LEFT_OUT_EMPTY] = ()
    """In words: what it waits for."""
    late_starts: Annotated[int, Field(ge=0)] | None = None
    """How many pods that no attempt wanted any more were stopped."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16), LEFT_OUT_EMPTY, ListMap("type")] = ()
    """Started, Finished (also for `kubectl wait`), Cancelled (also for Terminated), NodeLost, Unkillable, Stalled (what is wrong, in words) and Reconciling (it goes on)."""

    @property
    def at(self) -> Phase:
        """The phase; Pending before anything was written."""
        return self.phase or Phase.PENDING

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.phase is None or not self.phase.terminal

    @property
    def stop(self) -> CancellationStatus:
        """What is being done to stop it; an empty one while nothing is."""
        return self.cancellation or NOT_STOPPED

    def stopping(self, **changes: Any) -> Self:
        """The same with other fields in `cancellation`, which is absent where none is left. Raises TypeError."""
        held = self.stop.replace(**changes)
        return self.replace(cancellation=None if held == NOT_STOPPED else held)

    @property
    def last_accepted(self) -> CommandRecord | None:
        """The command that was accepted last, whatever took it over."""
        accepted = (record for record in reversed(self.commands) if record.status is CommandStatus.ACCEPTED)
        return next(accepted, None)

    @property
    def in_force(self) -> CommandRecord | None:
        """The command in force: the last that was accepted before the process ended by itself."""
        accepted = (record for record in reversed(self.commands) if record.status is CommandStatus.ACCEPTED)
        return next((record for record in accepted if record.superseded_by != COMPLETION), None)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes by which it can be stopped."""
        return _modes_of(type(self))


@cache
def _modes_of(kind: type[Stoppable]) -> tuple[Mode, ...]:
    return tuple(mode for mode in Mode if mode.flag in kind.model_fields)


class OperationCounts(Model):
    """How many operations of the run are where; written at most once in 10 s while it is open, exact at its end."""

    open: Annotated[int, Field(ge=0)] = 0
    """Not ended, and not left running on purpose."""
    left_over: Annotated[int, Field(ge=0)] = 0
    """Left running on purpose, by Force or by closePolicy: Abandon. A Kill of the ended run ends them."""
    late: Annotated[int, Field(ge=0)] = 0
    """Turned up after the run had ended, and closed without a pod."""


class WorkflowExecutionStatus(Stoppable):
    """What has happened and what is being done about the request to stop."""

    can_force: bool | None = None
    """Whether mode Force would be accepted now."""
    can_terminate: bool | None = None
    """Whether mode Terminate would be accepted now."""
    operations: OperationCounts | None = None
    """The operations of the run, counted; absent where it has none."""
    workflow_spec: WorkflowSpec | None = None
    """What the run was started with; later changes of the Workflow do not count."""
    arguments: Opaque | None = None
    """The arguments that the run was started with."""


class OperationStatus(Stoppable):
    """What has happened to the operation, and what is being done about a request to stop it, or about its run's."""

    phase: Phase | None = None
    """Pending, Running, Cancelling, KillCancelling; then Succeeded, Failed, TimedOut or Cancelled, which never changes. A run's ForceCancelling, Terminating and Terminated do not occur: an operation is cancelled or killed."""
    closed_reason: ClosedReason | None = None
    """completed, failed, timed_out or cancelled; absent while the operation is open. A run's terminated does not occur."""
    due_at: Time | None = None
    """Of a timer: when it is due."""
    late: bool | None = None
    """True for one that turned up after its run had ended, and was closed without a pod."""
