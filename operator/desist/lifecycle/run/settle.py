"""Settle: take the end of the current attempt's process for what it is.

Contract: the end is noted once it is reported, and the run closed, or the attempt put aside, once the verdict is that
no process is left. It may be asked again after a command was accepted: an end that was reported before it counts.
"""

from __future__ import annotations

from desist.api.vocabulary import HistoryType, ProcessReason, ProcessState
from desist.lifecycle import history
from desist.lifecycle.proof.cause import end_of, remark
from desist.lifecycle.proof.process import Process
from desist.lifecycle.run.attempts import put_aside
from desist.lifecycle.run.closing import close, end_phase, finish
from desist.lifecycle.view import Status, Step, View, accepted_ids, with_current


def settle(view: View, status: Status) -> Status:
    """The status after the end of the current attempt's process, where it is reported or closed."""
    process = view.current(status)
    if process is None or not status.open:
        return status
    if status.end_time is None and (process.closed or process.reported):
        end = end_of(process, process.status.state, accepted_ids(status))
        phase = end_phase(status, end)
        if phase is None:
            return put_aside(view, status, end) if process.closed else status
        status = finish(view, status, phase, end)
    if not process.closed or status.end_time is None:
        return status
    closed = close(view, _vanished(view, status, process))
    return history.remark(closed, remark(process.pod) if process.pod else None)


def forget(view: View, status: Status) -> Step:
    """Step: where lost nodes are not waited for, nor are vanished pods, their processes are closed without proof."""
    process = view.current(status)
    if process is None or not status.stop.forget_lost_nodes or not status.at.stopping:
        return Step(status)
    if process.status.state is not ProcessState.UNCONFIRMED and not _missed(process):
        return Step(status)
    forgotten = process.status.replace(state=ProcessState.UNPROVEN, reason=ProcessReason.FORGOTTEN, since=view.now)
    return Step(settle(view, with_current(status, forgotten)))


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
