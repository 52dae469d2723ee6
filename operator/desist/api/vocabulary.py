"""Every enum value and code of the API, in its one spelling (spec, status, Events, docs).

Contract: the string is what a user types or reads. A mode is one row of `MODES` and a phase one row of `PHASES`:
everything else that tells modes or phases apart is read from these rows. Adding a value is an API change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """How strongly a run is stopped: an order of scope, not of signals."""

    CANCEL = "Cancel"
    FORCE = "Force"
    TERMINATE = "Terminate"
    KILL = "Kill"

    @property
    def row(self) -> ModeRow:
        """What the mode means."""
        return MODES[self]

    @property
    def flag(self) -> str:
        """Name of the status field that says whether it would be accepted now."""
        return f"can_{self.value.lower()}"

    @property
    def strength(self) -> int:
        """1 (Cancel) to 4 (Kill)."""
        return MODES[self].strength


class SignalTo(StrEnum):
    """Whom the stop signal goes to; SIGKILL always goes to all."""

    ALL = "All"
    MAIN = "Main"


class ClosePolicy(StrEnum):
    """What happens to an operation that is open when its run ends."""

    STOP = "Stop"
    WAIT = "Wait"
    ABANDON = "Abandon"


class OnLostNode(StrEnum):
    """What to do about a process on a node that does not answer."""

    WAIT = "Wait"
    FORGET = "Forget"


class Phase(StrEnum):
    """Where a run is."""

    PENDING = "Pending"
    RUNNING = "Running"
    CANCELLING = "Cancelling"
    FORCE_CANCELLING = "ForceCancelling"
    TERMINATING = "Terminating"
    KILL_CANCELLING = "KillCancelling"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"
    CANCELLED = "Cancelled"
    TERMINATED = "Terminated"

    @property
    def row(self) -> PhaseRow:
        """What the phase means."""
        return PHASES[self]

    @property
    def terminal(self) -> bool:
        """Whether nothing follows any more."""
        return PHASES[self].closed_reason is not None

    @property
    def stopping(self) -> bool:
        """Whether a stop is in force."""
        return PHASES[self].mode is not None

    @property
    def unstopped(self) -> bool:
        """Whether the run is open and nothing stops it."""
        return not self.terminal and not self.stopping


class Bucket(StrEnum):
    """Coarse state, for lists."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class ClosedReason(StrEnum):
    """Why a run is closed."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"


class CommandOutcome(StrEnum):
    """What became of what a command was to stop: its closedReason, or `reaped`."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    REAPED = "reaped"
    """What an ended run had left running was ended."""


class FailureCategory(StrEnum):
    """What kind of failure ended a run."""

    APPLICATION = "application"
    OUT_OF_MEMORY = "out_of_memory"
    LIMITS = "limits"
    PROBE = "probe"
    INIT = "init"
    START = "start"
    TEMPLATE = "template"
    NOT_OF_THIS_RUN = "not_of_this_run"
    """Of an operation: whoever made it is no process of the run that it names."""
    RESULT_TOO_LARGE = "result_too_large"
    """Of an operation: what it reported does not fit into its termination message."""
    TOO_MANY = "too_many"
    """Of an operation: its run has as many as a run may have."""
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"


class ProcessState(StrEnum):
    """What is known about a process: the verdicts of proof."""

    ALIVE = "alive"
    UNCONFIRMED = "unconfirmed"
    GONE = "gone"
    UNPROVEN = "unproven"


class ProcessRole(StrEnum):
    """What a process is to what it belongs to."""

    WORKFLOW = "workflow"
    OPERATION = "operation"
    LATE_START = "late-start"


class ProcessReason(StrEnum):
    """`processes[].reason` where it is ours and not the kubelet's."""

    MISSED = "PodMissed"
    FORGOTTEN = "Forgotten"
    ENDED_LATE = "EndedAfterClose"
    NEVER_CREATED = "NeverCreated"
    PROBE_FAILED = "ProbeFailed"
    INIT_FAILED = "InitContainerFailed"


class UnconfirmedReason(StrEnum):
    """Why a process is an open entry in `unconfirmed`."""

    NODE_LOST = "NodeLost"
    UNKILLABLE = "Unkillable"


COMPLETION = "completion"
"""`commands[].supersededBy` where the workflow process had ended by itself."""


class CommandStatus(StrEnum):
    """What the controller said to a command."""

    ACCEPTED = "Accepted"
    DUPLICATE = "Duplicate"
    REJECTED = "Rejected"


class CommandKind(StrEnum):
    """What a command asks for."""

    CANCELLATION = "cancellation"


class CommandSource(StrEnum):
    """Who issued a command."""

    API = "api"
    RUN = "run"
    """The stop of the run that an operation belongs to."""
    CLOSED = "closed"
    """The end of that run, by itself."""
    DEADLINE = "deadline"
    ESCALATION = "escalation"


class TargetScope(StrEnum):
    """Whether a command named a run."""

    INSTANCE = "instance"
    RUN = "run"


class RejectionReason(StrEnum):
    """Why a command was rejected (or, in `blockedReasons`, would be)."""

    INSTANCE_NOT_STARTED = "instance_not_started"
    SELECTED_RUN_NOT_CURRENT = "selected_run_not_current"
    WEAKER_THAN_CURRENT = "weaker_than_current"
    RUN_NOT_ACTIVE = "run_not_active"
    DUPLICATE = "duplicate"


class HistoryType(StrEnum):
    """The kinds of history entries."""

    START_ACCEPTED = "StartAccepted"
    WORKFLOW_STARTED = "WorkflowStarted"
    OPERATION_STARTED = "OperationStarted"
    ATTEMPT_FAILED = "AttemptFailed"
    POD_DISRUPTED = "PodDisrupted"
    POD_VANISHED = "PodVanished"
    CANCEL_REQUESTED = "CancelRequested"
    FORCE_REQUESTED = "ForceRequested"
    TERMINATE_REQUESTED = "TerminateRequested"
    KILL_REQUESTED = "KillRequested"
    CANCELLATION_POSTED = "CancellationPosted"
    CANCELLATION_RECEIVED = "CancellationReceived"
    CANCELLATION_ESCALATED = "CancellationEscalated"
    TIMER_CANCELLED = "TimerCancelled"
    OPERATION_CANCELLED = "OperationCancelled"
    OPERATION_COMPLETED = "OperationCompleted"
    OPERATION_FAILED = "OperationFailed"
    OPERATION_TIMED_OUT = "OperationTimedOut"
    WORKFLOW_COMPLETED = "WorkflowCompleted"
    WORKFLOW_FAILED = "WorkflowFailed"
    WORKFLOW_TIMED_OUT = "WorkflowTimedOut"
    WORKFLOW_CANCELLED = "WorkflowCancelled"
    WORKFLOW_TERMINATED = "WorkflowTerminated"


@dataclass(frozen=True, slots=True)
class ModeRow:
    """What a mode means."""

    strength: int
    phase: Phase
    """The phase while it is carried out."""
    end: Phase
    """How the run ends by it."""
    requested: HistoryType
    """The history entry of its acceptance."""
    becomes_kill: bool
    """Whether killAfterSeconds turns it into a Kill."""


MODES: Mapping[Mode, ModeRow] = {
    Mode.CANCEL: ModeRow(1, Phase.CANCELLING, Phase.CANCELLED, HistoryType.CANCEL_REQUESTED, True),
    Mode.FORCE: ModeRow(2, Phase.FORCE_CANCELLING, Phase.CANCELLED, HistoryType.FORCE_REQUESTED, True),
    Mode.TERMINATE: ModeRow(3, Phase.TERMINATING, Phase.TERMINATED, HistoryType.TERMINATE_REQUESTED, True),
    Mode.KILL: ModeRow(4, Phase.KILL_CANCELLING, Phase.CANCELLED, HistoryType.KILL_REQUESTED, False),
}


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """What a phase means."""

    bucket: Bucket
    mode: Mode | None = None
    """The mode that is carried out in it."""
    closed_reason: ClosedReason | None = None
    """Why the run is closed; None: it is open."""
    ended: HistoryType | None = None
    """A run's history entry of a terminal phase."""
    operation_ended: HistoryType | None = None
    """An operation's."""


def _over(bucket: Bucket, reason: ClosedReason, run: HistoryType, operation: HistoryType) -> PhaseRow:
    return PhaseRow(bucket, closed_reason=reason, ended=run, operation_ended=operation)


PHASES: Mapping[Phase, PhaseRow] = {
    Phase.PENDING: PhaseRow(Bucket.RUNNING),
    Phase.RUNNING: PhaseRow(Bucket.RUNNING),
    **{row.phase: PhaseRow(Bucket.RUNNING, mode=mode) for mode, row in MODES.items()},
    Phase.SUCCEEDED: _over(
        Bucket.COMPLETED, ClosedReason.COMPLETED, HistoryType.WORKFLOW_COMPLETED, HistoryType.OPERATION_COMPLETED
    ),
    Phase.FAILED: _over(Bucket.FAILED, ClosedReason.FAILED, HistoryType.WORKFLOW_FAILED, HistoryType.OPERATION_FAILED),
    Phase.TIMED_OUT: _over(
        Bucket.FAILED, ClosedReason.TIMED_OUT, HistoryType.WORKFLOW_TIMED_OUT, HistoryType.OPERATION_TIMED_OUT
    ),
    Phase.CANCELLED: _over(
        Bucket.FAILED, ClosedReason.CANCELLED, HistoryType.WORKFLOW_CANCELLED, HistoryType.OPERATION_CANCELLED
    ),
    Phase.TERMINATED: _over(
        Bucket.FAILED, ClosedReason.TERMINATED, HistoryType.WORKFLOW_TERMINATED, HistoryType.OPERATION_CANCELLED
    ),
}
OPERATION_MODES = (Mode.CANCEL, Mode.KILL)
"""The modes by which a single operation is stopped."""
TERMINAL_PHASES = tuple(phase for phase in Phase if phase.terminal)
