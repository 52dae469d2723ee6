"""Two controllers that see things differently do not fight over what is only derived.

Contract: pure; one `Contention` is what one controller remembers of one execution. Who finds that its last status was
written over, and that nothing but derived fields differs from what it would write, waits before it writes again: 1 s
at first, doubling to LONGEST each time that it is written over again. Whatever else a write changes is written at
once, always. So in an upgrade, for as long as both versions run, an execution costs a few writes and then one in
LONGEST; and a status that nobody fights over is as fresh as ever.
Rejected: one of the two wins for good (it may be the one that sees less), and a name for each writer in status (an
older version would not know of it).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from desist.lifecycle.shown.derived import derived_only
from desist.lifecycle.view import Status

FIRST = timedelta(seconds=1)
LONGEST = timedelta(seconds=300)


@dataclass(frozen=True, slots=True)
class Contention:
    """What this controller wrote last, and what became of it."""

    mine: int
    """Hash of the status that it wrote."""
    lost: int = 0
    """How often in a row it was written over."""
    until: datetime | None = None
    """Before that time it does not write what is only derived; None: nobody wrote over it since."""


def contested(known: Contention | None, before: Status | None, after: Status, now: datetime) -> Contention | None:
    """What is known from now on, where a write of `after` over `before` is put off until its `until`; None: write."""
    if known is None or known.mine == hash(before) or not derived_only(before, after):
        return None
    if known.until is None:
        wait = min(FIRST * (1 << min(known.lost, 16)), LONGEST)
        return replace(known, lost=known.lost + 1, until=now + wait)
    return known if now < known.until else None


def written(known: Contention | None, before: Status | None, after: Status) -> Contention | None:
    """What is known once `after` was written over `before`; None: nothing worth remembering."""
    if derived_only(before, after):
        lost = known.lost if known is not None and known.mine != hash(before) else 0
        return Contention(hash(after), lost)
    return replace(known, mine=hash(after), until=None) if known is not None else None
