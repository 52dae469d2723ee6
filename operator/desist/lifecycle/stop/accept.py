"""Acceptance: what each mode means in each situation of a run.

Contract: one table, and nothing else decides it: the pass, the `can*` flags and `blockedReasons` all read it. A cell
is the phase that follows (the command is accepted) or the reason why not; `duplicate` is the same mode again, which
is no rejection. Which run is meant (`address`) is asked before the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from desist.api.vocabulary import Mode, Phase, RejectionReason


class Row(StrEnum):
    """The situations of a run that the table tells apart."""

    NO_POD = "no pod"
    WITH_POD = "with a pod"
    CANCELLING = "Cancelling"
    FORCE_CANCELLING = "ForceCancelling"
    TERMINATING = "Terminating"
    KILL_CANCELLING = "KillCancelling"
    TERMINAL = "terminal"
    LEFT_OVER = "terminal, operations left over"
    REAPING = "terminal, a Kill ends what is left over"


class Reap(StrEnum):
    """The cell of a command that ends what an ended run has left running; the run stays as it is."""

    REAP = "reaps"


Cell = Phase | RejectionReason | Reap
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
    Row.LEFT_OVER: _line(_OVER, _OVER, _OVER, Reap.REAP),
    Row.REAPING: _line(_OVER, _OVER, _OVER, _DUPLICATE),
}


def row(phase: Phase, *, pod: bool, left_over: bool = False, reaping: bool = False) -> Row:
    """The table's row for a phase.

    `pod`: the current attempt has a pod, or may have one, or operations keep the run from ending at once; `left_over`:
    operations of an ended run go on; `reaping`: a Kill is ending them.
    """
    if phase.terminal:
        return Row.REAPING if reaping else Row.LEFT_OVER if left_over else Row.TERMINAL
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
