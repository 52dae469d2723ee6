"""What a status keeps of what was asked and of what happened: a record of each command, an entry for each event.

Contract: each is added once, under a number that only rises. Filled in later is what became of a command; taken away are
texts, where there is no room for them (`lifecycle/shown/lean`), and, of what is old and more than fits, the whole
(`lifecycle/stop/records`, `lifecycle/history`). So nothing is decided by a text. A failure is part of it: status shows
the same one, under one id.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from desist.api.base import Id, Model, Short, Text, Time
from desist.api.vocabulary import (
    CommandKind,
    CommandOutcome,
    CommandSource,
    CommandStatus,
    FailureCategory,
    HistoryType,
    Mode,
    RejectionReason,
    TargetScope,
)

FreeText = Annotated[str, Field(max_length=1024)]
"""A copy of a request's text; its bytes were checked in the request."""


class Failure(Model):
    """Why a run did not succeed."""

    id: Id
    """A ULID; the terminal history entry carries the same one."""
    category: FailureCategory
    """What kind of failure it was."""
    propagation: Short
    """How it reached the run: `closedReason`'s value for cancelled, terminated and timed_out, else `workflow`."""
    message: Text
    """In words."""


class CommandRecord(Model):
    """One command that the controller got, and what became of it."""

    id: Id
    """A ULID."""
    sequence: Annotated[int, Field(ge=1)]
    """Strictly rising over the execution's life."""
    kind: CommandKind
    """What was asked for: `cancellation`."""
    mode: Mode
    """The mode that was asked for."""
    status: CommandStatus
    """Accepted, Duplicate (the same mode again) or Rejected."""
    outcome: CommandOutcome | None = None
    """The closedReason of what it was to stop, once that is closed, never before; `reaped` where it ended what an ended run had left running."""
    rejection_reason: RejectionReason | None = None
    """Why it was rejected: instance_not_started, selected_run_not_current, weaker_than_current or run_not_active."""
    message: Text | None = None
    """In words: what was cut, merged or refused, and what is in force."""
    reason: FreeText | None = None
    """The request's reason; absent and empty are different."""
    details: FreeText | None = None
    """The request's details."""
    source: CommandSource
    """api (spec.cancellation), run (the stop of the operation's run), closed (the end of that run), deadline (activeDeadlineSeconds) or escalation (killAfterSeconds)."""
    field_manager: Short | None = None
    """Field manager that wrote the request's mode."""
    request_id: Short | None = None
    """The request's requestId, the caller's own label."""
    target_scope: TargetScope
    """`run` where the request named one, else `instance`."""
    requested_run_id: Id | None = None
    """The run that the request named, if it named one."""
    resolved_run_id: Id | None = None
    """The run that was current when the command was judged."""
    accepted_at: Time | None = None
    """When it was accepted, or found to be a duplicate."""
    rejected_at: Time | None = None
    """When it was rejected."""
    applied_at: Time | None = None
    """When the last stop of this command was posted."""
    superseded_by: Short | None = None
    """Id of the stronger command that took over, or `completion`."""


class HistoryEntry(Model):
    """One thing that happened to the run."""

    seq: Annotated[int, Field(ge=1)]
    """Strictly rising over the execution's life."""
    type: HistoryType
    """What happened."""
    time: Time
    """When it happened, as far as that is known; else when it was seen."""
    command_id: Id | None = None
    """The command that it belongs to; at the end of a run, the one that was in force."""
    reason: FreeText | None = None
    """That command's reason."""
    operation: Annotated[str, Field(max_length=200)] | None = None
    """Key of the operation that it is about."""
    failure: Failure | None = None
    """At the end of a run that did not succeed: the failure that status.failure shows, under the same id."""
    message: Text | None = None
    """More, in words."""
    count: Annotated[int, Field(ge=1)] | None = None
    """How many entries this one stands for, where older ones were folded."""
