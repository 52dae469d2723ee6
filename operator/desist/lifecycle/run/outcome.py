"""Outcome: how a run ends, given how its workflow process ended and what was in force then.

Contract: two tables. `BY_ITSELF` is for a process that ended by itself, `OTHER_ENDS` for all other causes. A valid
outcome that the user's code wrote counts in both, but where a stronger mode than Cancel is in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import assert_never

from desist.api.status import Stoppable
from desist.api.vocabulary import Mode, Phase
from desist.lifecycle.proof.end import Cause, End


class Column(StrEnum):
    """What was in force when the process ended."""

    RUNNING = "Running, Pending with a pod"
    CANCELLING = "Cancelling"
    STOPPING = "Force, Terminate, Kill"


class Result(StrEnum):
    """What becomes of the run."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    AGAIN = "run again"
    MODES_END = "the mode's end"


_EXITS = tuple[Result, Result]

BY_ITSELF: Mapping[tuple[Column, bool], _EXITS] = {
    # (column, told): exit 0, another code
    (Column.RUNNING, False): (Result.SUCCEEDED, Result.FAILED),
    (Column.RUNNING, True): (Result.SUCCEEDED, Result.FAILED),
    (Column.CANCELLING, True): (Result.CANCELLED, Result.CANCELLED),
    (Column.CANCELLING, False): (Result.SUCCEEDED, Result.FAILED),
    (Column.STOPPING, True): (Result.MODES_END, Result.MODES_END),
    (Column.STOPPING, False): (Result.MODES_END, Result.MODES_END),
}


def _line(running: Result, cancelling: Result) -> Mapping[Column, Result]:
    return {Column.RUNNING: running, Column.CANCELLING: cancelling, Column.STOPPING: Result.MODES_END}


OTHER_ENDS: Mapping[Cause, Mapping[Column, Result]] = {
    Cause.DISRUPTED: _line(Result.AGAIN, Result.CANCELLED),
    Cause.VANISHED: _line(Result.AGAIN, Result.CANCELLED),
    Cause.OUT_OF_MEMORY: _line(Result.FAILED, Result.CANCELLED),
    Cause.PROBE: _line(Result.FAILED, Result.CANCELLED),
    Cause.INIT: _line(Result.FAILED, Result.CANCELLED),
    Cause.START: _line(Result.FAILED, Result.CANCELLED),
    Cause.UNEXPLAINED: _line(Result.FAILED, Result.FAILED),
}

SAID: Mapping[Phase, Result] = {
    Phase.SUCCEEDED: Result.SUCCEEDED,
    Phase.FAILED: Result.FAILED,
    Phase.CANCELLED: Result.CANCELLED,
}


def column(phase: Phase) -> Column:
    """The column of an open phase."""
    match phase.row.mode:
        case None:
            return Column.RUNNING
        case Mode.CANCEL:
            return Column.CANCELLING
        case Mode.FORCE | Mode.TERMINATE | Mode.KILL:
            return Column.STOPPING
        case _:
            assert_never(phase.row.mode)


def modes_end(status: Stoppable) -> Phase:
    """The phase that the strongest request accepted before a deadline names; without one: TimedOut."""
    mode = status.stop.end_mode
    return mode.row.end if mode else Phase.TIMED_OUT


def outcome(in_force: Column, end: End) -> Result:
    """What becomes of the run."""
    if end.says is not None and in_force is not Column.STOPPING:
        uncalled = end.says is Phase.CANCELLED and in_force is Column.RUNNING
        return Result.FAILED if uncalled else SAID[end.says]
    if end.cause is Cause.EXITED:
        zero, other = BY_ITSELF[in_force, end.told]
        return zero if end.exit_code == 0 else other
    return OTHER_ENDS[end.cause][in_force]
