"""The reconcile: everything that one look at an execution leads to.

Contract: `decide` is pure and total; it may be called at any time, any number of times, by several controllers. Where
it answers with `Questions`, it is called again with their answers. Where its plan was carried out and seen, the same
call plans no further write. The order of the judgements is that of `STEPS`; a terminal phase ends them. A status write
comes first, then the Events that tell of it, then what it permits: a conflict there ends the plan, and no later
reconcile would tell them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from desist.api.status import WorkflowExecutionStatus
from desist.lifecycle.observed import Observed, Questions
from desist.lifecycle.plan import Action, Plan, WakeAt, WriteStatus
from desist.lifecycle.run import attempts, late, reports, settle, start
from desist.lifecycle.shown import events, notes
from desist.lifecycle.shown.conditions import with_conditions
from desist.lifecycle.shown.flags import with_flags
from desist.lifecycle.shown.waiting import shown_at, with_waiting
from desist.lifecycle.stop import commands, delivery, steps, sweep
from desist.lifecycle.view import Status, Step, View

SOON = timedelta(milliseconds=10)
Times = tuple[datetime | None, ...]

STEPS: tuple[Callable[[View, Status], Step], ...] = (
    reports.report,
    steps.fire_deadline,
    steps.judge_request,
    steps.settle_again,
    steps.escalate,
    settle.forget,
    start.advance,
)


def decide(observed: Observed, now: datetime) -> Plan | Questions:
    """What to do now: at most one status write, its Events, then what it permits; or what must be known first."""
    view, before = View(observed, now), observed.execution.status or WorkflowExecutionStatus()
    begun = steps.coherent(view, before)
    judged = _judge(view, begun)
    if judged.asks:
        return judged.asks
    after = _shown(view, judged.status)
    if after == before:
        return Plan(_permitted(view, after, judged.again))
    noted = _judge(view, notes.before_step(view, begun))
    after = notes.after_step(view, _shown(view, noted.status))
    return Plan((WriteStatus(after), *events.told(before, after), *_permitted(view, after, noted.again)))


def accepted(observed: Observed, now: datetime) -> Plan:
    """What brings the stop forward that status holds already: for a reconcile whose status could not be written."""
    view, status = View(observed, now), observed.execution.status or WorkflowExecutionStatus()
    status = steps.coherent(view, status)
    delivered = delivery.deliver(view, status)
    return Plan((*delivered.deeds, *_wake_ahead(view, delivered.again)))


def _judge(view: View, begun: Status) -> Step:
    """The steps in their order. A run that has ended still answers requests, in a reconcile of its own."""
    status = begun
    if not status.open:
        return steps.judge_request(view, status)
    again: Times = ()
    for step in STEPS:
        taken = step(view, status)
        if taken.asks.dry_run and status != begun:
            # What was found out already does not wait for admission.
            return Step(status, (view.now + SOON,))
        if taken.asks:
            return taken
        status, again = taken.status, (*again, *taken.again)
        if not status.open:
            break
    return Step(status, again)


def _shown(view: View, status: Status) -> Status:
    """The judged status with all that is derived from it."""
    target = steps.target(view, status)
    status = with_conditions(view, with_flags(target, with_waiting(view, late.note(view, status))))
    generation = view.observed.execution.metadata.generation
    answered = not commands.unanswered(view.spec.cancellation, status)
    return status.replace(observed_generation=generation if answered else status.observed_generation)


def _permitted(view: View, status: Status, again: Times) -> tuple[Action, ...]:
    creation, delivered = attempts.creation(view, status), delivery.deliver(view, status)
    created, swept = (creation.deed,) if creation.deed else (), sweep.sweep(view, status)
    left = (*delivered.again, *swept.again)
    times = (*again, creation.again, *left, shown_at(view, status)) if status.open else left
    # Stops before starts: a create that hangs or fails ends the plan.
    return (*delivered.deeds, *created, *_wake(view, status, times), *swept.deeds)


def _wake(view: View, status: Status, times: Iterable[datetime | None]) -> tuple[WakeAt, ...]:
    """The earliest time ahead: the reconcile that it wakes asks again. A run that ends may have a request to answer."""
    if commands.unanswered(view.spec.cancellation, status):
        return (WakeAt(view.now + SOON),)
    return _wake_ahead(view, times)


def _wake_ahead(view: View, times: Iterable[datetime | None]) -> tuple[WakeAt, ...]:
    ahead = [moment for moment in times if moment is not None and moment > view.now]
    return (WakeAt(min(ahead)),) if ahead else ()
