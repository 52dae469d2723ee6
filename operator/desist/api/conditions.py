"""What conditions and Events are called, in the one spelling of each.

Contract: as in `vocabulary`; nothing is decided by them.
"""

from __future__ import annotations

from enum import StrEnum


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


class StallReason(StrEnum):
    """Why a run cannot begin: the reason of its condition `Stalled`."""

    WORKFLOW_NOT_FOUND = "WorkflowNotFound"
    TEMPLATE_REFUSED = "TemplateRefused"
    ARGUMENTS_REFUSED = "ArgumentsRefused"
    TEMPLATE_INVALID = "TemplateInvalid"
    CREATE_REFUSED = "CreateRefused"


class EventReason(StrEnum):
    """Reasons of Events that are neither a history entry's type nor a condition's."""

    COMMAND_REJECTED = "CommandRejected"
    COMMAND_DUPLICATE = "CommandDuplicate"
    LATE_START = "LateStart"
    LATE_OPERATION = "LateOperation"
    LATE_RESULT = "LateResult"
    STOP_REFUSED = "StopRefused"
