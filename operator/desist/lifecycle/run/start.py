"""Start: how a run begins.

Contract: a run begins with the status write of its first attempt, after a dry-run create of its pod has passed; that
write holds what the run is started with. Until then nothing is kept: everything is read anew, and what is wrong is a
`Stall`.
"""

from __future__ import annotations

from dataclasses import dataclass

from desist.api.base import Opaque
from desist.api.conditions import StallReason
from desist.api.vocabulary import HistoryType, Phase
from desist.api.workflow import WorkflowSpec
from desist.lifecycle import history
from desist.lifecycle.observed.questions import Answer, Questions
from desist.lifecycle.pod import template
from desist.lifecycle.run import attempts
from desist.lifecycle.run.view import RunView, run_status
from desist.lifecycle.view import Status, Step
from desist.lifecycle.wire import fields


@dataclass(frozen=True, slots=True)
class Stall:
    """Why a run cannot begin."""

    reason: StallReason
    message: str


@dataclass(frozen=True, slots=True)
class Start:
    """What a run is started with."""

    spec: WorkflowSpec
    arguments: Opaque | None


def advance(view: RunView, status: Status) -> Step:
    """Step: begin the run, or its next attempt, where that is due."""
    if not view.startable or not status.at.unstopped:
        return Step(status)
    if status.attempt is None:
        return _begin(view, status)
    if status.next_attempt_at is not None and status.next_attempt_at <= view.now:
        return Step(attempts.begin(view, status, status.attempt + 1))
    status = attempts.bounded(view, status)
    return Step(status, (status.next_attempt_at,))


def prepare(view: RunView) -> Start | Stall:
    """What a run would be started with now, or why it cannot be."""
    too_large = view.observed.too_large
    if too_large is not None:
        return Stall(too_large.reason, too_large.message)
    spec = _spec(view)
    if isinstance(spec, Stall):
        return spec
    found = template.refusals(spec.template.value, spec.stop_policy)
    if found:
        return Stall(StallReason.TEMPLATE_REFUSED, "; ".join(found))
    problem = arguments_problem(view.spec.arguments)
    if problem:
        return Stall(StallReason.ARGUMENTS_REFUSED, problem)
    own = view.spec.active_deadline_seconds
    return Start(spec.replace(active_deadline_seconds=own) if own else spec, view.spec.arguments)


def stall(view: RunView, status: Status) -> Stall | None:
    """Why the run cannot begin now; None: it has begun, or only an answer is missing."""
    if _may_begin(view, status):
        prepared = prepare(view)
        return prepared if isinstance(prepared, Stall) else _dry_run_stall(view)
    if status.at is Phase.PENDING and attempts.create_refused(view, status):
        return Stall(StallReason.CREATE_REFUSED, attempts.refusal(view))
    return None


def _may_begin(view: RunView, status: Status) -> bool:
    """Whether the run has not begun, and nothing but itself keeps it from that."""
    return status.at is Phase.PENDING and status.attempt is None and view.startable


def _begin(view: RunView, status: Status) -> Step:
    start, answer = prepare(view), view.observed.dry_run
    if isinstance(start, Stall) or not _may_begin(view, status):
        return Step(status)
    if answer is None:
        return Step(status, asks=Questions(dry_run=True))
    if answer.answer is not Answer.PASSED:
        return Step(status, (view.now + attempts.wait(view, answer),))
    run_id = view.first_run_id()
    taken = run_status(status).replace(
        run_id=run_id, accepted_at=view.now, workflow_spec=start.spec, arguments=start.arguments
    )
    accepted = history.add(taken, HistoryType.START_ACCEPTED, view.now)
    return Step(attempts.begin(view, accepted, 1))


def _spec(view: RunView) -> WorkflowSpec | Stall:
    if view.spec.workflow_spec is not None:
        return view.spec.workflow_spec
    if view.observed.workflow is not None:
        return view.observed.workflow.spec
    name = view.spec.workflow_ref.name if view.spec.workflow_ref else ""
    return Stall(StallReason.WORKFLOW_NOT_FOUND, f"there is no Workflow {name!r} in this namespace")


def arguments_problem(arguments: Opaque | None) -> str | None:
    """What is wrong with arguments, in words; None: nothing is."""
    if arguments is None:
        return None
    value = arguments.value
    if not isinstance(value, dict):
        return "spec.arguments: must be a JSON object"
    if fields.too_deep(value):
        return f"spec.arguments: objects and lists may be nested at most {fields.NESTING} levels deep"
    return None


def _dry_run_stall(view: RunView) -> Stall | None:
    answer = view.observed.dry_run
    if answer is None or answer.answer is Answer.PASSED:
        return None
    invalid = answer.answer is Answer.INVALID
    reason = StallReason.TEMPLATE_INVALID if invalid else StallReason.CREATE_REFUSED
    return Stall(reason, f"the API server refuses the pod: {answer.message}")
