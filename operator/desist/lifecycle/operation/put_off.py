"""Put off: what of an operation need not be written at once.

Contract: pure; says until when a write of `after` over `before` can wait; None: not at all. A start that goes on is
written when its process runs, so that it costs one write and not three. A stop that the run's status holds is written
with the operation's end, unless that is long in coming: what is put off was accepted there, and each reconcile takes it
again. A stop that is the operation's own, or that the run's end has brought, is written before it is delivered.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from desist.api.vocabulary import CommandSource, ProcessState
from desist.lifecycle.operation.view import OperationView
from desist.lifecycle.run.treatment import Standing, stands
from desist.lifecycle.shown.derived import DERIVED
from desist.lifecycle.shown.put_off import same
from desist.lifecycle.view import Status, current

START = timedelta(seconds=10)
STOP = timedelta(seconds=2)
_STARTING = (*DERIVED, "processes")
_TAKEN = (*_STARTING, "bucket", "phase", "cancellation", "commands", "command_count")


def start_or_stop(view: OperationView, before: Status, after: Status) -> datetime | None:
    """A start that goes on, or a stop of its run that was taken over."""
    return _start(before, after) or _stop(view, before, after)


def _start(before: Status, after: Status) -> datetime | None:
    known, found = current(before), current(after)
    if known is None or found is None or before.phase is not after.phase or not same(before, after, _STARTING):
        return None
    return found.since + START if found.state is ProcessState.ALIVE and not found.boot_id and not known.node else None


def _stop(view: OperationView, before: Status, after: Status) -> datetime | None:
    force = after.in_force
    taken = before.at.unstopped and after.at.stopping and force is not None and force.source is CommandSource.RUN
    ended = view.run is None or stands(view.run) is Standing.ENDED
    if not taken or ended or force is None or force.accepted_at is None or not same(before, after, _TAKEN):
        return None
    return force.accepted_at + STOP
