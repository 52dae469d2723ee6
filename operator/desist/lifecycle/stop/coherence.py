"""Coherence of a stop: a phase, what is in force and what was accepted say the same, whoever wrote them.

Contract: pure and total; a status that the core itself has written comes back as it is. What was accepted is told by
the records alone: the strongest accepted one is in force, and a phase or a mode that says otherwise is set right. So a
request is never a duplicate of a stop that nobody delivers, and one that was accepted is never dropped. Where the
records are lost too, the request is judged anew.
"""

from __future__ import annotations

from desist.api import outside
from desist.api.records import CommandRecord
from desist.api.vocabulary import COMPLETION, CommandStatus, Mode, Phase
from desist.lifecycle.graces import KILLED_AT_ONCE
from desist.lifecycle.stop.accept import address
from desist.lifecycle.stop.deadlines import own_kill_grace
from desist.lifecycle.stop.target import S, Target


def coherent(target: Target, status: S) -> S:
    """The same status, with the stop that its records tell of. To be asked while it is open."""
    status = _bounded(status)
    accepted = [record for record in status.commands if record.status is CommandStatus.ACCEPTED]
    if status.end_time is not None and status.at.stopping and accepted:
        # What was accepted after the process had ended by itself changes the phase, and takes nothing over.
        return status
    force = max((r for r in accepted if r.superseded_by != COMPLETION), key=lambda r: r.mode.strength, default=None)
    return _in_force(target, status, force) if force else nothing_in_force(status)


def _bounded(status: S) -> S:
    """Graces of which a time can be told."""
    held = status.stop
    graces = (held.grace_period_seconds, held.kill_grace_seconds)
    force, kill = (None if grace is None else outside.grace(grace) for grace in graces)
    return status if (force, kill) == graces else status.stopping(grace_period_seconds=force, kill_grace_seconds=kill)


def _in_force(target: Target, status: S, force: CommandRecord) -> S:
    held = status.stop
    grace = held.grace_period_seconds
    match force.mode:
        case Mode.FORCE | Mode.TERMINATE:
            grace = KILLED_AT_ONCE
        case Mode.KILL if grace is None:
            grace = own_kill_grace(target, status)
        case _:
            pass
    since = held.since or force.accepted_at or target.now
    said = (status.phase, held.mode, held.command_id, held.since, held.grace_period_seconds)
    if said == (force.mode.row.phase, force.mode, force.id, since, grace):
        return status
    return status.replace(phase=force.mode.row.phase).stopping(
        mode=force.mode, command_id=force.id, since=since, grace_period_seconds=grace
    )


def nothing_in_force(status: S) -> S:
    """The same status without a stop; a request that means this run is judged, or judged again."""
    if status.cancellation is None and not status.at.stopping:
        return status
    observed = status.stop.observed
    if observed is not None and address(observed.run_id, status.run_id) is None:
        observed = None
    began = Phase.RUNNING if status.start_time else Phase.PENDING
    held = status.replace(cancellation=None, phase=began if status.at.stopping else status.phase)
    return held.stopping(observed=observed)
