"""Seen: what the reconcile of a run looks at of one operation.

Contract: a pure function of the object, small enough to be kept of every operation, also of those that have ended.
"""

from __future__ import annotations

from desist.api.operation import Operation, WorkKind
from desist.api.status import OperationStatus
from desist.api.vocabulary import FailureCategory, Phase, ProcessState
from desist.lifecycle.observed.sight import OperationSeen
from desist.lifecycle.operation.belong import begun, plainly_foreign
from desist.lifecycle.operation.view import FROM_RUN
from desist.lifecycle.run.rest import unproven_pod
from desist.lifecycle.view import current


def seen_of(operation: Operation) -> OperationSeen:
    """What its run sees of it."""
    status, spec = operation.status or OperationStatus(), operation.spec
    failure, force = status.failure, status.in_force
    return OperationSeen(
        uid=operation.metadata.uid,
        name=operation.metadata.name,
        key=spec.key,
        run_id=spec.run_id,
        kind=operation.kind,
        close_policy=spec.close_policy,
        phase=status.at,
        begun=begun(status) or operation.kind is WorkKind.LOCAL,
        known=operation.status is not None,
        started=_started(status),
        attempt=status.attempt or 0,
        foreign=plainly_foreign(spec, status)
        or (failure is not None and failure.category is FailureCategory.NOT_OF_THIS_RUN),
        late=bool(status.late),
        failed=status.at.terminal and status.at is not Phase.SUCCEEDED,
        command=force.id if force is not None and force.source in FROM_RUN else "",
        ended_at=status.end_time if status.at.terminal else None,
        unproven_pod=unproven_pod(status),
        proven_pod=_proven_pod(status),
        unconfirmed=() if status.at.terminal else status.unconfirmed,
        waits_for=status.waiting_on[0] if status.waiting_on else "",
    )


def _proven_pod(status: OperationStatus) -> str:
    held = current(status)
    by_node = held is not None and held.state is ProcessState.GONE and held.exit_code is None
    return (held.pod_uid or "") if held is not None and by_node and status.at.terminal else ""


def _started(status: OperationStatus) -> bool:
    """Whether the current attempt is known to run."""
    held = current(status)
    lives = status.open and status.end_time is None and status.next_attempt_at is None
    return lives and held is not None and status.start_time is not None and (bool(held.boot_id) or status.attempt == 1)
