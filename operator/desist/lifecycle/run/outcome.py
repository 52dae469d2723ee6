"""Outcome: how a run ends, given how its workflow process ended and what was in force then.

Contract: `BY_ITSELF` is for a process that ended by itself, the table of causes (proof/cause) for all others. Where a
stronger mode than Cancel is in force it is always the mode's end. A valid outcome that the user's code wrote counts
before the first, and before the second only where it says Succeeded.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import assert_never

from desist.api.status import Stoppable
from desist.api.vocabulary import Mode, Phase
from desist.lifecycle.proof.cause import LINE_OF, counts
from desist.lifecycle.proof.end import Cause, End, Result


class Column(StrEnum):
    """What was in force when the process ended."""

    RUNNING = "Running, Pending with a pod"
    CANCELLING = "Cancelling"
    STOPPING = "Force, Terminate, Kill"


_EXITS = tuple[Result, Result]

BY_ITSELF: Mapping[tuple[Column, bool], _EXITS] = {
    # (column, told): exit 0, another code
    (Column.RUNNING, False): (Result.SUCCEEDED, Result.FAILED),
    (Column.RUNNING, True): (Result.SUCCEEDED, Result.FAILED),
    (Column.CANCELLING, True): (Result.CANCELLED, Result.CANCELLED),
    (Column.CANCELLING, False): (Result.SUCCEEDED, Result.FAILED),
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


def outcome(in_force: Column, end: End, *, keeps: bool = False) -> Result:
    """What becomes of it. `keeps`: an outcome that was written within the grace of a stop is kept (an operation's)."""
    if in_force is Column.STOPPING:
        said = SAID[end.says] if keeps and end.says is not None and counts(end.cause, end.says) else None
        return said if said in (Result.SUCCEEDED, Result.FAILED) else Result.MODES_END
    if end.says is not None and counts(end.cause, end.says):
        uncalled = end.says is Phase.CANCELLED and in_force is Column.RUNNING
        return Result.FAILED if uncalled else SAID[end.says]
    if end.cause is Cause.EXITED:
        zero, other = BY_ITSELF[in_force, end.told]
        return zero if end.exit_code == 0 else other
    line = LINE_OF[end.cause]
    return line.running if in_force is Column.RUNNING else line.cancelling
