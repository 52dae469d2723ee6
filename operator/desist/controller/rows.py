"""The table of kinds: what reconciles the objects of each, and what it works with.

Contract: everything is made here once, and nothing runs. Executions and operations share one reconciler's code; a row
says what is different about them. A new kind is a row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from desist.controller.apply import Applier
from desist.controller.ask import Asker, Own
from desist.controller.ask_operation import OperationQuestions
from desist.controller.ask_run import RunQuestions
from desist.controller.caches import Caches
from desist.controller.cluster import Cluster
from desist.controller.creates import Creates
from desist.controller.events import RecordEvent
from desist.controller.intake import Intake
from desist.controller.kinds import EXECUTION, OPERATION, WORKFLOW, Key, Managed, Table, table
from desist.controller.memory import Memory
from desist.controller.observe import Observer, OperationObserver, Seen, Sights
from desist.controller.operation_records import Ended, OperationRecord
from desist.controller.operation_urgency import OperationUrgency
from desist.controller.platform import Platform
from desist.controller.push import Push
from desist.controller.reading import ExecutionReads
from desist.controller.reconcile import Judged, Logic, Reconciler
from desist.controller.records import ExecutionRecord, Resting, WorkflowRecord
from desist.controller.reread import Rereader
from desist.controller.status import StatusWriter
from desist.controller.store import Store
from desist.controller.urgency import Urgency
from desist.controller.waking import Waking, bearing
from desist.controller.workflows import WorkflowReconciler
from desist.lifecycle.decide import accepted, accepted_operation, decide, decide_operation
from desist.lifecycle.observed.sight import Observed, ObservedOperation
from desist.lifecycle.operation.close import KEPT_FOR
from desist.lifecycle.run.rest import disturbed
from desist.lifecycle.stop.sweep import of_failed


def _nothing(_: Key) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What the reconcilers of all kinds work with."""

    cluster: Cluster
    creates: Creates
    sights: Sights
    waking: Waking
    push: Push
    record_event: RecordEvent
    clock: Callable[[], datetime]
    intake: Callable[[], Intake]
    """Told late: the intake needs the table."""
    leave: Callable[[Key], None] = _nothing
    """A reconcile goes on without a place of its own."""
    seconds: Callable[[], float] = time.monotonic
    """A clock that nobody sets."""

    @property
    def caches(self) -> Caches:
        """Pods and nodes."""
        return self.sights.caches

    @property
    def memory(self) -> Memory:
        """Last deeds."""
        return self.sights.memory

    @property
    def platform(self) -> Platform:
        """What the cluster can do."""
        return self.sights.platform


def all_kinds(means: Means) -> Table:
    """One row a kind."""
    workflows: Store[WorkflowRecord] = Store()
    executions, operations = means.waking.executions, means.waking.operations

    def waiting_for(workflow: WorkflowRecord) -> Iterator[Key]:
        metadata = workflow.metadata
        return (Key(EXECUTION.name, uid) for uid in executions.awaiting(metadata.namespace, metadata.name))

    judge = WorkflowReconciler(workflows, means.platform, means.cluster, means.creates, means.record_event, means.clock)
    of_runs, of_operations = execution_reconciler(means, workflows), operation_reconciler(means)
    return table(
        Managed(WORKFLOW, workflows, judge.reconcile, waiting=waiting_for),
        Managed(EXECUTION, executions, of_runs.reconcile, urgent=_urgency(means).of),
        Managed(OPERATION, operations, of_operations.reconcile, urgent=_operation_urgency(means).of),
    )


def execution_reconciler(means: Means, workflows: Store[WorkflowRecord]) -> Reconciler[ExecutionRecord, Observed]:
    """What reconciles executions."""
    caches, executions, operations = means.caches, means.waking.executions, means.waking.operations

    def rests_until(resting: Resting) -> datetime | None:
        seen, pods = operations.seen(resting.metadata), caches.of(resting)
        gone = caches.deleted(resting.metadata)
        late = sum(each.late and each.run_id == resting.run_id for each in seen)
        # It was swept a few at a time, and the last of its operations may have ended with it.
        known = late > resting.late or bool(of_failed(seen, pods))
        wanted = known or disturbed(pods, gone, resting.unproven_pod)
        return means.clock() if wanted else None

    logic = Logic(
        kind=EXECUTION,
        store=executions,
        is_whole=lambda record: isinstance(record, ExecutionRecord),
        assemble=Observer(means.sights, workflows, operations).assemble,
        decide=decide,
        accepted=accepted,
        awaits_stop=_urgency(means).awaits_stop,
        rests_until=rests_until,
    )
    own = RunQuestions(means.cluster, means.creates, caches, means.memory, operations, means.intake)
    return _reconciler(means, logic, own.answer)


def operation_reconciler(means: Means) -> Reconciler[OperationRecord, ObservedOperation]:
    """What reconciles operations."""
    caches, executions, operations = means.caches, means.waking.executions, means.waking.operations
    rereader = Rereader(EXECUTION, means.cluster, executions, caches)
    reads = ExecutionReads(means.cluster, executions, operations, rereader)

    def holds(observed: ObservedOperation) -> bool:
        execution = observed.execution
        known = executions.get(execution.metadata.uid) if execution is not None else None
        if execution is None or not isinstance(known, ExecutionRecord):
            return False
        return bearing(known.execution) == bearing(execution)

    def rests_until(ended: Ended) -> datetime | None:
        pods, gone = caches.of(ended), caches.deleted(ended.metadata, ended.owner.uid)
        if disturbed(pods, gone, ended.seen.unproven_pod):
            return means.clock()
        kept = any(pod.deletion_timestamp is None for pod in pods)
        return ended.seen.ended_at + KEPT_FOR if kept and not ended.seen.failed and ended.seen.ended_at else None

    logic = Logic(
        kind=OPERATION,
        store=operations,
        is_whole=lambda record: isinstance(record, OperationRecord),
        assemble=OperationObserver(means.sights, executions, operations).assemble,
        decide=decide_operation,
        accepted=accepted_operation,
        awaits_stop=_operation_urgency(means).awaits_stop,
        rests_until=rests_until,
        holds=holds,
        in_steps=True,
    )
    return _reconciler(means, logic, OperationQuestions(means.cluster, operations, reads).answer)


def _urgency(means: Means) -> Urgency:
    return Urgency(means.caches, means.memory, means.clock)


def _operation_urgency(means: Means) -> OperationUrgency:
    return OperationUrgency(means.waking.executions, means.caches, means.memory, means.clock)


def _reconciler(means: Means, logic: Logic[Judged, Seen], own: Own[Seen]) -> Reconciler[Judged, Seen]:
    cluster, caches, memory, clock = means.cluster, means.caches, means.memory, means.clock
    status = StatusWriter(logic.kind, cluster, means.record_event, clock, means.seconds, means.creates.interrupts)
    return Reconciler(
        logic=logic,
        caches=caches,
        memory=memory,
        asker=Asker(cluster, caches, memory, clock, own),
        applier=Applier(
            kind=logic.kind,
            cluster=cluster,
            status=status,
            creates=means.creates,
            memory=memory,
            push=means.push,
            record_event=means.record_event,
            clock=clock,
            leave=means.leave,
        ),
        rereader=Rereader(logic.kind, cluster, logic.store, caches),
        clock=clock,
    )
