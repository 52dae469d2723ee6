"""The end of a process: its cause, what came with it, and what can become of a run by it.

Contract: values only. `cause.py` holds the table of causes and fills these from evidence; the run's `outcome.py` says
what becomes of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from desist.api.base import Opaque
from desist.api.vocabulary import Phase


class Cause(StrEnum):
    """How a workflow process ended; each has its line in `cause.CAUSES`."""

    NO_PROCESS = "no_process"
    NODE_GONE = "node_gone"
    VANISHED = "vanished"
    REBOOTED = "rebooted"
    REJECTED = "rejected"
    OUT_OF_MEMORY = "out_of_memory"
    START = "start"
    LIMITS = "limits"
    PAST_DEADLINE = "past_deadline"
    PREEMPTED = "preempted"
    DRAINED = "drained"
    EVICTED = "evicted"
    DELETED = "deleted"
    PROBE = "probe"
    INIT = "init"
    EXITED = "exited"
    """By itself: the exit is the process's own."""
    UNKNOWN = "unknown"
    """No receipt of the launcher, and nothing else that explains the end."""


class Result(StrEnum):
    """What becomes of the run."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    AGAIN = "run again"
    MODES_END = "the mode's end"


@dataclass(frozen=True, slots=True)
class End:
    """The end of a workflow process."""

    cause: Cause
    exit_code: int | None = None
    told: bool = False
    """The receipt names a stop that one of this run's accepted commands asked for."""
    says: Phase | None = None
    """The valid outcome that the user's code wrote."""
    result: Opaque | None = None
    truncated: bool = False
    """Whether that outcome had a result that did not fit, and was left out."""
    message: str = ""
    """In words, for `failure.message`."""
    at: datetime | None = None
    """When, by the kubelet."""
