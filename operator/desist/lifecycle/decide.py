"""The reconcile: everything that one look at an execution, or at an operation, leads to.

Contract: `decide` and `decide_operation` are pure and total; they may be called at any time, any number of times, by
several controllers. Where one answers with `Questions`, it is called again with their answers. Where its plan was
carried out and seen, the same call plans no further write. The order of the judgements is that of the steps; a terminal
phase ends them. A status write comes first, then the Events that tell of it, then what it permits: a conflict there
ends the plan, and no later reconcile would tell them. What need not be written at once (`put_off`) waits for a later
write; what it permits is done nevertheless. `Pass` is all in which the two kinds differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from desist.api.status import OperationStatus, WorkflowExecutionStatus
from desist.lifecycle.observed.questions import Questions
from desist.lifecycle.observed.sight import Observed, ObservedOperation
from desist.lifecycle.operation import begin, belong, close, shown, taken
from desist.lifecycle.operation import put_off as own_put_off
from desist.lifecycle.operation.view import OperationView
from desist.lifecycle.plan import Action, DeletePod, Plan, PostMailbox, PushStop, WakeAt, WriteStatus
from desist.lifecycle.run import attempts, late, operations, reports, settle, start
from desist.lifecycle.run.start import Stall
from desist.lifecycle.run.view import RunView, run_status
from desist.lifecycle.shown import events, notes, put_off
from desist.lifecycle.shown.conditions import with_conditions
from desist.lifecycle.shown.flags import with_flags
from desist.lifecycle.shown.waiting import shown_at, with_waiting
from desist.lifecycle.stop import commands, delivery, steps, sweep
from desist.lifecycle.view import Status, Step, View

SOON = timedelta(milliseconds=10)
Times = tuple[datetime | None, ...]
Judge = Callable[[Any, Status], Step]


def _as_it_is(_: View, status: Status) -> Status:
    return status


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """In what the reconcile of a kind is its own."""

    steps: tuple[Judge, ...]
    ended: tuple[Judge, ...]
    """For what has ended: it still answers requests."""
    stall: Callable[[Any, Status], Stall | None]
    """Why it cannot begin."""
    waits: Callable[[Any, Status], Iterable[str]]
    """What it waits for beside its own process, in words."""
    put_off: Callable[[Any, Status, Status], datetime | None]
    """Until when a write of the second status over the first can wait; None: it cannot."""
    surplus: Callable[[Any, Status], delivery.Delivery]
    """Ended pods that nobody needs any more."""
    counted: Callable[[Any, Status], Status] = _as_it_is
    """The status with what it only counts."""


RUN = Pass(
    steps=(
        reports.report,
        operations.close,
        steps.fire_deadline,
        steps.judge_request,
        steps.settle_again,
        steps.escalate,
        settle.forget,
        operations.close,
        start.advance,
    ),
    ended=(steps.judge_request, operations.reap, reports.report_late),
    stall=start.stall,
    waits=operations.waits,
    put_off=put_off.of_run,
    surplus=sweep.of_operations,
    counted=lambda view, status: operations.counted(view, run_status(status)),
)
OPERATION = Pass(
    steps=(
        belong.refuse,
        taken.resume,
        reports.report,
        close.close,
        taken.take,
        steps.fire_deadline,
        steps.judge_request,
        steps.settle_again,
        steps.escalate,
        settle.forget,
        close.close,
        begin.advance,
    ),
    ended=(steps.judge_request, reports.report_late),
    stall=shown.stall,
    waits=shown.waits,
    put_off=own_put_off.start_or_stop,
    surplus=close.surplus,
)


def decide(observed: Observed, now: datetime) -> Plan | Questions:
    """What to do about an execution now: at most one status write, its Events, then what it permits.

    Or what must be known first.
    """
    return _decide(RUN, RunView(observed, now), observed.execution.status or WorkflowExecutionStatus())


def accepted(observed: Observed, now: datetime) -> Plan:
    """What brings the stop forward that status holds already: for a reconcile whose status could not be written."""
    return _accepted(RunView(observed, now), observed.execution.status or WorkflowExecutionStatus())


def decide_operation(observed: ObservedOperation, now: datetime) -> Plan | Questions:
    """What to do about an operation now, likewise."""
    view = OperationView(observed, now)
    return _decide(OPERATION, view, observed.operation.status or OperationStatus()) if view.ours else view.asks


def accepted_operation(observed: ObservedOperation, now: datetime) -> Plan:
    """What brings the stop of an operation forward that its status, or its run's, holds already."""
    view, status = OperationView(observed, now), observed.operation.status or OperationStatus()
    return _accepted(view, taken.take(view, status).status) if view.ours else Plan()


def _decide(kind: Pass, view: View, before: Status) -> Plan | Questions:
    begun = steps.coherent(view, before)
    noted = notes.before_step(view, begun)
    # Notes alone are no write: what is judged is compared with them.
    known = noted if begun == before else before
    judged = _judge(kind, view, noted)
    if judged.asks:
        return judged.asks
    after = _shown(kind, view, judged.status)
    if after == known:
        return Plan(_permitted(kind, view, after, judged.again))
    later = kind.put_off(view, known, after)
    if later is not None and later > view.now:
        return Plan(_permitted(kind, view, after, (*judged.again, later)))
    after = notes.after_step(view, after)
    permitted = _permitted(kind, view, after, judged.again)
    if after.last_accepted != before.last_accepted:
        permitted = _pushed_first(view, permitted)
    return Plan((WriteStatus(after), *events.told(before, after), *permitted))


def _accepted(view: View, status: Status) -> Plan:
    delivered = delivery.deliver(view, steps.coherent(view, status))
    return Plan((*delivered.deeds, *_wake_ahead(view, delivered.again)))


def _judge(kind: Pass, view: View, begun: Status) -> Step:
    """The steps in their order. What has ended still answers requests, in a reconcile of its own."""
    status, again = begun, Times()
    for step in kind.steps if begun.open else kind.ended:
        taken = step(view, status)
        if taken.asks.dry_run and status != begun:
            # What was found out already does not wait for admission.
            return Step(status, (view.now + SOON,))
        if taken.asks:
            return taken
        again = (*again, *taken.again)
        if taken.status is status:
            continue
        status = taken.status
        if begun.open and not status.open:
            break
    return Step(status, again)


def _shown(kind: Pass, view: View, status: Status) -> Status:
    """The judged status with all that is derived from it."""
    status = kind.counted(view, late.note(view, status))
    target, stalled = steps.target(view, status), kind.stall(view, status)
    waiting = with_waiting(view, status, stalled, kind.waits(view, status))
    status = with_conditions(view, with_flags(target, waiting), stalled)
    answered = not commands.unanswered(view.request, status)
    return status.replace(observed_generation=view.metadata.generation if answered else status.observed_generation)


def _permitted(kind: Pass, view: View, status: Status, again: Times) -> tuple[Action, ...]:
    creation, delivered = attempts.creation(view, status), delivery.deliver(view, status)
    created, swept = (creation.deed,) if creation.deed else (), sweep.sweep(view, status)
    surplus = kind.surplus(view, status)
    left = (*delivered.again, *swept.again, *surplus.again)
    times = (*again, creation.again, *left, shown_at(view, status)) if status.open else (*again, *left)
    # Stops before starts: a create that hangs or fails ends the plan.
    return (*delivered.deeds, *created, *_wake(view, status, times), *swept.deeds, *surplus.deeds)


def _pushed_first(view: View, actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """What an acceptance permits, without the postings whose pushes go out with it: these are left to the next pass.

    It comes behind what others have to write: so of many that are stopped at once all are accepted, and pushed to,
    before mailboxes are written. DELETEs are left with them, but of a pod whose posting is not: no mailbox arrives in a
    pod that is being deleted, and no posting waits for the DELETE of another pod, which admission may hold up.
    """
    pushed = {action.uid for action in actions if isinstance(action, PushStop)}
    told = {action.uid for action in actions if isinstance(action, PostMailbox)} - pushed
    if not any(isinstance(each, PostMailbox) and each.uid in pushed for each in actions):
        return actions
    kept = (each for each in actions if not isinstance(each, PostMailbox | DeletePod) or each.uid in told)
    return (*kept, WakeAt(view.now + SOON))


def _wake(view: View, status: Status, times: Iterable[datetime | None]) -> tuple[WakeAt, ...]:
    """The earliest time ahead: the reconcile that it wakes asks again. What ends may have a request to answer."""
    if commands.unanswered(view.request, status):
        return (WakeAt(view.now + SOON),)
    return _wake_ahead(view, times)


def _wake_ahead(view: View, times: Iterable[datetime | None]) -> tuple[WakeAt, ...]:
    ahead = [moment for moment in times if moment is not None and moment > view.now]
    return (WakeAt(min(ahead)),) if ahead else ()
