"""Every enum value and code of the API, in its one spelling (spec, status, Events, docs).

Contract: the string is what a user types or reads. Orders (modes by scope) and groupings (terminal phases) live
here too, because users rely on them. Adding a value is an API change.
"""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """How strongly a run is stopped: an order of scope, not of signals."""

    CANCEL = "Cancel"
    FORCE = "Force"
    TERMINATE = "Terminate"
    KILL = "Kill"

    @property
    def strength(self) -> int:
        """1 (Cancel) to 4 (Kill)."""
        return list(Mode).index(self) + 1


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
    def terminal(self) -> bool:
        """True where nothing follows any more."""
        return self in TERMINAL_PHASES


TERMINAL_PHASES = (Phase.SUCCEEDED, Phase.FAILED, Phase.TIMED_OUT, Phase.CANCELLED, Phase.TERMINATED)


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


class FailureCategory(StrEnum):
    """What kind of failure ended a run."""

    APPLICATION = "application"
    OUT_OF_MEMORY = "out_of_memory"
    PROBE = "probe"
    INIT = "init"
    START = "start"
    TEMPLATE = "template"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"


class ProcessState(StrEnum):
    """What is known about a process: the verdicts of proof."""

    ALIVE = "alive"
    UNCONFIRMED = "unconfirmed"
    GONE = "gone"
    UNPROVEN = "unproven"


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
    POD_DISRUPTED = "PodDisrupted"
    POD_VANISHED = "PodVanished"
    CANCEL_REQUESTED = "CancelRequested"
    FORCE_REQUESTED = "ForceRequested"
    TERMINATE_REQUESTED = "TerminateRequested"
    KILL_REQUESTED = "KillRequested"
    CANCELLATION_POSTED = "CancellationPosted"
    CANCELLATION_RECEIVED = "CancellationReceived"
    CANCELLATION_ESCALATED = "CancellationEscalated"
    WORKFLOW_COMPLETED = "WorkflowCompleted"
    WORKFLOW_FAILED = "WorkflowFailed"
    WORKFLOW_TIMED_OUT = "WorkflowTimedOut"
    WORKFLOW_CANCELLED = "WorkflowCancelled"
    WORKFLOW_TERMINATED = "WorkflowTerminated"


class ConditionType(StrEnum):
    """Condition types of a WorkflowExecution; `Ready` is the Workflow's."""

    STARTED = "Started"
    FINISHED = "Finished"
    CANCELLED = "Cancelled"
    NODE_LOST = "NodeLost"
    UNKILLABLE = "Unkillable"
    STALLED = "Stalled"
    RECONCILING = "Reconciling"
    READY = "Ready"


class ConditionStatus(StrEnum):
    """Kubernetes' three-valued truth."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"
