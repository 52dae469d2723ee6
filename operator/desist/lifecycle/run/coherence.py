"""Coherence: what is made of a status that does not hang together, before anything is judged by it.

Contract: pure and total; a status that the core itself has written comes back as it is. Whoever may write status (a
restore from a backup, an administrator with the policies off) may have put anything there that the schema allows.
Nothing of that may end a run whose processes live on, or begin it a second time beside them:
- while the run is open, what pods show wins over what status says of them;
- a run whose status was lost goes on with the pod that it has, and one that has operations has begun;
- numbers only rise, and stay within what can be stored.
What status alone remembers is believed: which pod is the current one (by its UID), since when it is missed, in which
boot of its node it started.
Rejected: refusing to go on (a run that nobody could stop), a checksum over status (other versions could not write it).
"""

from __future__ import annotations

from desist.api.records import CommandRecord
from desist.api.status import OperationStatus, ProcessStatus
from desist.api.vocabulary import COMPLETION, Phase, ProcessState
from desist.lifecycle.ids import LENGTH
from desist.lifecycle.observed.pods import ContainerPhase, PodView
from desist.lifecycle.proof.process import ended
from desist.lifecycle.run.start import Start, prepare
from desist.lifecycle.run.view import RunStatus, RunView
from desist.lifecycle.view import ROLES, Status, View, current, with_current

HIGHEST = 2**53 - 1
"""The highest number that all readers of JSON can tell from the next."""

UID_LENGTH = 36


def coherent(view: View, status: Status) -> Status:
    """The same status, as far as it hangs together."""
    status = _own(view, _numbered(status))
    row = status.at.row
    if (status.phase, status.bucket, status.closed_reason) != (status.at, row.bucket, row.closed_reason):
        status = status.replace(phase=status.at, bucket=row.bucket, closed_reason=row.closed_reason)
    return _running(view, _accepted(view, _begun(view, status))) if status.open else status


def _own(view: View, status: Status) -> Status:
    """Its own processes: in a run's list an operation's would be taken for the current one, and the other way round."""
    own = tuple(process for process in status.processes if process.role is view.role or process.role not in ROLES)
    return status if len(own) == len(status.processes) else status.replace(processes=own)


def _numbered(status: Status) -> Status:
    """Sequences below what the counts say, and all of them such that more can follow."""
    numbers = (status.attempt, status.disruptions, status.late_starts, status.command_count, status.history_count)
    sequences = [record.sequence for record in status.commands], [entry.seq for entry in status.history]
    rising = max(sequences[0], default=0) <= status.command_count, max(sequences[1], default=0) <= status.history_count
    if all(rising) and max(number or 0 for number in numbers) < HIGHEST:
        return status
    commands = tuple(record for record in status.commands if record.sequence < HIGHEST)
    history = tuple(entry for entry in status.history if entry.seq < HIGHEST)
    return status.replace(
        commands=commands,
        history=history,
        command_count=_count(status.command_count, [record.sequence for record in commands]),
        history_count=_count(status.history_count, [entry.seq for entry in history]),
        attempt=_at_most(status.attempt),
        disruptions=_at_most(status.disruptions),
        late_starts=_at_most(status.late_starts),
    )


def _count(said: int, numbers: list[int]) -> int:
    highest = max(numbers, default=0)
    return max(said, highest) if said < HIGHEST else highest


def _at_most(number: int | None) -> int | None:
    return number if number is None else min(number, HIGHEST - 1)


def _begun(view: View, status: Status) -> Status:
    """A run that has a process, or a pod, has begun: with its ids, and with its process in the list."""
    if isinstance(status, OperationStatus) and status.due_at is not None:
        if view.timed:
            return _ticking(view, status)
        status = status.replace(due_at=None)
    held = current(status)
    if held is not None and held.pod_uid is None and (held.node or held.boot_id):
        # Both are noted with the pod's UID: of which pod these are, nobody can tell.
        held = held.replace(node=None, boot_id=None)
        status = with_current(status, held)
    if status.run_id and status.attempt and held is not None and held.pod:
        return _with_spec(view, status)
    pod = _newest(view, status)
    run_id, attempt = _ids(view, status, held, pod)
    if not run_id or not attempt:
        return _not_begun(status)
    name = pod.name if pod else view.pod_name(run_id, attempt)
    uid = pod.uid if pod else None
    known = held or ProcessStatus(pod=name, pod_uid=uid, role=view.role, state=ProcessState.ALIVE, since=view.now)
    process = known if known.pod else known.replace(pod=name)
    return _with_spec(view, with_current(status.replace(run_id=run_id, attempt=attempt), process))


def _ticking(view: View, status: Status) -> Status:
    """A timer that has begun has neither attempt nor process, and a stop ends it at once."""
    began = status.replace(run_id=view.first_run_id(), phase=Phase.RUNNING, attempt=None, next_attempt_at=None)
    return began.replace(processes=(), end_time=None, failure=None)


def _accepted(view: View, status: Status) -> Status:
    """A run that has begun was accepted, at its first process's start at the latest; its deadline counts from there."""
    if status.attempt is None or status.accepted_at is not None:
        return status
    return status.replace(accepted_at=status.start_time or view.now)


def _ids(view: View, status: Status, held: ProcessStatus | None, pod: PodView | None) -> tuple[str | None, int | None]:
    """Run and attempt: what status says, else what the pod says, else new ones for what has begun all the same."""
    run_id, attempt = status.run_id or (pod.run_id if pod else None), status.attempt or (pod.attempt if pod else None)
    begun = held is not None or _has_operations(view, run_id)
    return (run_id or view.first_run_id(), attempt or 1) if begun else (run_id, attempt)


def _has_operations(view: View, run_id: str | None) -> bool:
    """Whether operations of that run have begun: so it has, whatever else is lost of it."""
    operations = view.observed.operations if isinstance(view, RunView) else ()
    return any(op.run_id == run_id and op.known and op.begun and not op.foreign for op in operations)


def _not_begun(status: Status) -> Status:
    """A stop of what has not begun ends it at once; so none is under way."""
    if status.at is Phase.PENDING and status.attempt is None:
        return status
    held = status.replace(phase=Phase.PENDING, attempt=None, next_attempt_at=None, start_time=None, end_time=None)
    return held.replace(cancellation=None, accepted_at=None)


def _newest(view: View, status: Status) -> PodView | None:
    """The pod of the run's latest attempt, as its labels say it."""
    made = view.observed.made
    pods = (p for p in view.observed.pods if p.launched or p.uid == made)
    ours = [p for p in pods if p.role is view.role and _plausible(p)]
    wanted = [p for p in ours if p.run_id == (status.run_id or p.run_id) and p.attempt == (status.attempt or p.attempt)]
    return max(wanted, key=lambda pod: (pod.run_id, pod.attempt), default=None)


def _plausible(pod: PodView) -> bool:
    return len(pod.run_id) == LENGTH and len(pod.uid) <= UID_LENGTH and 0 < pod.attempt < HIGHEST


def _with_spec(view: View, status: Status) -> Status:
    """What the run was started with is lost: what it would be started with now takes its place."""
    if not isinstance(view, RunView) or not isinstance(status, RunStatus) or status.workflow_spec is not None:
        return status
    prepared = prepare(view)
    if not isinstance(prepared, Start):
        return status
    return status.replace(workflow_spec=prepared.spec, arguments=prepared.arguments)


def _running(view: View, status: Status) -> Status:
    """The current process as its pod shows it, where status says that it, or its workflow, has ended."""
    held = current(status)
    process = view.process(status, held) if held else None
    if process is None:
        return status.replace(next_attempt_at=None) if status.next_attempt_at else status
    pod = process.present_pod
    if status.end_time is not None and pod is not None and not _workflow_over(pod):
        status = status.replace(end_time=None, failure=None, result=None, commands=_reopened(status.commands))
    if not process.closed:
        return status.replace(next_attempt_at=None) if status.next_attempt_at else status
    waits = isinstance(status, RunStatus) and status.operations is not None and status.end_time is not None
    if not waits and (status.next_attempt_at is None or status.end_time is not None):
        # Whoever closes a process ends the run, unless it waits for operations, or says when it goes on: this was not
        # closed here.
        lives = process.status.replace(state=ProcessState.ALIVE, reason=None, since=view.now)
        return with_current(status.replace(next_attempt_at=None), lives)
    return status


def _workflow_over(pod: PodView) -> bool:
    return ended(pod) or pod.workflow.phase is ContainerPhase.TERMINATED


def _reopened(records: tuple[CommandRecord, ...]) -> tuple[CommandRecord, ...]:
    """The commands of a process that had not ended before them."""
    return tuple(r.replace(superseded_by=None) if r.superseded_by == COMPLETION else r for r in records)
