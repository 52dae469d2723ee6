"""Treatment: what becomes of an operation by how its run stands. One table.

Contract: `TREATMENT` is the table, and nothing else decides it: the run counts by it what it must wait for, and the
operation does by it what is to be done. A run stands in one of the rows, an operation is in one of the columns. What
was done in the workflow process has ended when it is written: it is in none.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import assert_never

from desist.api.vocabulary import ClosePolicy, Mode
from desist.lifecycle.run.view import RunStatus


class Standing(StrEnum):
    """How a run stands, for its operations."""

    OPEN = "open, or Cancelling"
    """A workflow process lives, or will; what it does about its operations is for its code."""
    ENDED = "ended"
    """The workflow process has, and no attempt follows."""
    FORCE = "Force"
    TERMINATE = "Terminate"
    KILL = "Kill, deadline"
    CLOSED = "closed"
    """Its terminal phase is written."""


class Situation(StrEnum):
    """Where an operation is."""

    NOT_BEGUN = "not begun"
    BACK_OFF = "in back-off"
    UNSTARTED = "container never started"
    RUNS = "pod runs"
    TIMER = "timer"


class Treatment(StrEnum):
    """What is to be done about it."""

    GO_ON = "as in an open run"
    CLOSE = "closed, no pod"
    DELETE = "DELETE"
    """Of a pod whose container has never started."""
    STOP = "stop signal, SIGKILL after its grace"
    LEAVE = "left over"
    LATE = "closed without a pod, and counted as late"


ENDS = (Treatment.CLOSE, Treatment.DELETE, Treatment.STOP, Treatment.LATE)
"""By which an operation ends soon, so that its run waits for it."""
_S = Situation
_T = Treatment
_Row = Mapping[Situation, Treatment]


def _row(idle: Treatment, unstarted: Treatment, runs: Treatment, timer: Treatment) -> _Row:
    return {_S.NOT_BEGUN: idle, _S.BACK_OFF: idle, _S.UNSTARTED: unstarted, _S.RUNS: runs, _S.TIMER: timer}


_AS_OPEN = _row(_T.GO_ON, _T.GO_ON, _T.GO_ON, _T.GO_ON)
_ENDED: Mapping[ClosePolicy, _Row] = {
    ClosePolicy.STOP: _row(_T.CLOSE, _T.DELETE, _T.STOP, _T.CLOSE),
    ClosePolicy.WAIT: _AS_OPEN,
    # It begins all the same: the run closes once its first attempt is in status.
    ClosePolicy.ABANDON: {**_row(_T.LEAVE, _T.LEAVE, _T.LEAVE, _T.CLOSE), _S.NOT_BEGUN: _T.GO_ON},
}


def _whatever_policy(row: _Row) -> Mapping[ClosePolicy, _Row]:
    return {policy: row for policy in ClosePolicy}


TREATMENT: Mapping[Standing, Mapping[ClosePolicy, _Row]] = {
    Standing.OPEN: _whatever_policy(_AS_OPEN),
    Standing.ENDED: _ENDED,
    Standing.FORCE: _whatever_policy(_row(_T.CLOSE, _T.DELETE, _T.LEAVE, _T.CLOSE)),
    Standing.TERMINATE: _whatever_policy(_row(_T.CLOSE, _T.DELETE, _T.STOP, _T.CLOSE)),
    Standing.KILL: _whatever_policy(_row(_T.CLOSE, _T.DELETE, _T.STOP, _T.CLOSE)),
    Standing.CLOSED: _whatever_policy({**_row(_T.LEAVE, _T.LEAVE, _T.LEAVE, _T.LATE), _S.NOT_BEGUN: _T.LATE}),
}


def treat(standing: Standing, policy: ClosePolicy, situation: Situation) -> Treatment:
    """What is to be done about an operation."""
    return TREATMENT[standing][policy][situation]


def stands(run: RunStatus) -> Standing:
    """How the run stands."""
    if not run.open:
        return Standing.KILL if reaping(run) else Standing.CLOSED
    return of_mode(run, run.at.row.mode)


def of_mode(run: RunStatus, mode: Mode | None) -> Standing:
    """How an open run stands where that mode is in force."""
    match mode:
        case Mode.FORCE:
            return Standing.FORCE
        case Mode.TERMINATE:
            return Standing.TERMINATE
        case Mode.KILL:
            return Standing.KILL
        case Mode.CANCEL | None:
            return Standing.OPEN if run.end_time is None else Standing.ENDED
        case _:
            assert_never(mode)


def reaping(run: RunStatus) -> bool:
    """Whether the run has ended, and a Kill is ending what it left running."""
    last = run.last_accepted
    return not run.open and last is not None and last.mode is Mode.KILL and last.outcome is None


def forced(run: RunStatus) -> bool:
    """Whether Force was the last stop, also after the workflow process had ended: what it left is not run again."""
    last = run.last_accepted
    return last is not None and last.mode is Mode.FORCE
