"""Start: how a run begins, and how an attempt follows another.

Contract: a run begins with the status write of its first attempt, after a dry-run create of its pod has passed; that
write holds what the run is started with. Until then nothing is kept: everything is read anew, and what is wrong is a
`Stall`. A pod is created only after its attempt is in status, and only while nothing stops the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from desist.api.base import Opaque
from desist.api.status import ProcessStatus
from desist.api.vocabulary import HistoryType, Phase, ProcessState
from desist.api.workflow import WorkflowSpec
from desist.lifecycle import history
from desist.lifecycle.ids import ulid
from desist.lifecycle.observed import Answer
from desist.lifecycle.plan import CreatePod
from desist.lifecycle.pod import template
from desist.lifecycle.pod.manifest import pod_manifest
from desist.lifecycle.view import Status, View, with_current
from desist.lifecycle.wire import fields

ARGUMENTS_LIMIT = 32 * 1024
UNSTOPPED = (Phase.PENDING, Phase.RUNNING)


@dataclass(frozen=True, slots=True)
class Stall:
    """Why a run cannot begin."""

    reason: str
    """One word for programs."""
    message: str


@dataclass(frozen=True, slots=True)
class Start:
    """What a run is started with."""

    spec: WorkflowSpec
    arguments: Opaque | None


def prepare(view: View) -> Start | Stall:
    """What a run would be started with now, or why it cannot be."""
    spec = _spec(view)
    if isinstance(spec, Stall):
        return spec
    found = template.refusals(spec.template.value)
    if found:
        return Stall("TemplateRefused", "; ".join(found))
    problem = _arguments_problem(view.spec.arguments)
    if problem:
        return Stall("ArgumentsRefused", problem)
    own = view.spec.active_deadline_seconds
    return Start(spec.model_copy(update={"active_deadline_seconds": own}) if own else spec, view.spec.arguments)


def may_begin(view: View, status: Status) -> bool:
    """Whether the run has not begun, and nothing but itself keeps it from that."""
    return status.phase is Phase.PENDING and status.attempt is None and view.startable


def wants_trial(view: View, status: Status) -> bool:
    """Whether the first pod is to be tried now."""
    return may_begin(view, status) and isinstance(prepare(view), Start)


def trial_manifest(view: View) -> Opaque | None:
    """The pod for the dry-run create; None: there is nothing to try."""
    start = prepare(view)
    return None if isinstance(start, Stall) else _manifest(view, start, _run_id(view), 1)


def stall(view: View, status: Status) -> Stall | None:
    """Why the run cannot begin now; None: it has begun, or only an answer is missing."""
    if may_begin(view, status):
        prepared = prepare(view)
        return prepared if isinstance(prepared, Stall) else _trial_stall(view)
    if status.phase is Phase.PENDING and create_refused(view, status):
        return Stall("CreateRefused", refusal(view))
    return None


def create_refused(view: View, status: Status) -> bool:
    """Whether the API server refuses the current attempt's pod for a reason that may pass."""
    created = view.observed.created
    waiting = status.phase in UNSTOPPED and view.never_seen(status) and status.next_attempt_at is None
    return waiting and created is not None and created.answer is Answer.REFUSED


def refusal(view: View) -> str:
    """What the API server said to the last create, in words."""
    created = view.observed.created
    return f"the API server refuses the pod: {created.message}" if created else ""


def advance(view: View, status: Status) -> Status:
    """Step: begin the run, or its next attempt, where that is due."""
    if not view.startable or status.phase not in UNSTOPPED:
        return status
    if status.attempt is None:
        return _begin(view, status)
    if status.next_attempt_at is not None and status.next_attempt_at <= view.now:
        return _attempt(view, status, status.attempt + 1)
    return status


def creation(view: View, status: Status) -> CreatePod | None:
    """The pod that the status asks for and that was never seen."""
    unwanted = not view.startable or status.phase not in UNSTOPPED or status.next_attempt_at is not None
    if unwanted or not view.never_seen(status) or status.run_id is None or not status.attempt:
        return None
    created = view.observed.created
    early = created is not None and created.at is not None and created.at + _wait(view) > view.now
    if status.workflow_spec is None or (early and create_refused(view, status)):
        return None
    manifest = _manifest(view, Start(status.workflow_spec, status.arguments), status.run_id, status.attempt)
    return CreatePod(view.pod_name(status.run_id, status.attempt), manifest)


def retry_at(view: View, status: Status) -> datetime | None:
    """When a start that was refused is tried again; None: none was, or no pod was tried.

    Also where the API server calls the pod invalid: a policy or webhook says so too, and nothing tells of its change.
    """
    trial, created = view.observed.trial, view.observed.created
    if create_refused(view, status) and created is not None:
        return (created.at or view.now) + _wait(view)
    if not may_begin(view, status) or trial is None or trial.answer is Answer.PASSED:
        return None
    invalid = timedelta(seconds=view.settings.retry_invalid_after)
    return view.now + (invalid if trial.answer is Answer.INVALID else _wait(view))


def _wait(view: View) -> timedelta:
    return timedelta(seconds=view.settings.retry_after)


def _begin(view: View, status: Status) -> Status:
    trial = view.observed.trial
    start = prepare(view)
    if isinstance(start, Stall) or trial is None or trial.answer is not Answer.PASSED:
        return status
    update = {"run_id": _run_id(view), "workflow_spec": start.spec, "arguments": start.arguments}
    accepted = history.add(status.model_copy(update=update), HistoryType.START_ACCEPTED, view.now)
    return _attempt(view, accepted, 1)


def _attempt(view: View, status: Status, attempt: int) -> Status:
    process = ProcessStatus(
        pod=view.pod_name(status.run_id or "", attempt),
        state=ProcessState.ALIVE,
        since=view.now,
    )
    begun = status.model_copy(update={"attempt": attempt, "next_attempt_at": None})
    return with_current(begun, process)


def _spec(view: View) -> WorkflowSpec | Stall:
    if view.spec.workflow_spec is not None:
        return view.spec.workflow_spec
    if view.observed.workflow is not None:
        return view.observed.workflow.spec
    name = view.spec.workflow_ref.name if view.spec.workflow_ref else ""
    return Stall("WorkflowNotFound", f"there is no Workflow {name!r} in this namespace")


def _arguments_problem(arguments: Opaque | None) -> str | None:
    if arguments is None:
        return None
    size = len(arguments.text.encode())
    if size > ARGUMENTS_LIMIT:
        return f"spec.arguments: {size} bytes of JSON are more than the {ARGUMENTS_LIMIT} that are allowed"
    value = arguments.value
    if not isinstance(value, dict):
        return "spec.arguments: must be a JSON object"
    if fields.too_deep(value):
        return f"spec.arguments: objects and lists may be nested at most {fields.NESTING} levels deep"
    return None


def _trial_stall(view: View) -> Stall | None:
    trial = view.observed.trial
    if trial is None or trial.answer is Answer.PASSED:
        return None
    reason = "TemplateInvalid" if trial.answer is Answer.INVALID else "CreateRefused"
    return Stall(reason, f"the API server refuses the pod: {trial.message}")


def _run_id(view: View) -> str:
    return ulid(view.now, view.uid, "run/1")


def _manifest(view: View, start: Start, run_id: str, attempt: int) -> Opaque:
    return pod_manifest(view.observed.execution, start.spec, start.arguments, run_id, attempt, view.settings)
