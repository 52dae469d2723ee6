"""Close: the end of an operation, and what becomes of its pods afterwards.

Contract: it closes with its own process; nothing else keeps it open. The pod of one that succeeded is kept for some
minutes, for whoever wants its log; of those that did not, the run keeps the last (stop/sweep).
"""

from __future__ import annotations

from datetime import timedelta

from desist.api.vocabulary import Phase
from desist.lifecycle.operation.view import OperationView
from desist.lifecycle.proof.process import ended
from desist.lifecycle.run import settle
from desist.lifecycle.stop import sweep
from desist.lifecycle.stop.delivery import Delivery
from desist.lifecycle.view import Status, Step

KEPT_FOR = timedelta(minutes=10)
"""The pod of an operation that succeeded is deleted so long after its end."""


def close(view: OperationView, status: Status) -> Step:
    """Step: the terminal phase, where its process has ended and none is left."""
    return Step(settle.close(view, status)) if settle.closable(status) else Step(status)


def surplus(view: OperationView, status: Status) -> Delivery:
    """The ended pods of one that succeeded some time ago."""
    if status.at is not Phase.SUCCEEDED or status.end_time is None or not view.startable:
        return Delivery()
    pods = [pod for pod in view.observed.pods if ended(pod) and pod.deletion_timestamp is None]
    due = status.end_time + KEPT_FOR
    return sweep.unneeded(view, pods) if due <= view.now else Delivery(again=(due,) if pods else ())
