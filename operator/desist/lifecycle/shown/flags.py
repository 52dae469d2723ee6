"""Flags: `can*` and `blockedReasons`, from the table that accepts commands.

Contract: a flag is true exactly where a request of that mode, naming no run, would be Accepted now.
"""

from __future__ import annotations

from functools import cache

from desist.api.status import BlockedReason
from desist.api.vocabulary import Mode, RejectionReason
from desist.lifecycle.stop.accept import accept
from desist.lifecycle.stop.target import S, Target


def with_flags(target: Target, status: S) -> S:
    """The status with its flags."""
    cells = {mode: accept(target.row(status, mode), mode) for mode in status.modes}
    blocked = {mode: cell for mode, cell in cells.items() if isinstance(cell, RejectionReason)}
    return status.replace(
        **{mode.flag: mode not in blocked for mode in cells},
        blocked_reasons=tuple(_blocked(mode, why) for mode, why in blocked.items()),
    )


@cache
def _blocked(mode: Mode, why: RejectionReason) -> BlockedReason:
    """There are twenty."""
    return BlockedReason(action=mode, reason=why)
