"""Flags: `can*` and `blockedReasons`, from the table that accepts commands.

Contract: a flag is true exactly where a request of that mode, naming no run, would be Accepted now.
"""

from __future__ import annotations

from desist.api.status import BlockedReason
from desist.api.vocabulary import Mode, Phase, RejectionReason
from desist.lifecycle.stop.accept import accept, row
from desist.lifecycle.stop.commands import has_pod
from desist.lifecycle.view import Status, View


def with_flags(view: View, status: Status) -> Status:
    """The status with its flags."""
    situation = row(status.phase or Phase.PENDING, pod=has_pod(view, status))
    cells = {mode: accept(situation, mode) for mode in Mode}
    blocked = {mode: cell for mode, cell in cells.items() if isinstance(cell, RejectionReason)}
    return status.model_copy(
        update={
            "can_cancel": Mode.CANCEL not in blocked,
            "can_force": Mode.FORCE not in blocked,
            "can_terminate": Mode.TERMINATE not in blocked,
            "can_kill": Mode.KILL not in blocked,
            "blocked_reasons": tuple(BlockedReason(action=mode, reason=why) for mode, why in blocked.items()),
        }
    )
