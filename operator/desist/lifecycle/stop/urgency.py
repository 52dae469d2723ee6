"""Urgency: which executions overtake others in the queue.

Contract: asked at each wake, from memory alone. What waits for a stop is decided from what may be stale, rather than
later. Everything in a stopping phase (deadlines, escalations, the backstop, the recognition of an end) and whatever
ends a run is urgent too: no start may hold it up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from desist.api.execution import WorkflowExecution
from desist.api.operation import Operation
from desist.api.status import OperationStatus, Stoppable, WorkflowExecutionStatus
from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.proof.process import ended, reported_end
from desist.lifecycle.stop.commands import unanswered
from desist.lifecycle.view import current
from desist.lifecycle.wire import mailbox


def urgent_operation(
    operation: Operation, execution: WorkflowExecution | None, pods: Iterable[PodView], now: datetime
) -> bool:
    """Whether an operation overtakes what starts and goes on: it is stopped, or its run is, or has ended, or it has."""
    status = operation.status or OperationStatus()
    if not status.open:
        return False
    request = operation.spec.cancellation
    if status.at.stopping or (request is not None and unanswered(request, status)):
        return True
    run = execution.status if execution is not None else None
    if run is not None and (run.at.stopping or not run.open or run.end_time is not None):
        return True
    if any(_is_current(status, pod) and (ended(pod) or reported_end(pod.workflow)) for pod in pods):
        return True
    return _past(status, operation.spec.active_deadline_seconds, now)


def awaits_stop(execution: WorkflowExecution, pods: Iterable[PodView], posted: str = "") -> bool:
    """Whether a stop of the open run was not judged, or was judged and not posted.

    `posted` is what this process has posted last, as the mailbox's text: status tells of a posting with its next write
    only, which may be the run's last, and the pod's own mailbox after a restart. In a pod that is being deleted there
    is nothing to be posted.
    """
    status = execution.status or WorkflowExecutionStatus()
    if not status.open:
        return False
    request = execution.spec.cancellation
    if request is not None and unanswered(request, status):
        return True
    command = _unposted(status)
    mine = [pod for pod in pods if _is_current(status, pod)]
    if command is None or any(pod.deletion_timestamp is not None for pod in mine):
        return False
    texts = [*(pod.mailbox for pod in mine), posted]
    return command not in [stop.command_id for text in texts if (stop := mailbox.parse(text)) is not None]


def urgent(execution: WorkflowExecution, pods: Iterable[PodView], now: datetime) -> bool:
    """Whether the execution overtakes those that start and go on."""
    status = execution.status or WorkflowExecutionStatus()
    if not status.open:
        return False
    request = execution.spec.cancellation
    if status.at.stopping or (request is not None and unanswered(request, status)):
        return True
    ends = [pod for pod in pods if _is_current(status, pod) and (ended(pod) or reported_end(pod.workflow))]
    return bool(ends) or _past_deadline(status, now)


def _past_deadline(status: WorkflowExecutionStatus, now: datetime) -> bool:
    return _past(status, status.workflow_spec.active_deadline_seconds if status.workflow_spec else None, now)


def _past(status: Stoppable, seconds: int | None, now: datetime) -> bool:
    accepted = status.accepted_at
    return seconds is not None and accepted is not None and (now - accepted).total_seconds() >= seconds


def _unposted(status: Stoppable) -> str | None:
    """Id of the command in force, while status does not say yet that it was posted."""
    force = status.in_force
    return force.id if force is not None and force.applied_at is None else None


def _is_current(status: Stoppable, pod: PodView) -> bool:
    process = current(status)
    return process is not None and pod.name == process.pod and process.pod_uid in (None, pod.uid)
