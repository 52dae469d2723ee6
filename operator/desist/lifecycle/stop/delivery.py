"""Delivery: which mailboxes are to be written and which pods deleted, so that what was accepted is done.

Contract: it compares what a mailbox holds with what it should hold, and posts the merge of both; so it may be asked
any number of times. It acts only on what is in status. A pod with a deletionTimestamp gets neither: nothing arrives
in it any more, and no DELETE shortens its grace.
A posting is repeated, at most twice, where the container still runs: a kubelet that is busy with the start of the pod
may miss a change, and would show it a minute and a half later, at its next look by itself.
A pod is deleted in three cases: its workflow container was never started (under the resourceVersion that the posting
returned, so that what has started meanwhile is decided again), its container is not reported ended some seconds after
SIGKILL was due, or no attempt wants it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from desist.api.vocabulary import Mode, Phase
from desist.lifecycle.ids import ulid
from desist.lifecycle.observed import ContainerPhase, PodView
from desist.lifecycle.plan import AFTER_POST, DeletePod, PostMailbox
from desist.lifecycle.proof.verdict import ended, reported_end
from desist.lifecycle.run import late
from desist.lifecycle.run.closing import in_force
from desist.lifecycle.stop.deadlines import KILLED_AT_ONCE
from desist.lifecycle.view import Status, View, stop_policy
from desist.lifecycle.wire import mailbox

STOP_PHASES = (Phase.CANCELLING, Phase.FORCE_CANCELLING, Phase.TERMINATING, Phase.KILL_CANCELLING)
SHORTEST_GRACE = 1
"""Seconds. 0 would only forget the pod; its process would live on."""
UNWANTED = "no attempt wants this pod"

Step = PostMailbox | DeletePod


def deliver(view: View, status: Status) -> tuple[Step, ...]:
    """What to post and to delete now, in order."""
    return (*_to_current(view, status), *_to_unwanted(view, status), *_once_more(view, status))


def backstop_at(view: View, stop: mailbox.Stop) -> datetime | None:
    """When a pod is deleted that the stop has not ended."""
    return stop.deadline + timedelta(seconds=view.settings.delete_after) if stop.deadline else None


def repeat_at(view: View, pod: PodView, held: mailbox.Stop) -> datetime | None:
    """When what the pod's mailbox holds is posted again."""
    runs = pod.workflow.phase is ContainerPhase.RUNNING
    return mailbox.repeat_at(held, view.settings.repeat_after) if runs else None


def target(view: View, status: Status) -> PodView | None:
    """The current attempt's pod, where a stop is to be delivered to it."""
    pod = view.present_pod(status)
    if pod is None or status.phase not in STOP_PHASES or pod.deletion_timestamp is not None:
        return None
    return None if reported_end(pod.workflow) or ended(pod) else pod


def wanted(view: View, status: Status) -> mailbox.Stop | None:
    """The stop that status asks for."""
    held, force = status.cancellation, in_force(status)
    if held is None or held.mode is None or status.run_id is None or force is None:
        return None
    grace = held.grace_period_seconds
    return mailbox.Stop(
        sequence=1,
        run_id=status.run_id,
        command_id=held.command_id or force.id,
        mode=held.mode,
        signal=stop_policy(status).signal,
        grace_seconds=None if grace is None else float(grace),
        reason=force.reason,
        details=force.details,
        posted_at=view.now,
    )


def posting(view: View, status: Status) -> mailbox.Stop | None:
    """What is to be posted to the current attempt's pod; None: nothing, or it holds as much already."""
    pod, stop = target(view, status), wanted(view, status)
    return mailbox.merge(mailbox.parse(pod.mailbox), stop) if pod and stop else None


def _to_current(view: View, status: Status) -> Iterator[Step]:
    pod, post = target(view, status), posting(view, status)
    if pod is None or wanted(view, status) is None:
        return
    if post is not None:
        yield _post(pod, post)
    if pod.workflow.phase is ContainerPhase.WAITING:
        yield DeletePod(pod.name, pod.uid, SHORTEST_GRACE, AFTER_POST if post else pod.resource_version)
        return
    held = post or mailbox.parse(pod.mailbox)
    if held is not None and _due(backstop_at(view, held), view.now):
        yield DeletePod(pod.name, pod.uid, SHORTEST_GRACE)


def _once_more(view: View, status: Status) -> Iterator[Step]:
    """The repeat, after all that matters more."""
    pod = target(view, status)
    held = mailbox.parse(pod.mailbox) if pod else None
    if pod is None or held is None or posting(view, status) is not None or _due(backstop_at(view, held), view.now):
        return
    if _due(repeat_at(view, pod, held), view.now):
        yield _post(pod, mailbox.repeated(held, view.now), again=True)


def _to_unwanted(view: View, status: Status) -> Iterator[Step]:
    for pod in late.unwanted(view, status):
        if pod.deletion_timestamp is not None:
            continue
        posting = mailbox.merge(mailbox.parse(pod.mailbox), _unwanted_stop(view, status, pod))
        if posting is not None:
            yield _post(pod, posting)
        yield DeletePod(pod.name, pod.uid, SHORTEST_GRACE)


def _due(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _unwanted_stop(view: View, status: Status, pod: PodView) -> mailbox.Stop:
    force = in_force(status)
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
