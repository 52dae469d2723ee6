"""Delivery: which mailboxes are to be written and which pods deleted, so that what was accepted is done.

Contract: it takes one process and the stop that is wanted for it, compares what the mailbox holds with what it should
hold, and posts the merge of both; so it may be asked any number of times. It acts only on what is in status. A pod with
a deletionTimestamp gets neither: nothing arrives in it any more, and no DELETE shortens its grace.
A posting is repeated, at most twice, where the container still runs: a kubelet that is busy with the start of the pod
may miss a change, and would show it a minute and a half later, at its next look by itself.
A pod is deleted in three cases: its workflow container was never started (under the resourceVersion that the posting
returned, so that what has started meanwhile is decided again), a stop has not ended it some time after its SIGKILL was
due, or no attempt wants it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from desist.api.status import Stoppable
from desist.api.vocabulary import Mode
from desist.lifecycle.ids import ulid
from desist.lifecycle.observed import ContainerPhase, PodView
from desist.lifecycle.plan import AFTER_POST, DeletePod, PostMailbox
from desist.lifecycle.proof.process import Process, ended
from desist.lifecycle.run import late
from desist.lifecycle.stop.deadlines import KILLED_AT_ONCE
from desist.lifecycle.view import Status, View, stop_policy
from desist.lifecycle.wire import mailbox

SHORTEST_GRACE = 1
"""Seconds. 0 would only forget the pod; its process would live on."""
UNWANTED = "no attempt wants this pod"

Deed = PostMailbox | DeletePod


@dataclass(frozen=True, slots=True)
class Delivery:
    """What to do about processes now, in order, and when to look again."""

    deeds: tuple[Deed, ...] = ()
    again: tuple[datetime | None, ...] = ()


def deliver(view: View, status: Status) -> Delivery:
    """What to post and to delete now, for all processes of the run."""
    process, stop = view.current(status), wanted(status, stop_policy(status).signal, view.now)
    to_current = to_process(process, stop, view.now) if process and stop else Delivery()
    unwanted = [deed for pod in late.unwanted(view, status) for deed in _to_unwanted(view, status, pod)]
    repeat = once_more(process, stop, view.now) if process and stop else ()
    return Delivery((*to_current.deeds, *unwanted, *repeat), to_current.again)


def wanted(status: Stoppable, signal: str, now: datetime) -> mailbox.Stop | None:
    """The stop that status asks for; None: none."""
    held, force = status.stop, status.in_force
    if not status.at.stopping or status.run_id is None or force is None:
        return None
    grace = held.grace_period_seconds
    return mailbox.Stop(
        sequence=1,
        run_id=status.run_id,
        command_id=held.command_id or force.id,
        mode=held.mode or force.mode,
        signal=signal,
        grace_seconds=None if grace is None else float(grace),
        reason=force.reason,
        details=force.details,
        posted_at=now,
    )


def recipient(process: Process) -> PodView | None:
    """The process's pod, where a stop is to be delivered to it."""
    pod = process.present_pod
    if pod is None or pod.deletion_timestamp is not None or process.reported or ended(pod):
        return None
    return pod


def posting(process: Process, stop: mailbox.Stop) -> mailbox.Stop | None:
    """What is to be posted to the process's pod; None: nothing, or it holds as much already."""
    pod = recipient(process)
    return mailbox.merge(mailbox.parse(pod.mailbox), stop) if pod else None


def to_process(process: Process, stop: mailbox.Stop, now: datetime) -> Delivery:
    """The posting, and the DELETE of a container that never started or did not end."""
    pod, post = recipient(process), posting(process, stop)
    if pod is None:
        return Delivery()
    deeds: tuple[Deed, ...] = (_post(pod, post),) if post else ()
    held = post or mailbox.parse(pod.mailbox)
    if pod.workflow.phase is ContainerPhase.WAITING:
        version = AFTER_POST if post else pod.resource_version
        return Delivery((*deeds, DeletePod(pod.name, pod.uid, SHORTEST_GRACE, version)), _again(process, pod, held))
    if held is not None and _due(backstop_at(process, held), now):
        deeds = (*deeds, DeletePod(pod.name, pod.uid, SHORTEST_GRACE))
    return Delivery(deeds, _again(process, pod, held))


def once_more(process: Process, stop: mailbox.Stop, now: datetime) -> tuple[Deed, ...]:
    """The repeat, after all that matters more."""
    pod = recipient(process)
    held = mailbox.parse(pod.mailbox) if pod else None
    if pod is None or held is None or posting(process, stop) is not None or _due(backstop_at(process, held), now):
        return ()
    due = _due(_repeat_at(process, pod, held), now)
    return (_post(pod, mailbox.repeated(held, now), again=True),) if due else ()


def backstop_at(process: Process, stop: mailbox.Stop) -> datetime | None:
    """When a pod is deleted that the stop has not ended."""
    return stop.deadline + timedelta(seconds=process.settings.delete_after) if stop.deadline else None


def _again(process: Process, pod: PodView, held: mailbox.Stop | None) -> tuple[datetime | None, ...]:
    return (backstop_at(process, held), _repeat_at(process, pod, held)) if held else ()


def _repeat_at(process: Process, pod: PodView, held: mailbox.Stop) -> datetime | None:
    """When what the pod's mailbox holds is posted again."""
    runs = pod.workflow.phase is ContainerPhase.RUNNING
    return mailbox.repeat_at(held, process.settings.repeat_after) if runs else None


def _to_unwanted(view: View, status: Status, pod: PodView) -> tuple[Deed, ...]:
    if pod.deletion_timestamp is not None:
        return ()
    post = mailbox.merge(mailbox.parse(pod.mailbox), _unwanted_stop(view, status, pod))
    deletion = DeletePod(pod.name, pod.uid, SHORTEST_GRACE)
    return (_post(pod, post), deletion) if post else (deletion,)


def _due(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _unwanted_stop(view: View, status: Status, pod: PodView) -> mailbox.Stop:
    force = status.in_force
    return mailbox.Stop(
        sequence=1,
        run_id=pod.run_id,
        command_id=force.id if force else ulid(view.now, view.uid, f"late-start/{pod.uid}"),
        mode=Mode.KILL,
        signal=stop_policy(status).signal,
        grace_seconds=float(KILLED_AT_ONCE),
        reason=UNWANTED,
        details=None,
        posted_at=view.now,
    )


def _post(pod: PodView, stop: mailbox.Stop, again: bool = False) -> PostMailbox:
    return PostMailbox(pod.name, pod.uid, pod.resource_version, mailbox.render(stop), again)
