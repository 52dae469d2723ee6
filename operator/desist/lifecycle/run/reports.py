"""Reports: the first step of a pass, what pods and nodes say about the current attempt.

Contract: it brings `processes` and `unconfirmed` up to date, notes the run's first process, notes an end of the
workflow process when it is first reported, and closes the run, or puts the attempt aside, once `verdict` says that
no process is left. It comes before all commands: an end that was reported before counts as such.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from desist.api.status import ProcessStatus, UnconfirmedProcess
from desist.api.vocabulary import HistoryType, Phase, ProcessState
from desist.lifecycle import history
from desist.lifecycle.observed import Answer, ContainerPhase, PodView
from desist.lifecycle.pod.template import LONGEST_GRACE
from desist.lifecycle.proof.cause import end_of, exit_signal, remark
from desist.lifecycle.proof.end import Cause, End
from desist.lifecycle.proof.verdict import (
    CLOSED,
    FORGOTTEN,
    MISSED,
    Evidence,
    ended,
    may_start,
    needs_live_node,
    needs_live_pod,
    reported_end,
    verdict,
)
from desist.lifecycle.run.closing import close, end_phase, finish, never_created, refuse
from desist.lifecycle.run.outcome import Column, column
from desist.lifecycle.view import Status, View, current, with_current
from desist.lifecycle.wire import mailbox, termination

NODE_LOST = "NodeLost"
UNKILLABLE = "Unkillable"
UNSTARTED = (Phase.PENDING, Phase.RUNNING)


def report(view: View, status: Status) -> Status:
    """Step: what pods and nodes report."""
    process = _open(status)
    if process is None:
        return status
    if view.never_seen(status):
        return _without_pod(view, status, process)
    process = _seen(view, status, process)
    evidence = view.evidence(status, process)
    process = _judged(evidence, process, view.now)
    status = _started(view, with_current(status, process), evidence)
    return settle(view, _with_open_entries(status, evidence, process, view.now))


def live_nodes(view: View, status: Status) -> tuple[str, ...]:
    """The node of the current attempt, where this pass notes its boot ID, or would take its word for an end."""
    process = _open(status)
    if process is None or view.never_seen(status):
        return ()
    process = _seen(view, status, process)
    evidence = view.evidence(status, process)
    wanted = _notes_boot(evidence) or needs_live_node(evidence, view.now)
    return (process.node,) if process.node and wanted else ()


def wants_live_pod(view: View, status: Status) -> bool:
    """Whether the current attempt's pod is missed: was it deleted, or does only the watch not show it any more?

    One that was never seen is missed some time after its create, while nothing stops the run (a stop asks at once).
    """
    process = _open(status)
    if process is None:
        return False
    if view.never_seen(status):
        patience = timedelta(seconds=view.settings.look_again_after)
        return status.phase in UNSTARTED and process.since + patience <= view.now
    process = _seen(view, status, process)
    return needs_live_pod(view.evidence(status, process), view.now)


def settle(view: View, status: Status) -> Status:
    """Take the end of the current attempt's process for what it is, once it is reported or closed."""
    process = current(status)
    if process is None or status.phase is None or status.phase.terminal:
        return status
    evidence = view.evidence(status, process)
    closed = process.state in CLOSED
    reported = evidence.pod is not None and reported_end(evidence.pod.workflow)
    if status.end_time is None and (closed or reported):
        end = end_of(evidence, process.state)
        phase = end_phase(status, end)
        if phase is None:
            return _put_aside(view, status, end) if closed else status
        status = finish(view, status, phase, end)
    if not closed or status.end_time is None:
        return status
    ended = close(view, _vanished(view, status, process))
    return history.remark(ended, remark(evidence.pod) if evidence.pod else None)


def settle_again(view: View, status: Status) -> Status:
    """Step: what a command makes of an end that was reported before it, and of which the attempt alone had ended."""
    return status if status.phase in UNSTARTED else settle(view, status)


def forget(view: View, status: Status) -> Status:
    """Step: where lost nodes are not waited for, their processes are closed without proof."""
    process = current(status)
    held = status.cancellation
    if process is None or held is None or not held.forget_lost_nodes or status.phase in UNSTARTED:
        return status
    if process.state is not ProcessState.UNCONFIRMED:
        return status
    update = {"state": ProcessState.UNPROVEN, "reason": FORGOTTEN, "since": view.now}
    return settle(view, with_current(status, process.model_copy(update=update)))


def kill_due(pod: PodView) -> datetime | None:
    """When SIGKILL is due in a pod: by a mailbox from before its deletion, or by that if it is earlier."""
    stop = mailbox.parse(pod.mailbox)
    deleted_at = _deleted_at(pod)
    if stop is None or stop.deadline is None or (deleted_at is not None and stop.posted_at >= deleted_at):
        return pod.deletion_timestamp
    return min(stop.deadline, pod.deletion_timestamp or stop.deadline)


def _deleted_at(pod: PodView) -> datetime | None:
    if pod.deletion_timestamp is None:
        return None
    return pod.deletion_timestamp - timedelta(seconds=min(pod.deletion_grace_seconds or 0, LONGEST_GRACE))


def unkillable_at(evidence: Evidence) -> datetime | None:
    """When the process counts as unkillable, if nothing happens; None: it does not."""
    pod, node = evidence.pod, evidence.node
    if pod is None or not evidence.present or node is None or not node.ready or reported_end(pod.workflow):
        return None
    due = kill_due(pod)
    # The end of a year-long grace may be past all times that can be told.
    return min(due, mailbox.LATEST_POSTING) + timedelta(seconds=evidence.settings.unkillable_after) if due else None


def _open(status: Status) -> ProcessStatus | None:
    """The current attempt's process, until it or the run is closed."""
    process = current(status)
    over = status.phase is None or status.phase.terminal
    return None if over or process is None or process.state in CLOSED else process


def _without_pod(view: View, status: Status, process: ProcessStatus) -> Status:
    created = view.observed.created
    refused = created is not None and created.answer is Answer.INVALID
    in_force = column(status.phase or Phase.PENDING)
    never = never_created(view, process)
    if refused and in_force is Column.RUNNING:
        message = created.message if created else ""
        return refuse(view, with_current(status, never), f"the API server refuses the pod: {message}")
    if in_force is Column.RUNNING or not (refused or view.absent(status)):
        return status
    return settle(view, with_current(status, never))


def _seen(view: View, status: Status, process: ProcessStatus) -> ProcessStatus:
    """The process as its pod shows it."""
    pod = view.last_pod(status)
    if pod is None:
        return process
    reported = reported_end(pod.workflow)
    process = process.model_copy(
        update={
            "pod_uid": pod.uid,
            "node": pod.node or process.node,
            "exit_code": pod.workflow.exit_code if reported else None,
            "signal": exit_signal(pod.workflow) if reported else None,
        }
    )
    return process.model_copy(update={"boot_id": _boot_id(view.evidence(status, process))})


def _boot_id(e: Evidence) -> str | None:
    """The boot in which the process runs; empty until it is known to have started (or never to start).

    One that was noted before that, or that a cache remembers, proves nothing: the node may have booted since, and the
    container have started then, both unseen.
    """
    if e.node is None:
        return e.process.boot_id
    if may_start(e):
        return ""
    return e.process.boot_id or (e.node.boot_id if e.node_live else "")


def _notes_boot(e: Evidence) -> bool:
    """Whether a live node's boot ID would be noted. Of a node that is known to have none it is not asked."""
    runs = e.pod is not None and not may_start(e) and not ended(e.pod)
    return runs and not e.process.boot_id and not e.node_live and (e.node is None or bool(e.node.boot_id))


def _judged(evidence: Evidence, process: ProcessStatus, now: datetime) -> ProcessStatus:
    state = verdict(evidence, now)
    reason = _reason(evidence, state)
    missed = reason == MISSED and process.reason == MISSED
    same = state is process.state and (reason == MISSED) == (process.reason == MISSED)
    since = process.since if same or missed else now
    return process.model_copy(update={"state": state, "reason": reason, "since": since})


def _reason(evidence: Evidence, state: ProcessState) -> str | None:
    pod = evidence.pod
    if state in (ProcessState.ALIVE, ProcessState.UNCONFIRMED) and not evidence.present:
        return MISSED
    if pod is not None and reported_end(pod.workflow):
        return (pod.workflow.reason or None) and pod.workflow.reason[:128]
    return pod.reason[:128] if pod and pod.reason else None


def _started(view: View, status: Status, evidence: Evidence) -> Status:
    """Note the run's first process."""
    pod = evidence.pod
    if pod is None or status.start_time is not None or not _has_started(pod, stopping=status.phase not in UNSTARTED):
        return status
    started = min(pod.workflow.started_at or view.now, view.now)
    running = Phase.RUNNING if status.phase is Phase.PENDING else status.phase
    begun = status.model_copy(update={"start_time": started, "phase": running})
    return history.add(begun, HistoryType.WORKFLOW_STARTED, view.now)


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


def _with_open_entries(status: Status, evidence: Evidence, process: ProcessStatus, now: datetime) -> Status:
    reason = None
    unkillable = unkillable_at(evidence)
    if process.state is ProcessState.UNCONFIRMED:
        reason = NODE_LOST
    elif process.state is ProcessState.ALIVE and unkillable is not None and unkillable <= now:
        reason = UNKILLABLE
    if reason is None:
        return status.model_copy(update={"unconfirmed": ()})
    before = next((entry for entry in status.unconfirmed if entry.reason == reason), None)
    entry = UnconfirmedProcess(
        pod=process.pod,
        pod_uid=process.pod_uid,
        node=process.node,
        since=before.since if before else now,
        reason=reason,
    )
    return status.model_copy(update={"unconfirmed": (entry,)})


def _put_aside(view: View, status: Status, end: End) -> Status:
    """The attempt ended, and another follows."""
    disruptions = (status.disruptions or 0) + 1
    wait = min(view.settings.restart_backoff * 2 ** min(disruptions - 1, 60), view.settings.restart_backoff_max)
    kind = HistoryType.POD_VANISHED if end.cause is Cause.VANISHED else HistoryType.POD_DISRUPTED
    logged = history.add(status, kind, view.now, detail=end.message[:1024] or None)
    update = {"disruptions": disruptions, "next_attempt_at": view.now + timedelta(seconds=wait), "unconfirmed": ()}
    return logged.model_copy(update=update)


def _vanished(view: View, status: Status, process: ProcessStatus) -> Status:
    """Tell of a process that is closed without proof; who asked to forget it need not be told."""
    if process.state is not ProcessState.UNPROVEN or process.reason == FORGOTTEN:
        return status
    message = f"pod {process.pod} vanished, and the end of all its processes was never reported"
    return history.add(status, HistoryType.POD_VANISHED, view.now, detail=message)
