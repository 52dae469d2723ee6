"""Sweep: the ended pods of attempts that were run again, of which only the last few stay.

Contract: pods that ended are there for their logs, until the execution is deleted. But a node that rejects each pod, or
a program that breaks its pod's limits, would leave hundreds, and from 12,500 of them on the cluster's pod garbage
collector deletes anybody's. So of the current run's earlier attempts the last `KEPT` stay. The current attempt's pod,
late starts, and pods that have not ended are never touched here.
Rejected: to count on the pod garbage collector (it takes the oldest first, whoever's they are).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from desist.api.status import WorkflowExecutionStatus
from desist.lifecycle.graces import SHORTEST_DELETE
from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.observed.questions import PodCall, Refusal
from desist.lifecycle.observed.sight import OperationSeen
from desist.lifecycle.plan import DeletePod
from desist.lifecycle.proof.process import ended
from desist.lifecycle.run.treatment import Standing, stands
from desist.lifecycle.run.view import RunView
from desist.lifecycle.stop import backoff
from desist.lifecycle.stop.delivery import Delivery
from desist.lifecycle.view import Status, View

KEPT = 3
KEPT_FAILED = 20
"""Operations of a run, as long as they did not succeed."""
SOON = timedelta(seconds=1)
AT_ONCE = 8
"""No more in one reconcile: nothing hurries."""


def sweep(view: View, status: Status) -> Delivery:
    """The pods to delete now, and when to look again."""
    return unneeded(view, _surplus(view, status))


def of_operations(view: RunView, status: Status) -> Delivery:
    """Of a run's operations that did not succeed: the ended pods of all but the last."""
    if not view.startable:
        return Delivery()
    surplus = unneeded(view, of_failed(view.observed.operations, view.observed.operation_pods))
    again = (view.now + SOON,) if len(surplus.deeds) == AT_ONCE else ()
    orphans = _orphans(view, status)
    # What may still run comes first: a DELETE that is refused ends the plan.
    return Delivery((*orphans.deeds, *surplus.deeds), (*orphans.again, *surplus.again, *again))


def of_failed(operations: Iterable[OperationSeen], pods: Iterable[PodView]) -> list[PodView]:
    """The ended pods of operations that did not succeed, without those of the last and those that are being deleted."""
    failed = [op for op in operations if op.failed and op.ended_at is not None]
    newest = sorted(failed, key=lambda op: (op.ended_at, op.uid))[-KEPT_FAILED:]
    known = {op.uid for op in failed} - {op.uid for op in newest}
    return [pod for pod in pods if pod.operation in known and pod.deletion_timestamp is None and ended(pod)]


def unneeded(view: View, pods: Iterable[PodView]) -> Delivery:
    """The DELETEs of ended pods that nobody needs, the first few, and when those that were refused are tried again."""
    left = [pod for pod in pods if pod.deletion_timestamp is None]
    waits = {pod.uid: _stuck(view, pod) for pod in left}
    due = [pod for pod in left if backoff.due(waits[pod.uid], view.now)][:AT_ONCE]
    return Delivery(
        tuple(DeletePod(pod.name, pod.uid, None) for pod in due),
        tuple(backoff.until(refusal) for refusal in waits.values()),
    )


def _orphans(view: RunView, status: Status) -> Delivery:
    """The pods of operations that are not there any more, where all of the run's are to end: no one else stops them."""
    if not isinstance(status, WorkflowExecutionStatus) or not view.observed.operations_listed:
        return Delivery()
    if stands(status) not in (Standing.KILL, Standing.TERMINATE):
        return Delivery()
    known = {op.uid for op in view.observed.operations}
    living = [pod for pod in view.observed.operation_pods if pod.operation not in known and not ended(pod)]
    pods = [pod for pod in living if pod.deletion_timestamp is None]
    waits = {pod.uid: _stuck(view, pod) for pod in pods}
    due = (pod for pod in pods if backoff.due(waits[pod.uid], view.now))
    deeds = tuple(DeletePod(pod.name, pod.uid, SHORTEST_DELETE) for pod in due)
    return Delivery(deeds, tuple(backoff.until(refusal) for refusal in waits.values()))


def _surplus(view: View, status: Status) -> list[PodView]:
    """The oldest first."""
    if not view.startable:
        return []  # The garbage collector has them all.
    earlier = sorted((pod for pod in view.observed.pods if _run_again(view, status, pod)), key=lambda pod: pod.attempt)
    return earlier[:-KEPT]


def _run_again(view: View, status: Status, pod: PodView) -> bool:
    """Whether it is the ended pod of an attempt that another followed."""
    if pod.role is not view.role or pod.run_id != status.run_id or status.attempt is None:
        return False
    return pod.attempt < status.attempt and ended(pod)


def _stuck(view: View, pod: PodView) -> Refusal | None:
    refusals = (r for r in view.observed.refusals if r.pod_uid == pod.uid and r.call is PodCall.DELETE)
    return next(refusals, None)
