"""Reports: the first step of a reconcile, what pods and nodes say about the current attempt.

Contract: it brings `processes` and `unconfirmed` up to date, notes the run's first process, and lets `settle` take an
end for what it is. It comes before all commands: an end that was reported before counts as such. Where a live answer
would change what is known, it asks for that and changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from desist.api.status import ProcessStatus
from desist.api.vocabulary import Phase, ProcessReason, ProcessState
from desist.lifecycle import history
from desist.lifecycle.observed.pods import ContainerPhase, PodView
from desist.lifecycle.observed.questions import Answer, Questions
from desist.lifecycle.proof.cause import reason_of
from desist.lifecycle.proof.evidence import exit_signal
from desist.lifecycle.proof.process import CLOSED, Process, ended, reported_end
from desist.lifecycle.proof.verdict import may_start, needs_live_node, needs_live_pod, next_change, verdict
from desist.lifecycle.run.attempts import create_refused, refusal, wanted_pod
from desist.lifecycle.run.closing import never_created, refuse
from desist.lifecycle.run.settle import settle
from desist.lifecycle.run.unconfirmed import unkillable_at, with_open_entries
from desist.lifecycle.view import Status, Step, View, current, with_current
from desist.lifecycle.wire import termination


def report(view: View, status: Status) -> Step:
    """Step: what pods and nodes report."""
    held = current(status)
    if held is None or not status.open:
        return Step(status)
    process = view.process(status, held)
    if process.closed:
        return _closed(view, status, process)
    if process.never_seen:
        return _without_pod(view, status, process)
    process = _seen(view, status, process)
    if asks := _questions(view, status, process):
        return Step(status, asks=asks)
    judged = view.process(status, _judged(process, view.accepted_ids(status), view.now))
    status = _started(view, with_current(status, judged.status), judged)
    return Step(settle(view, with_open_entries(status, judged, view.now)), _again(view, judged))


def report_late(view: View, status: Status) -> Step:
    """Step of what has ended: a process that was closed without proof has ended after all.

    It is proven now, and that is all that is taken over: what it reports came too late.
    """
    process = view.current(status)
    if process is None or process.status.state is not ProcessState.UNPROVEN:
        return Step(status)
    pod = process.pod
    if status.open or pod is None or not (ended(pod) and process.reported):
        return Step(status)
    code, signal = pod.workflow.exit_code, exit_signal(pod.workflow)
    over = process.status.replace(state=ProcessState.GONE, reason=ProcessReason.ENDED_LATE, since=view.now)
    return Step(with_current(status, over.replace(exit_code=code, signal=signal)))


def _closed(view: View, status: Status, process: Process) -> Step:
    """A process that was closed stays so, unless its pod is there and says otherwise."""
    if process.present_pod is None or ended(process.present_pod):
        return Step(status)
    seen = _seen(view, status, process)
    if asks := _questions(view, status, seen):
        return Step(status, asks=asks)
    if verdict(seen, view.now) in CLOSED:
        return Step(status)
    lives = process.status.replace(state=ProcessState.ALIVE, reason=None, since=view.now)
    return report(view, with_current(status.replace(next_attempt_at=None), lives))


def _again(view: View, process: Process) -> tuple[datetime | None, ...]:
    look = view.now + timedelta(seconds=view.settings.look_again_after) if process.unwatched else None
    return (next_change(process, view.now), unkillable_at(process), look)


def _questions(view: View, status: Status, process: Process) -> Questions | None:
    """A pod that is missed is asked for live, and a node whose word would be taken."""
    if needs_live_pod(process, view.now):
        return Questions(live_pod=wanted_pod(status, process))
    node = process.status.node
    wanted = bool(node) and (_notes_boot(process) or needs_live_node(process, view.now))
    return Questions(live_nodes=(node,)) if node and wanted else None


def _without_pod(view: View, status: Status, process: Process) -> Step:
    """The pod was never seen: it is not created yet, or was refused, or came and went unseen, or no watch shows it.

    An event would tell of none of these, so it is looked for some time after its create; a stop looks at once. A create
    that is refused for good ends the run only where a GET then finds no pod: another controller may have made it.
    """
    refused, stopped = _refused_for_good(view), not status.at.unstopped
    if process.absent and (refused or stopped):
        never = with_current(status, never_created(view, process.status))
        return Step(settle(view, never) if stopped else refuse(view, never, refusal(view)))
    patience = timedelta(seconds=view.settings.look_again_after)
    if not process.pod_live and (refused or stopped or process.status.since + patience <= view.now):
        return Step(status, asks=Questions(live_pod=wanted_pod(status, process)))
    return Step(status, (None if create_refused(view, status) else view.now + patience,))


def _refused_for_good(view: View) -> bool:
    created = view.observed.created
    return created is not None and created.answer is Answer.INVALID


def _seen(view: View, status: Status, process: Process) -> Process:
    """The process as its pod shows it."""
    pod = process.pod
    if pod is None:
        return process
    seen = process.status.replace(
        pod_uid=pod.uid,
        # A pod that is there says where it is; of one that is gone, status may know more than its last state.
        node=pod.node or (None if process.present else process.status.node),
        exit_code=pod.workflow.exit_code if process.reported else None,
        signal=exit_signal(pod.workflow) if process.reported else None,
    )
    process = view.process(status, seen)
    return view.process(status, seen.replace(boot_id=_boot_id(process)))


def _boot_id(e: Process) -> str | None:
    """The boot in which the process runs; empty until it is known to have started (or never to start).

    One that was noted before that, or that a cache remembers, proves nothing: the node may have booted since, and the
    container have started then, both unseen.
    """
    if e.node is None:
        return e.status.boot_id
    if may_start(e):
        return ""
    return e.status.boot_id or (e.node.boot_id if e.node_live else "")


def _notes_boot(e: Process) -> bool:
    """Whether a live node's boot ID would be noted. Of a node that is known to have none it is not asked."""
    runs = e.pod is not None and not may_start(e) and not ended(e.pod)
    return runs and not e.status.boot_id and not e.node_live and (e.node is None or bool(e.node.boot_id))


def _judged(process: Process, accepted: frozenset[str], now: datetime) -> ProcessStatus:
    held, state = process.status, verdict(process, now)
    reason = _reason(process, state, accepted)
    missed = (reason == ProcessReason.MISSED, held.reason == ProcessReason.MISSED)
    same = state is held.state and missed[0] == missed[1]
    since = held.since if same or all(missed) else now
    return held.replace(state=state, reason=reason, since=since)


def _reason(process: Process, state: ProcessState, accepted: frozenset[str]) -> str | None:
    if state in (ProcessState.ALIVE, ProcessState.UNCONFIRMED) and not process.present:
        return ProcessReason.MISSED
    word = reason_of(process, state, accepted)
    return word[:128] if word else None


def _started(view: View, status: Status, process: Process) -> Status:
    """Note the run's first process."""
    pod = process.pod
    if pod is None or status.start_time is not None or not _has_started(pod, stopping=status.at.stopping):
        return status
    started = _start_time(pod, view.now)
    running = Phase.RUNNING if status.at is Phase.PENDING else status.phase
    begun = status.replace(start_time=started, phase=running)
    return history.add(begun, view.started, view.now)


def _start_time(pod: PodView, now: datetime) -> datetime:
    """By the node's clock, but no earlier than the pod was made, and no later than it was first seen to run."""
    said = pod.workflow.started_at or now
    return min(max(said, pod.created_at or said), now)


def _has_started(pod: PodView, *, stopping: bool) -> bool:
    """Whether the workflow process has run.

    A launcher that finds a stop when it starts never starts the command; so while a stop is in the mailbox a running
    container proves nothing, but its receipt does, once it has ended.
    """
    workflow = pod.workflow
    if workflow.phase is ContainerPhase.RUNNING:
        return not (stopping and pod.mailbox)
    if not reported_end(workflow) or workflow.started_at is None:
        return False
    receipt = termination.parse(workflow.message).receipt
    return receipt is None or receipt.started
