"""Delivery: which stops are to be pushed and posted and which pods deleted, so that what was accepted is done.

Contract: it takes one process and the order that is wanted for it, compares what the mailbox holds with what it should
hold, and posts the merge of both; so it may be asked any number of times. It acts only on what is in status. A pod with
a deletionTimestamp gets a push alone: no mailbox arrives in it any more, and no DELETE shortens its grace.
What the mailbox holds counts where it names the run and a command of it; anything else is overwritten.
A posting is repeated, at most twice, where the container still runs: a kubelet that is busy with the start of the pod
may miss a change, and would show it a minute and a half later, at its next look by itself.
A pod is deleted where its workflow container was never started (under the version that the posting returned, so that
what has started meanwhile is decided again), where a regular container has not ended some time after SIGKILL was due,
where a posting with a deadline is refused, and where no attempt wants it. No refusal moves a deadline.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from desist.api.vocabulary import Mode
from desist.lifecycle.graces import KILLED_AT_ONCE, SHORTEST_DELETE
from desist.lifecycle.ids import ulid
from desist.lifecycle.observed.pods import ContainerPhase, PodView
from desist.lifecycle.observed.questions import PodCall, Refusal
from desist.lifecycle.plan import AFTER_POST, DeletePod, PostMailbox, PushStop
from desist.lifecycle.proof.process import Process, ended, regular_ended
from desist.lifecycle.run import late
from desist.lifecycle.stop import backoff, push
from desist.lifecycle.view import Status, View
from desist.lifecycle.wire import mailbox

UNWANTED = "no attempt wants this pod"

Deed = PushStop | PostMailbox | DeletePod


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of a process."""

    stop: mailbox.Stop
    kill_at: datetime | None
    """When SIGKILL is due by what was accepted; None: never."""
    unstarted_grace: int
    """Seconds that the pod gets where its workflow container has never started."""
    accepted_at: datetime | None = None
    """When it was accepted; None: now."""
    commands: frozenset[str] | None = None
    """Ids of the commands whose posting counts; None: any."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What to do about processes now, in order, and when to look again."""

    deeds: tuple[Deed, ...] = ()
    again: tuple[datetime | None, ...] = ()


def deliver(view: View, status: Status) -> Delivery:
    """What to post and to delete now, for all processes of the run."""
    process = view.current(status)
    order = order_of(view, status, process) if process else None
    task = Task(process, order) if process and order else None
    to_current = _to_process(task, view.now) if task else Delivery()
    unwanted = [_to_unwanted(view, status, pod) for pod in late.unwanted(view, status)]
    repeat = _once_more(task, view.now) if task else ()
    return Delivery(
        (*to_current.deeds, *(deed for each in unwanted for deed in each.deeds), *repeat),
        (*to_current.again, *(moment for each in unwanted for moment in each.again)),
    )


def order_of(view: View, status: Status, process: Process) -> Order | None:
    """What status asks of the process; None: nothing."""
    # Where the process had ended by itself before, the last one accepted says what becomes of what is left.
    held, force = status.stop, status.in_force or status.last_accepted
    if not status.at.stopping or status.run_id is None or force is None:
        return None
    grace = held.grace_period_seconds
    stop = mailbox.Stop(
        sequence=view.sequence(status),
        run_id=status.run_id,
        command_id=force.id,
        mode=force.mode,
        signal=view.policy(status).signal,
        grace_seconds=None if grace is None else float(grace),
        reason=force.reason,
        details=force.details,
        posted_at=view.now,
    )
    known = frozenset(record.id for record in view.commands(status))
    return Order(stop, held.kill_at, view.unstarted_grace(status, force, process), force.accepted_at, known)


@dataclass(frozen=True)
class Task:
    """A process and what is wanted of it, with what follows from the two: each is found once."""

    process: Process
    order: Order

    @cached_property
    def pod(self) -> PodView | None:
        """The process's pod, where anything can still be done about it."""
        pod = self.process.present_pod
        return None if pod is None or pod.deletion_timestamp is not None or ended(pod) else pod

    @cached_property
    def held(self) -> mailbox.Stop | None:
        """What the mailbox holds, where it counts."""
        return _held(self.process.present_pod, self.order)

    @cached_property
    def post(self) -> mailbox.Stop | None:
        """What is to be posted; None: nothing, or the mailbox holds as much already."""
        return None if self.pod is None or self.process.reported else _merged(self.process, self.pod, self.order)

    @cached_property
    def refused(self) -> Refusal | None:
        """The API server's refusal of that posting."""
        return self.process.refused(PodCall.POST, push.asks(self.post)) if self.post else None

    @cached_property
    def kill_at(self) -> datetime | None:
        """When SIGKILL is due: by the acceptance, or by what the mailbox holds (or is about to) where that is later.

        An operator that was away posts the whole grace. What could not be posted moves nothing.
        """
        if self.refused is not None:
            return self.order.kill_at
        told = self.post or self.held
        return max(filter(None, (self.order.kill_at, told.deadline if told else None)), default=None)

    @property
    def backstop(self) -> datetime | None:
        """When a pod is deleted that the stop has not ended."""
        return self.kill_at + timedelta(seconds=self.process.settings.delete_after) if self.kill_at else None

    @property
    def repeat_at(self) -> datetime | None:
        """When what the mailbox holds, or is about to, is posted again; None: nobody need hear it."""
        told, process = self.post or self.held, self.process
        if self.pod is None or told is None or self.pod.workflow.phase is not ContainerPhase.RUNNING:
            return None
        return None if push.heard(process, told) else mailbox.repeat_at(told, process.settings.repeat_after)


def _merged(process: Process, pod: PodView, order: Order) -> mailbox.Stop | None:
    """What makes the pod's mailbox hold as much as is wanted; None: it does already."""
    post, found = mailbox.merge(_held(pod, order), order.stop), mailbox.parse(pod.mailbox)
    if post is None:
        return None
    return push.above(mailbox.above(post, found) if found else post, process.pushed)


def _to_process(task: Task, now: datetime) -> Delivery:
    """The posting, and the DELETE of what was not started, did not end, or cannot be told."""
    process, pod, post = task.process, task.pod, task.post
    if pod is None:
        return _to_deleted(process, task.order, now)
    posts = post is not None and backoff.due(task.refused, now)
    deeds = _post(process, pod, post, now) if post and posts else ()
    again = (task.backstop, task.repeat_at, backoff.until(task.refused))
    grace = _delete_grace(task, pod, now)
    if grace is None or (posts and grace.after_refusal):
        return Delivery(deeds, again)
    stuck = process.refused(PodCall.DELETE)
    if not backoff.due(stuck, now):
        return Delivery(deeds, (*again, backoff.until(stuck)))
    version = "" if pod.workflow.phase is not ContainerPhase.WAITING else AFTER_POST if posts else pod.resource_version
    return Delivery((*deeds, DeletePod(pod.name, pod.uid, grace.seconds, version)), again)


def _to_deleted(process: Process, order: Order, now: datetime) -> Delivery:
    """The push to a pod that is being deleted, at once and again: what would be posted, or is and did not arrive."""
    pod = process.present_pod
    if pod is None or pod.deletion_timestamp is None or not push.listens(process):
        return Delivery()
    accepted = replace(order, stop=replace(order.stop, posted_at=order.accepted_at or now))
    stop = _merged(process, pod, accepted) or _held(pod, order) or accepted.stop
    moment = push.again_at(process, pod, stop, now)
    if moment > now:
        return Delivery(again=(moment,))
    sent = push.pushes(process, stop)
    return Delivery(sent, (now + push.interval(process, pod, stop, now),) if sent else ())


def _once_more(task: Task, now: datetime) -> tuple[Deed, ...]:
    """The repeat, after all that matters more."""
    if task.pod is None or task.held is None or task.post is not None or _due(task.backstop, now):
        return ()
    due = task.repeat_at if _due(task.repeat_at, now) else None
    return _post(task.process, task.pod, mailbox.repeated(task.held, now), now, again=due) if due else ()


@dataclass(frozen=True, slots=True)
class _Grace:
    """A DELETE that is due."""

    seconds: int
    after_refusal: bool = False
    """Whether it takes the place of a posting, so that a posting that is tried once more comes first."""


def _delete_grace(task: Task, pod: PodView, now: datetime) -> _Grace | None:
    """The grace with which the pod is to be deleted now; None: it is not."""
    if pod.workflow.phase is ContainerPhase.WAITING:
        return _Grace(task.order.unstarted_grace)
    if regular_ended(pod):
        return None
    if _due(task.backstop, now):
        return _Grace(SHORTEST_DELETE)
    if task.order.kill_at is None or task.refused is None:
        return None
    left = task.order.kill_at - now
    return _Grace(max(-(-left // timedelta(seconds=1)), SHORTEST_DELETE), after_refusal=True)


def _held(pod: PodView | None, order: Order) -> mailbox.Stop | None:
    """What the mailbox holds, where it counts."""
    held = mailbox.parse(pod.mailbox) if pod else None
    if held is None or order.commands is None:
        return held
    return held if held.run_id == order.stop.run_id and held.command_id in order.commands else None


def _to_unwanted(view: View, status: Status, pod: PodView) -> Delivery:
    process = next((each for each in view.late(status) if each.status.pod_uid == pod.uid), None)
    process = process or view.process(status, late.process_of(pod, view.now))
    order = Order(_unwanted_stop(view, status, pod), None, SHORTEST_DELETE, pod.deletion_seen_at)
    if pod.deletion_timestamp is not None:
        return _to_deleted(process, order, view.now)
    post = _merged(process, pod, order)
    refusal = process.refused(PodCall.POST, push.asks(post)) if post else None
    stuck = process.refused(PodCall.DELETE)
    deeds = _post(process, pod, post, view.now) if post and backoff.due(refusal, view.now) else ()
    if backoff.due(stuck, view.now):
        deeds = (*deeds, DeletePod(pod.name, pod.uid, SHORTEST_DELETE))
    return Delivery(deeds, (backoff.until(refusal), backoff.until(stuck)))


def _due(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _unwanted_stop(view: View, status: Status, pod: PodView) -> mailbox.Stop:
    force = status.in_force
    return mailbox.Stop(
        sequence=view.sequence(status),
        run_id=pod.run_id,
        command_id=force.id if force else ulid(pod.deletion_seen_at or view.now, view.uid, f"late-start/{pod.uid}"),
        mode=Mode.KILL,
        signal=view.policy(status).signal,
        grace_seconds=float(KILLED_AT_ONCE),
        reason=UNWANTED,
        details=None,
        posted_at=view.now,
    )


def _post(
    process: Process, pod: PodView, stop: mailbox.Stop, now: datetime, again: datetime | None = None
) -> tuple[Deed, ...]:
    lean = mailbox.without_texts(stop)
    post = PostMailbox(
        pod=pod.name,
        uid=pod.uid,
        resource_version=pod.resource_version,
        text=mailbox.render(stop),
        lean=mailbox.render(lean) if lean != stop else "",
        over=pod.mailbox,
        started=pod.workflow.phase is not ContainerPhase.WAITING,
        asks=push.asks(stop),
        again=again,
    )
    return (*(() if push.just_sent(process, stop, now) else push.pushes(process, stop)), post)
