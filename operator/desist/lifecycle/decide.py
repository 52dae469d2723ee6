"""The pass: everything that one look at an execution leads to.

Contract: `decide` is pure and total; it may be called at any time, any number of times, by several controllers. Where
its plan was carried out and seen, the same call plans no further write. The order of the judgements is that of
`STEPS`; a terminal phase ends them. A status write comes first, then the Events that tell of it, then what it permits:
a conflict there ends the plan, and no later pass would tell them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import Bucket, Phase
from desist.lifecycle.observed import Observed, Questions, WantedPod
from desist.lifecycle.plan import Action, Plan, WakeAt, WriteStatus
from desist.lifecycle.run import late, reports, start
from desist.lifecycle.shown import events, notes
from desist.lifecycle.shown.conditions import with_conditions
from desist.lifecycle.shown.flags import with_flags
from desist.lifecycle.shown.waiting import with_waiting
from desist.lifecycle.stop import commands, deadlines, delivery
from desist.lifecycle.timers import next_wake
from desist.lifecycle.view import Status, View, current

SOON = timedelta(milliseconds=10)

STEPS: tuple[Callable[[View, Status], Status], ...] = (
    reports.report,
    commands.fire_deadline,
    commands.judge_request,
    reports.settle_again,
    commands.escalate,
    reports.forget,
    start.advance,
)


def questions(observed: Observed, now: datetime) -> Questions:
    """What to ask the API server before `decide`, so that its answers are in `observed`.

    A live pod that was found belongs into `pods` (and no more into `deleted`), and may raise a question about its node;
    a live node takes the place of the cached one in `nodes`. Nothing is asked twice for what is already answered.
    """
    view, before = View(observed, now), _before(observed)
    after = _judge(view, before)
    return Questions(
        trial=observed.trial is None and start.wants_trial(view, after),
        live_pod=_wanted_pod(view, before),
        live_nodes=reports.live_nodes(view, before),
    )


def decide(observed: Observed, now: datetime) -> Plan:
    """What to do now: at most one status write, its Events, then what it permits."""
    view, before = View(observed, now), _before(observed)
    judged = _judge(view, before)
    if judged == _taken_over(before) and observed.trial is None and start.wants_trial(view, judged):
        return Plan()
    after = _shown(view, judged)
    if after == before:
        return Plan((*_permitted(view, after), *_wake(view, before, after)))
    after = notes.after_step(view, _shown(view, _judge(view, notes.before_step(view, before))))
    return Plan(
        (
            WriteStatus(after),
            *events.told(before, after),
            *_permitted(view, after),
            *_wake(view, before, after),
        )
    )


def _before(observed: Observed) -> Status:
    return observed.execution.status or WorkflowExecutionStatus()


def _taken_over(status: Status) -> Status:
    if status.phase is not None:
        return status
    return status.model_copy(update={"phase": Phase.PENDING, "bucket": Bucket.RUNNING})


def _judge(view: View, before: Status) -> Status:
    """The steps in their order. A run that has ended still answers requests, in a pass of its own."""
    status = _taken_over(before)
    if status.phase is not None and status.phase.terminal:
        return commands.judge_request(view, status)
    for step in STEPS:
        status = step(view, status)
        if status.phase is not None and status.phase.terminal:
            break
    return status


def _shown(view: View, status: Status) -> Status:
    """The judged status with all that is derived from it."""
    status = with_conditions(view, with_flags(view, with_waiting(view, late.note(view, status))))
    generation = view.observed.execution.metadata.generation
    known = status.observed_generation
    return status.model_copy(update={"observed_generation": known if _unanswered(view, status) else generation})


def _unanswered(view: View, status: Status) -> bool:
    """Whether the spec holds a request that this status does not answer: the run ended in this very pass."""
    held = status.cancellation.observed if status.cancellation else None
    return view.spec.cancellation != held


def _permitted(view: View, status: Status) -> tuple[Action, ...]:
    creation = start.creation(view, status)
    return (*((creation,) if creation else ()), *delivery.deliver(view, status))


def _wake(view: View, before: Status, after: Status) -> tuple[WakeAt, ...]:
    moment = view.now + SOON if _unanswered(view, after) else next_wake(view, after)
    return (WakeAt(moment),) if moment else ()


def _wanted_pod(view: View, status: Status) -> WantedPod | None:
    process = current(status)
    if view.observed.live_pod or process is None or not status.run_id or not status.attempt:
        return None
    if not (_stop_meets_unseen_pod(view, status) or reports.wants_live_pod(view, status)):
        return None
    return WantedPod(process.pod, status.run_id, status.attempt, process.pod_uid)


def _stop_meets_unseen_pod(view: View, status: Status) -> bool:
    """Whether a stop is in force or due while the current attempt's pod was never seen."""
    if status.phase is None or status.phase.terminal or not view.never_seen(status):
        return False
    asked = view.spec.cancellation is not None and _unanswered(view, status)
    return asked or status.phase in delivery.STOP_PHASES or deadlines.deadline_due(view, status)
