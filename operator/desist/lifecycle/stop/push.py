"""Push: which stops go to a pod's launcher as a datagram too, and what its answers are good for.

Contract: a push only makes a stop faster. Each posting to a pod whose launcher listens is pushed just before. In a pod
that is being deleted no mailbox arrives any more: there a push is all, so it is repeated until the pod has ended, and
spared for a while once it was heard. What was pushed is remembered by this process alone, and all of it may be lost:
then something is pushed once more. An answer spares a repeat and is told in words; it ends no run, spares no posting
and no DELETE, and moves no deadline.
A launcher takes each sequence once, by whichever way: so two stops that ask for different things never share one, also
where the first was pushed and never posted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from desist.lifecycle.observed.pods import ContainerPhase, PodView
from desist.lifecycle.observed.pushes import Pushed
from desist.lifecycle.plan import PushStop
from desist.lifecycle.proof.process import Process
from desist.lifecycle.wire import datagram, mailbox

HEARD = 10
"""How many times as rarely it is pushed again once it was heard: only to know what is left."""
OVERDUE = 10
"""Where a pod has outlived its grace (its node is lost, say), the wait is at least this part of the time since then."""


def asks(stop: mailbox.Stop) -> str:
    """Held and wanted are compared by mode and deadline alone; so are refusals, and what was pushed."""
    return f"{stop.mode.value}/{stop.grace_seconds}"


def listens(process: Process) -> bool:
    """Whether there is a launcher that a push may reach."""
    pod = process.present_pod
    known = pod is not None and pod.push is not None and bool(pod.address and process.settings.push_key_id)
    return known and pod is not None and pod.workflow.phase is ContainerPhase.RUNNING


def pushes(process: Process, stop: mailbox.Stop) -> tuple[PushStop, ...]:
    """The push that goes with a posting; empty: nobody listens, or it does not fit."""
    pod, text = process.present_pod, datagram.stop_text(stop) if listens(process) else None
    if pod is None or pod.push is None or text is None:
        return ()
    to = pod.push
    return (PushStop(pod.name, pod.uid, pod.address, to.key_id, to.port, text, stop.sequence, asks(stop)),)


def again_at(process: Process, pod: PodView, stop: mailbox.Stop, now: datetime) -> datetime:
    """When a stop is pushed to a pod that is being deleted, if it was not yet, or once more."""
    last = process.pushed
    if last is None or (last.sequence, last.asks) != (stop.sequence, asks(stop)):
        return now
    return last.sent_at + interval(process, pod, stop, last.sent_at)


def just_sent(process: Process, stop: mailbox.Stop, now: datetime) -> bool:
    """Whether the same was pushed so lately that a posting need not be pushed once more."""
    last = process.pushed
    same = last is not None and (last.sequence, last.asks) == (stop.sequence, asks(stop))
    return same and last is not None and now < last.sent_at + timedelta(seconds=process.settings.push_every)


def interval(process: Process, pod: PodView, stop: mailbox.Stop, sent_at: datetime) -> timedelta:
    """How long one waits after that push for the next one to it."""
    usual = timedelta(seconds=process.settings.push_every) * (HEARD if heard(process, stop) else 1)
    return max(usual, (sent_at - (pod.deletion_due or sent_at)) / OVERDUE)


def heard(process: Process, stop: mailbox.Stop) -> bool:
    """Whether the launcher has answered that it read this stop."""
    answer = process.pushed.answer if process.pushed else None
    return answer is not None and (answer.command_id, answer.sequence) == (stop.command_id, stop.sequence)


def above(stop: mailbox.Stop, last: Pushed | None) -> mailbox.Stop:
    """The same, with a sequence that no push of something else had."""
    if last is None:
        return stop
    least = last.sequence + (0 if last.asks == asks(stop) else 1)
    return replace(stop, sequence=min(max(stop.sequence, least), mailbox.HIGHEST_SEQUENCE))
