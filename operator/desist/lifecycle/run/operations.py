"""Operations of a run, as far as its own reconcile looks at them: what it waits for, counts, and tells.

Contract: an operation is closed in its own reconcile, under its own version. Here a run is only kept open while one is
that it must wait for, and closed once a consistent LIST, made in the same reconcile and after the workflow process had
ended, shows that none is. What the run leaves running on purpose it counts, and does not wait for. `treatment` says
which is which.
Whoever holds the token of the workflow's pod can ask for operations without end, also when that has ended. So a run
that is to close them waits only for what was there when its stop, or its end, was stored, and for what has begun.
Why the LIST alone would prove nothing: a create that is on its way may commit later. Such an operation is closed
without a pod, because only the controller makes pods, and its reconcile reads the run first.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from desist.api.execution import WorkflowExecution
from desist.api.operation import WorkKind
from desist.api.status import OperationCounts, UnconfirmedProcess
from desist.api.vocabulary import CommandOutcome, HistoryType, Mode, Phase
from desist.lifecycle import history
from desist.lifecycle.observed.pods import ContainerPhase, PodView
from desist.lifecycle.observed.questions import Questions
from desist.lifecycle.observed.sight import OperationSeen
from desist.lifecycle.proof.process import ended, never_starts
from desist.lifecycle.run import settle
from desist.lifecycle.run.treatment import ENDS, Situation, Standing, Treatment, forced, of_mode, reaping, stands, treat
from desist.lifecycle.run.view import RunStatus, RunView, run_status
from desist.lifecycle.view import Status, Step, once

OPEN = "which are open and which the run waits for"
PODS = "pods of operations, which have not ended"
NAMED = 3
"""How many operations a text names."""
UNCONFIRMED_AT_MOST = 12
"""Nodes that the list of unconfirmed processes names for operations."""


@once
def of_run(view: RunView, status: RunStatus) -> tuple[OperationSeen, ...]:
    """The run's operations: those that say so and are, and that did not turn up after its end."""
    found = view.observed.operations
    return tuple(op for op in found if op.run_id == status.run_id and not op.foreign and not op.late)


def awaited(view: RunView, status: RunStatus, standing: Standing) -> tuple[OperationSeen, ...]:
    """The open operations that a run which stands like that waits for."""
    return tuple(op for op, left in _open(view, status, standing) if not left)


def _awaits(view: RunView, status: RunStatus, standing: Standing) -> bool:
    return any(not left for _, left in _open(view, status, standing))


def left_over(view: RunView, status: RunStatus) -> tuple[OperationSeen, ...]:
    """The open operations that it leaves running."""
    return tuple(op for op, left in _open(view, status, stands(status)) if left)


def keeps(view: RunView, status: RunStatus) -> frozenset[Mode]:
    """The modes that leave something to be closed before the run can end, though it has no workflow process."""
    if status.run_id is None or not status.open:
        return frozenset()
    if status.end_time is not None:
        return frozenset(Mode)
    if not view.observed.operations:
        return frozenset()
    after = {mode: Standing.ENDED if mode is Mode.CANCEL else of_mode(status, mode) for mode in Mode}
    return frozenset(mode for mode, standing in after.items() if _awaits(view, status, standing))


def lingers(view: RunView, status: RunStatus) -> bool:
    """Whether the run's end is fixed, and operations keep it open."""
    return status.open and status.end_time is not None and _awaits(view, status, stands(status))


def close(view: RunView, status: Status) -> Step:
    """Step: the terminal phase, where neither a process nor an operation is left to wait for."""
    if not settle.closable(status):
        return Step(status)
    run = run_status(status)
    waits_for = _held_up_by(view, run, stands(run))
    if isinstance(waits_for, Questions):
        return Step(status, asks=waits_for)
    if waits_for:
        return Step(status)
    if not view.observed.operations_listed:
        return Step(status, asks=Questions(operations=True))
    if pods_left(view, run):
        return Step(status)
    return Step(settle.close(view, _told(view, run, "")))


def reap(view: RunView, status: Status) -> Step:
    """Step: the Kill of an ended run has ended all that was left running."""
    run = run_status(status)
    record = run.last_accepted
    if not reaping(run) or record is None or awaited(view, run, Standing.KILL):
        return Step(status)
    if not view.observed.operations_listed:
        return Step(status, asks=Questions(operations=True))
    if pods_left(view, run):
        return Step(status)
    reaped = record.replace(outcome=CommandOutcome.REAPED)
    commands = tuple(reaped if r is record else r for r in run.commands)
    return Step(_told(view, run.replace(commands=commands), record.id))


def end_is_stored(execution: WorkflowExecution, run_id: str | None) -> bool:
    """Whether all who read the execution from now on see a stop, or the end, of that run: nothing new begins then."""
    stored = execution.status
    return stored is not None and stored.run_id == run_id and stands(stored) is not Standing.OPEN


def _held_up_by(view: RunView, status: RunStatus, standing: Standing) -> tuple[OperationSeen, ...] | Questions:
    """What it waits for, or what must be known first.

    What this closes before it begins, and was created after the run's end was stored, is closed by its own reconcile.
    """
    open_ = awaited(view, status, standing)
    if all(op.begun for op in open_) or not end_is_stored(view.observed.execution, status.run_id):
        return open_
    listed = view.observed.listed_at_end
    if listed is None:
        return open_ if view.observed.operations_listed else Questions(operations=True)
    return tuple(op for op in open_ if op.begun or op.uid in listed or not _closes(op, standing))


def _closes(op: OperationSeen, standing: Standing) -> bool:
    return treat(standing, op.close_policy, situation(op, started=False)) in ENDS


def pods_left(view: RunView, status: RunStatus) -> tuple[PodView, ...]:
    """Pods of operations that may run, beside those of operations that are left over."""
    left = {op.uid for op in left_over(view, status)}
    others = {op.uid for op in view.observed.operations if op.foreign or op.run_id != status.run_id}
    closed = {uid for op in view.observed.operations for uid in (op.unproven_pod, op.proven_pod)}
    pods = (pod for pod in view.observed.operation_pods if pod.operation not in left | others)
    return tuple(pod for pod in pods if not (ended(pod) or never_starts(pod)) and pod.uid not in closed)


def counted(view: RunView, status: RunStatus) -> RunStatus:
    """The status with its operations counted."""
    mine = tuple(op for op in of_run(view, status) if op.known)
    late = sum(1 for op in view.observed.operations if op.late and op.run_id == status.run_id)
    # Once its end is fixed, that it has operations at all, or pods of some, says why it is open (coherence).
    waits = status.end_time is not None and bool(of_run(view, status) or pods_left(view, status))
    if not mine and not late and not waits and status.operations is None:
        return status
    left = len(left_over(view, status))
    open_ = sum(1 for op in mine if not op.phase.terminal)
    before = status.operations or OperationCounts()
    return status.replace(
        operations=OperationCounts(open=open_ - left, left_over=left, late=max(late, before.late)),
        unconfirmed=(*(e for e in status.unconfirmed if e.count is None), *_unconfirmed(mine)),
    )


def waits(view: RunView, shown: Status) -> Iterator[str]:
    """For which operations the run waits, in words; nothing while its workflow process goes on."""
    status = run_status(shown)
    if not settle.closable(status):
        return
    open_ = awaited(view, status, stands(status))
    if open_:
        names = ", ".join(op.key for op in open_[:NAMED])
        more = f" and {len(open_) - NAMED} more" if len(open_) > NAMED else ""
        why = next((f": {op.key} waits for {op.waits_for}" for op in open_ if op.waits_for), "")
        yield f"{len(open_)} operations, {OPEN}; a Kill ends them: {names}{more}{why}"
    elif pods := pods_left(view, status):
        names = ", ".join(pod.name for pod in pods[:NAMED])
        yield f"{len(pods)} {PODS}: {names}"


def situation(op: OperationSeen, *, started: bool) -> Situation:
    """Where an operation is, as far as its run sees."""
    if op.kind is WorkKind.TIMER:
        return Situation.TIMER
    if not op.begun:
        return Situation.NOT_BEGUN
    return Situation.RUNS if started else Situation.UNSTARTED


def _open(view: RunView, status: RunStatus, standing: Standing) -> Iterator[tuple[OperationSeen, bool]]:
    """The open operations, each with whether a run that stands like that leaves it running."""
    runs = _running(view)
    for op in of_run(view, status):
        if not op.phase.terminal:
            yield op, _left(status, op, standing, started=op.started or (op.uid, op.attempt) in runs)


def _left(status: RunStatus, op: OperationSeen, standing: Standing, *, started: bool) -> bool:
    if op.kind is WorkKind.LOCAL or (standing is Standing.CLOSED and forced(status) and not started):
        return False
    return treat(standing, op.close_policy, situation(op, started=started)) is Treatment.LEAVE


@once
def _running(view: RunView) -> frozenset[tuple[str, int]]:
    """Operations, by UID and attempt, whose pod shows what their status cannot: that a second attempt has started.

    Status tells that by a boot ID, if the node has one. What was told to stop is stopped, started or not.
    """
    pods = view.observed.operation_pods
    running = (pod for pod in pods if pod.workflow.phase is ContainerPhase.RUNNING and not pod.mailbox)
    return frozenset((pod.operation, pod.attempt) for pod in running)


def _told(view: RunView, status: RunStatus, command: str) -> RunStatus:
    """The status with an entry for each operation that was closed by a stop or the end of the run, or by `command`."""
    closed = [op for op in of_run(view, status) if op.phase is Phase.CANCELLED and op.command and op.ended_at]
    wanted = [op for op in closed if command in ("", op.command)]
    for op in sorted(wanted, key=lambda op: (op.ended_at, op.key)):
        kind = HistoryType.TIMER_CANCELLED if op.kind is WorkKind.TIMER else HistoryType.OPERATION_CANCELLED
        status = history.add(status, kind, op.ended_at or view.now, (op.command, None), operation=op.key)
    return status


def _unconfirmed(operations: tuple[OperationSeen, ...]) -> tuple[UnconfirmedProcess, ...]:
    """One entry for a node and a reason, with the number of processes that it stands for."""
    entries = sorted(
        (entry for op in operations if not op.phase.terminal for entry in op.unconfirmed),
        key=lambda entry: (entry.node or "", entry.reason, entry.since, entry.pod),
    )
    groups = [list(group) for _, group in groupby(entries, key=lambda entry: (entry.node, entry.reason))]
    return tuple(group[0].replace(count=len(group)) for group in groups[:UNCONFIRMED_AT_MOST])
