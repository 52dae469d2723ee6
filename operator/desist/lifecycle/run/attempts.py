"""Attempts: how one follows another, and the pod of the current one.

Contract: an attempt is in status before its pod is created, and its pod's name is read from there. A pod is created
only while nothing stops the run. What a node or a drain ends is run again, and no try is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from desist.api.status import ProcessStatus
from desist.api.vocabulary import HistoryType, ProcessState
from desist.lifecycle import history
from desist.lifecycle.observed.questions import Answer, CreateAnswer, WantedPod
from desist.lifecycle.plan import CreatePod
from desist.lifecycle.proof.end import Cause, End
from desist.lifecycle.proof.process import Process
from desist.lifecycle.view import Status, View, current, with_current


@dataclass(frozen=True, slots=True)
class Creation:
    """The pod to create now, and when to look again."""

    deed: CreatePod | None = None
    again: datetime | None = None


def begin(view: View, status: Status, attempt: int) -> Status:
    """The status with that attempt (from 1) as the current one."""
    process = ProcessStatus(
        pod=view.pod_name(status.run_id or "", attempt),
        role=view.role,
        state=ProcessState.ALIVE,
        since=view.now,
    )
    return with_current(status.replace(attempt=attempt, next_attempt_at=None), process)


def put_aside(view: View, status: Status, end: End) -> Status:
    """The attempt ended, and another follows."""
    disruptions = (status.disruptions or 0) + 1
    kind = HistoryType.POD_VANISHED if end.cause is Cause.VANISHED else HistoryType.POD_DISRUPTED
    logged = history.add(status, kind, view.now, detail=end.message or None)
    return waiting(view, logged.replace(disruptions=disruptions, unconfirmed=()))


def retry(view: View, status: Status, end: End) -> Status:
    """The attempt failed, and another follows."""
    failed = (status.failed_attempts or 0) + 1
    logged = history.add(status, HistoryType.ATTEMPT_FAILED, view.now, detail=end.message or None)
    wait = timedelta(seconds=view.retry(status).wait_after(failed))
    return logged.replace(failed_attempts=failed, unconfirmed=(), next_attempt_at=view.now + wait)


def waiting(view: View, status: Status) -> Status:
    """The status with the next attempt after the back-off of a disruption, from now on."""
    return status.replace(next_attempt_at=view.now + _back_off(view, status))


def bounded(view: View, status: Status) -> Status:
    """The status with the next attempt no further ahead than its back-off is long: another clock may have set it."""
    due, failed = status.next_attempt_at, status.failed_attempts or 0
    longest = max(_back_off(view, status), timedelta(seconds=view.retry(status).wait_after(failed) if failed else 0))
    return status if due is None else status.replace(next_attempt_at=min(due, view.now + longest))


def _back_off(view: View, status: Status) -> timedelta:
    settings, times = view.settings, min((status.disruptions or 1) - 1, 60)
    return timedelta(seconds=min(settings.restart_backoff * 2 ** max(times, 0), settings.restart_backoff_max))


def wanted_pod(status: Status, process: Process) -> WantedPod | None:
    """The current attempt's pod, to ask for by its name."""
    if not status.run_id or not status.attempt:
        return None
    return WantedPod(process.status.pod, status.run_id, status.attempt, process.status.pod_uid)


def creates(view: View, status: Status) -> bool:
    """Whether the pod of the current attempt is to be created now."""
    process, retry = view.current(status), retry_at(view, status)
    awaited = process is not None and view.startable and _awaits_pod(status, process)
    return awaited and (retry is None or retry <= view.now)


def creation(view: View, status: Status) -> Creation:
    """The pod that the status asks for and that was never seen."""
    process = view.current(status)
    if process is None or not view.startable or not _awaits_pod(status, process):
        return Creation()
    held = current(status)
    if held is None or status.run_id is None or not status.attempt or view.template_lost(status):
        return Creation()
    retry = retry_at(view, status)
    if retry is not None and retry > view.now:
        return Creation(again=retry)
    manifest = view.manifest(status, WantedPod(held.pod, status.run_id, status.attempt))
    if manifest is None:
        return Creation()
    return Creation(CreatePod(held.pod, manifest), view.now + timedelta(seconds=view.settings.look_again_after))


def awaits_template(view: View, status: Status) -> bool:
    """Whether the current attempt needs a pod that cannot be made for that reason."""
    process = view.current(status)
    return process is not None and _awaits_pod(status, process) and view.template_lost(status)


def create_refused(view: View, status: Status) -> bool:
    """Whether the API server refuses the current attempt's pod for a reason that may pass."""
    process, created = view.current(status), view.observed.created
    if process is None or created is None or created.answer not in (Answer.REFUSED, Answer.TAKEN):
        return False
    return _awaits_pod(status, process)


def refusal(view: View) -> str:
    """What the API server said to the last create, in words."""
    created = view.observed.created
    if created is None or created.answer is Answer.TAKEN:
        return created.message if created else ""
    return f"the API server refuses the pod: {created.message}"


def retry_at(view: View, status: Status) -> datetime | None:
    """When a create that was refused is tried again; None: at once."""
    created = view.observed.created
    if created is None or created.at is None or not create_refused(view, status):
        return None
    return created.at + wait(view, created)


def wait(view: View, refused: CreateAnswer) -> timedelta:
    """Until a create that was refused is tried again, dry or real.

    Also where the API server calls the pod invalid: a policy says so too, and nothing tells of its change.
    """
    if refused.retry_after is not None:
        return timedelta(seconds=refused.retry_after)
    settings, invalid = view.settings, refused.answer is Answer.INVALID
    return timedelta(seconds=settings.retry_invalid_after if invalid else settings.retry_after)


def _awaits_pod(status: Status, process: Process) -> bool:
    awaits = process.never_seen and not process.closed and status.next_attempt_at is None
    return status.at.unstopped and awaits
