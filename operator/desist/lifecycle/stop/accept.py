"""Acceptance: what each mode means in each situation of a run.

Contract: one table, and nothing else decides it: the pass, the `can*` flags and `blockedReasons` all read it. A cell
is the phase that follows (the command is accepted) or the reason why not; `duplicate` is the same mode again, which
is no rejection. Which run is meant (`address`) is asked before the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from desist.api.vocabulary import Mode, Phase, RejectionReason

Cell = Phase | RejectionReason


class Row(StrEnum):
    """The situations of a run that the table tells apart."""

    NO_POD = "no pod"
    WITH_POD = "with a pod"
    CANCELLING = "Cancelling"
    FORCE_CANCELLING = "ForceCancelling"
    TERMINATING = "Terminating"
    KILL_CANCELLING = "KillCancelling"
    TERMINAL = "terminal"


_DUPLICATE = RejectionReason.DUPLICATE
_WEAKER = RejectionReason.WEAKER_THAN_CURRENT
_OVER = RejectionReason.RUN_NOT_ACTIVE


def _line(cancel: Cell, force: Cell, terminate: Cell, kill: Cell) -> Mapping[Mode, Cell]:
    return {Mode.CANCEL: cancel, Mode.FORCE: force, Mode.TERMINATE: terminate, Mode.KILL: kill}


ACCEPTANCE: Mapping[Row, Mapping[Mode, Cell]] = {
    Row.NO_POD: _line(Phase.CANCELLED, Phase.CANCELLED, Phase.TERMINATED, Phase.CANCELLED),
    Row.WITH_POD: _line(Phase.CANCELLING, Phase.FORCE_CANCELLING, Phase.TERMINATING, Phase.KILL_CANCELLING),
    Row.CANCELLING: _line(_DUPLICATE, Phase.FORCE_CANCELLING, Phase.TERMINATING, Phase.KILL_CANCELLING),
    Row.FORCE_CANCELLING: _line(_WEAKER, _DUPLICATE, Phase.TERMINATING, Phase.KILL_CANCELLING),
    Row.TERMINATING: _line(_WEAKER, _WEAKER, _DUPLICATE, Phase.KILL_CANCELLING),
    Row.KILL_CANCELLING: _line(_WEAKER, _WEAKER, _WEAKER, _DUPLICATE),
    Row.TERMINAL: _line(_OVER, _OVER, _OVER, _OVER),
}


def row(phase: Phase, *, pod: bool) -> Row:
    """The table's row for a phase; `pod` says whether the current attempt has a pod, or may have one."""
    if phase.terminal:
        return Row.TERMINAL
    if phase.stopping:
        return Row(phase.value)
    return Row.WITH_POD if pod else Row.NO_POD


def accept(situation: Row, mode: Mode) -> Cell:
    """The phase that follows a command of this mode, or the reason why it is not accepted."""
    return ACCEPTANCE[situation][mode]


def address(requested_run_id: str | None, current_run_id: str | None) -> RejectionReason | None:
    """Why a request does not reach the current run; None: it does. Asked before the table."""
    if requested_run_id is None or requested_run_id == current_run_id:
        return None
    if current_run_id is None:
        return RejectionReason.INSTANCE_NOT_STARTED
    return RejectionReason.SELECTED_RUN_NOT_CURRENT
