"""What pushes, and the answers to them, may change of a plan: words, and that a repeat is spared. Nothing else.

Contract: `pushes_decide_nothing` compares what was planned with what is planned where nobody has pushed anything.
"""

from __future__ import annotations

from desist.api.records import Failure
from desist.api.status import Stoppable
from desist.api.vocabulary import HistoryType
from desist.lifecycle.observed.sight import Observed, ObservedOperation
from desist.lifecycle.plan import Action, EmitEvent, Plan, PostMailbox, PushStop, WakeAt, WriteStatus


def pushes_decide_nothing(judged: Observed | ObservedOperation, plan: Plan, without: Plan) -> None:
    """Raises AssertionError where the two plans differ in more than they may."""
    assert _deeds(plan) == _deeds(without), "a push changes what is done"
    held = judged.execution if isinstance(judged, Observed) else judged.operation
    one, other = _status(plan), _status(without)
    if one is None and other is None:
        return
    assert _told(one or held.status) == _told(other or held.status), "a push changes what is written"
    if one is not None and other is not None:
        assert one.cancellation == other.cancellation, "a push moves a deadline"


def _deeds(plan: Plan) -> list[Action | tuple[str, str, str]]:
    """All that is done but pushes and repeats; of a posting what it asks for, as its sequence may be another."""
    apart = (WriteStatus, EmitEvent, WakeAt, PushStop)
    return [
        (action.uid, action.asks, action.resource_version) if isinstance(action, PostMailbox) else action
        for action in plan.actions
        if not isinstance(action, apart) and not (isinstance(action, PostMailbox) and action.again)
    ]


def _status(plan: Plan) -> Stoppable | None:
    return next((action.status for action in plan.actions if isinstance(action, WriteStatus)), None)


def _told(status: Stoppable | None) -> Stoppable | None:
    """A status without words, and without what only rides on a write that is made anyway."""
    if status is None:
        return None
    apart = (HistoryType.CANCELLATION_POSTED, HistoryType.CANCELLATION_RECEIVED)
    return status.replace(
        waiting_on=(),
        conditions=tuple(condition.replace(message="") for condition in status.conditions),
        failure=_unnamed(status.failure),
        history=tuple(
            entry.replace(seq=1, failure=_unnamed(entry.failure)) for entry in status.history if entry.type not in apart
        ),
        history_count=0,
        commands=tuple(record.replace(applied_at=None) for record in status.commands),
        cancellation=None if status.cancellation is None else status.cancellation.replace(kill_at=None),
    )


def _unnamed(failure: Failure | None) -> Failure | None:
    """Its id is made of the number of its entry in the history."""
    return None if failure is None else failure.replace(id="")
