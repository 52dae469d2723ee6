"""Begin: how an operation starts, and goes on to its next attempt.

Contract: five things in this order, without any of which a process could outlive its run's end (as an exhaustive search
shows): the execution is read after the operation was seen; so is the workflow pod that asks for it, which must not have
ended; the attempt is written under the version of the operation that was judged; the execution is looked at once more,
in the reconcile that follows; only then its pod is made. So the write of an attempt permits nothing in its own plan.
Why the workflow pod: a run that ends by itself is not marked as ending before its last write. Whatever its process had
asked for before its end was reported is in the LIST that this write waits for; what turns up later is not started.
Rejected: a write of the end before the LIST (one more write for each end of a run).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from desist.api.operation import MOST_OPERATIONS, WorkKind
from desist.api.status import OperationStatus
from desist.api.vocabulary import FailureCategory, Phase
from desist.lifecycle.observed.questions import Questions
from desist.lifecycle.operation import taken
from desist.lifecycle.operation.belong import Word, begun, word
from desist.lifecycle.operation.view import OperationView
from desist.lifecycle.pod import template
from desist.lifecycle.proof.end import Cause, End
from desist.lifecycle.run import attempts, closing
from desist.lifecycle.run.start import arguments_problem
from desist.lifecycle.run.treatment import Standing, Treatment, stands
from desist.lifecycle.view import Status, Step
from desist.lifecycle.wire import fields, termination

EARLIEST_AGE = timedelta(seconds=5)
"""An operation that was older when it was first seen has waited for the controller: of a timer, that counts."""


def advance(view: OperationView, status: Status) -> Step:
    """Step: begin it, or its next attempt, or let a timer end, where that is due."""
    if not view.startable or not status.at.unstopped or status.end_time is not None:
        return Step(status)
    if view.kind is WorkKind.LOCAL:
        return Step(_local(view, status))
    if not begun(status):
        return _begin(view, status) if view.treatment(status) is Treatment.GO_ON else Step(status)
    if isinstance(status, OperationStatus) and status.due_at is not None:
        return _timer(view, status)
    return _next(view, status)


def _begin(view: OperationView, status: Status) -> Step:
    said = word(view)
    if isinstance(said, Questions):
        return Step(status, asks=said)
    if said is not Word.CURRENT:
        return _unasked(view, status)
    if refused := _refused(view, status):
        return Step(closing.close(view, refused))
    seen = view.observed
    if not (seen.execution_read and seen.creator_read):
        return Step(status, asks=Questions(execution=not seen.execution_read, creator=not seen.creator_read))
    if seen.creator_uid != view.spec.created_by.pod_uid:
        return _unasked(view, status)
    accepted = status.replace(run_id=view.spec.run_id, accepted_at=view.now)
    if view.spec.timer is None:
        return Step(attempts.begin(view, accepted, 1))
    age = view.observed.age if view.observed.age > EARLIEST_AGE else timedelta(0)
    due = view.now - age + timedelta(milliseconds=view.spec.timer.delay_milliseconds)
    return Step(accepted.replace(due_at=due, start_time=view.now, phase=Phase.RUNNING), (due,))


def _unasked(view: OperationView, status: Status) -> Step:
    """Nobody who lives asks for it: the next attempt may, and where none follows it is closed, whatever its policy."""
    if view.run is None or stands(view.run) is not Standing.ENDED:
        return Step(status)
    if not view.observed.execution_read:
        return Step(status, asks=Questions(execution=True))
    return Step(taken.never_begun(view, status))


def _refused(view: OperationView, status: Status) -> Status | None:
    """The status of one that cannot begin; None: it can."""
    accepted = status.replace(run_id=view.spec.run_id)
    if view.observed.earlier >= MOST_OPERATIONS:
        words = f"a run has at most {MOST_OPERATIONS} operations; give each more work, or split the run"
        return closing.refuse(view, accepted, words, FailureCategory.TOO_MANY)
    problems = _problems(view, accepted)
    return closing.refuse(view, accepted, "; ".join(problems)) if problems else None


def _problems(view: OperationView, status: Status) -> Sequence[str]:
    if view.observed.too_large is not None:
        return [view.observed.too_large.message]
    if view.kind is WorkKind.TIMER:
        return []
    found = view.template(status)
    return [] if found is None else template.refusals(found.value, view.policy(status))


def _next(view: OperationView, status: Status) -> Step:
    """The next attempt where it is due, or what the pod of the current one needs to be made."""
    due = status.next_attempt_at
    if due is not None and due <= view.now and status.attempt is not None:
        if not view.observed.execution_read:
            return Step(status, asks=Questions(execution=True))
        return Step(attempts.begin(view, status, status.attempt + 1))
    status = attempts.bounded(view, status)
    if attempts.creates(view, status) and not view.observed.arguments_read:
        return Step(status, asks=Questions(arguments=True))
    if problem := arguments_problem(view.observed.arguments):
        return Step(closing.close(view, closing.refuse(view, status, problem)))
    return Step(status, (status.next_attempt_at,))


def _timer(view: OperationView, status: OperationStatus) -> Step:
    due = status.due_at
    if due is None or view.spec.timer is None:
        return Step(status)
    # What is further ahead than the delay is long was set by another clock.
    due = min(due, view.now + timedelta(milliseconds=view.spec.timer.delay_milliseconds))
    if due > view.now:
        return Step(status.replace(due_at=due), (due,))
    end = End(Cause.EXITED, says=Phase.SUCCEEDED, at=due)
    return Step(closing.close(view, closing.finish(view, status, Phase.SUCCEEDED, end)))


def _local(view: OperationView, status: Status) -> Status:
    """What the workflow process did itself, as it says."""
    accepted = status.replace(run_id=view.spec.run_id, accepted_at=view.now)
    if view.observed.too_large is not None or view.spec.local is None:
        message = view.observed.too_large.message if view.observed.too_large else ""
        return closing.close(view, closing.refuse(view, accepted, message, FailureCategory.RESULT_TOO_LARGE))
    try:
        said = termination.outcome_of(view.spec.local.outcome.value)
    except fields.Malformed as error:
        words = f"spec.local.outcome is not a valid outcome: {error}"
        return closing.close(view, closing.refuse(view, accepted, words, FailureCategory.APPLICATION))
    end = End(Cause.EXITED, says=said.phase, result=said.result, message=said.failure_message or "")
    return closing.close(view, closing.finish(view, accepted, said.phase, end))
