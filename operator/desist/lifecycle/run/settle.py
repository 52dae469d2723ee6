"""Settle: take the end of the current attempt's process for what it is.

Contract: the end is noted once it is reported, or the attempt put aside, once the verdict is that no process is left
(`settle`). `close` writes the terminal phase when nothing else keeps the run, or the operation, open. Both may be asked
again after a command was accepted: an end that was reported before it counts.
"""

from __future__ import annotations

from desist.api.vocabulary import HistoryType, Phase, ProcessReason, ProcessState
from desist.lifecycle import history
from desist.lifecycle.proof.cause import end_of, remark
from desist.lifecycle.proof.end import End
from desist.lifecycle.proof.process import CLOSED, Process
from desist.lifecycle.run import closing
from desist.lifecycle.run.attempts import put_aside, retry
from desist.lifecycle.view import Status, Step, View, current, with_current


def settle(view: View, status: Status) -> Status:
    """The status after the end of the current attempt's process, where it is reported or closed."""
    process = view.current(status)
    if process is None or not status.open or status.end_time is not None:
        return status
    if not (process.closed or process.reported):
        return status
    end = end_of(process, process.status.state, view.accepted_ids(status))
    phase = closing.end_phase(view, status, end)
    if phase is None or (phase is Phase.FAILED and view.tries_again(status)):
        return _next_attempt(view, status, end, phase) if process.closed else status
    return closing.finish(view, status, phase, end)


def close(view: View, status: Status) -> Status:
    """The terminal phase, where the process has ended and the verdict is that none is left."""
    if status.end_time is None or not status.open:
        return status
    process = view.current(status)
    if process is None:
        return closing.close(view, status)
    if not process.closed:
        return status
    closed = closing.close(view, _vanished(view, status, process))
    return history.remark(closed, remark(process.pod) if process.pod else None)


def closable(status: Status) -> bool:
    """Whether the process has ended, and nothing of it is left."""
    held = current(status)
    over = held is None or held.state in CLOSED
    return status.open and status.end_time is not None and over


def forget(view: View, status: Status) -> Step:
    """Step: where lost nodes are not waited for, nor are vanished pods, their processes are closed without proof."""
    process = view.current(status)
    if process is None or not status.stop.forget_lost_nodes or not status.at.stopping:
        return Step(status)
    if not given_up(process):
        return Step(status)
    forgotten = process.status.replace(state=ProcessState.UNPROVEN, reason=ProcessReason.FORGOTTEN, since=view.now)
    return Step(settle(view, with_current(status, forgotten)))


def given_up(process: Process) -> bool:
    """Whether the process is one that a request which forgets lost nodes closes without proof."""
    return process.status.state is ProcessState.UNCONFIRMED or _missed(process)


def _next_attempt(view: View, status: Status, end: End, phase: Phase | None) -> Status:
    return put_aside(view, status, end) if phase is None else retry(view, status, end)


def _missed(process: Process) -> bool:
    """Whether its pod was there, and a GET has not found it now."""
    known = process.status.state is ProcessState.ALIVE and process.status.reason == ProcessReason.MISSED
    return known and process.pod_live and not process.present


def _vanished(view: View, status: Status, process: Process) -> Status:
    """Tell of a process that is closed without proof; who asked to forget it need not be told."""
    held = process.status
    if held.state is not ProcessState.UNPROVEN or held.reason == ProcessReason.FORGOTTEN:
        return status
    message = f"pod {held.pod} vanished, and the end of all its processes was never reported"
    return history.add(status, HistoryType.POD_VANISHED, view.now, detail=message)
