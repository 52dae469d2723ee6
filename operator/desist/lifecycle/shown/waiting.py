"""Waiting: `waitingOn`, in words for people: for what, by name, and until when at most, or that nothing bounds it.

Contract: nothing decides by these texts; `waits` has their words. A text that only differs in what follows its first
colon from one that is there already is kept as it was: a kubelet's messages change with every try, and each change
would be a write. All of them together fit into `LIMIT` bytes as the API server stores them.
Rejected: showing an init container as soon as it runs (one more write at every start).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from desist.api import outside
from desist.api.base import rfc3339
from desist.api.status import UnconfirmedProcess
from desist.api.vocabulary import UnconfirmedReason
from desist.lifecycle.observed.pods import ContainerPhase, PodView
from desist.lifecycle.observed.questions import PodCall, Refusal
from desist.lifecycle.proof.process import Process
from desist.lifecycle.run import attempts
from desist.lifecycle.run.start import Stall
from desist.lifecycle.shown import waits
from desist.lifecycle.shown.waits import Wait
from desist.lifecycle.stop import deadlines, steps
from desist.lifecycle.view import S, Status, View

REFUSED = "the API server's refusal"
"""How the texts begin that an Event tells of, too."""
LIMIT = 4 * 1024
TEXT_LIMIT = 1024
"""Bytes of one of them."""


def with_waiting(view: View, status: S, stalled: Stall | None, others: Iterable[str]) -> S:
    """The status with what it waits for: why it cannot begin, its process, and `others`."""
    texts = (*_texts(view, status, stalled), *others) if status.open else ()
    found = dict.fromkeys(outside.fit(text, TEXT_LIMIT) for text in texts)
    before = {_key(text): text for text in status.waiting_on}
    return status.replace(waiting_on=_fitting([before.get(_key(text), text) for text in found]))


def shown_at(view: View, status: Status) -> datetime | None:
    """When a start that goes on now is shown next; None: none is."""
    process = view.current(status)
    return waits.shown_at(process, view.now) if process else None


def _fitting(texts: list[str]) -> tuple[str, ...]:
    """The first of them, as many as have room."""
    sizes = [outside.stored_size(text) for text in texts]
    return tuple(text for n, text in enumerate(texts) if sum(sizes[: n + 1]) <= LIMIT)


def _texts(view: View, status: Status, stalled: Stall | None) -> Iterator[str]:
    process, bound = view.current(status), _bound(view, status)
    if status.next_attempt_at is not None:
        yield f"{Wait.NEXT_ATTEMPT} {rfc3339(status.next_attempt_at)}"
    elif process is None or process.never_seen:
        yield from _without_pod(view, status, stalled, bound)
    yield from (_unconfirmed(entry) for entry in status.unconfirmed)
    if process is None or process.closed:
        return
    if not status.unconfirmed:
        yield from waits.vanished(process, view.now)
    pod = process.present_pod
    if pod is not None:
        yield from _told(view, status, process, pod)
        yield from waits.of_pod(process, pod, view.now, bound)
        yield from (_refusal(pod, refusal) for refusal in process.refusals if refusal.times > 0)


def _bound(view: View, status: Status) -> str:
    """Until when a start is waited for."""
    deadline = deadlines.active_deadline(steps.target(view, status), status)
    by_deadline = f"at most until {rfc3339(deadline)}, by activeDeadlineSeconds" if deadline else None
    return by_deadline or "nothing bounds this wait but a stop"


def _without_pod(view: View, status: Status, stalled: Stall | None, bound: str) -> Iterator[str]:
    process = view.current(status)
    if attempts.create_refused(view, status):
        yield attempts.refusal(view)
    elif process is None:
        if stalled is not None:
            yield f"{Wait.NOT_BEGUN} ({stalled.reason}): {stalled.message}"
    elif attempts.awaits_template(view, status):
        yield f"{Wait.TEMPLATE_LOST}, so that no pod can be made; a stop ends the run"
    elif process.status.since + waits.SHOWN_AFTER <= view.now:
        yield f"pod {process.status.pod}, {Wait.UNSEEN}; {bound}"


def _unconfirmed(entry: UnconfirmedProcess) -> str:
    others = f" and of {entry.count - 1} more operations" if entry.count is not None and entry.count > 1 else ""
    where = f"the process of pod {entry.pod}{others} on node {entry.node or '(unknown)'}"
    if entry.reason is UnconfirmedReason.NODE_LOST:
        ends = "its return, its deletion, its taint node.kubernetes.io/out-of-service, or onLostNode: Forget"
        return f"{where}, {Wait.NODE_LOST}; nothing bounds this wait but {ends}"
    return f"{where}, {Wait.UNKILLABLE}; mend what it hangs on in the kernel (a dead NFS server), or restart the node"


def _told(view: View, status: Status, process: Process, pod: PodView) -> Iterator[str]:
    """Also where the main program has left: that others of its container go on is seen by an answer to a push alone."""
    held = status.stop
    if held.mode is None or held.since is None or pod.workflow.phase is not ContainerPhase.RUNNING or process.reported:
        return
    if held.grace_period_seconds is not None:
        bound = f"SIGKILL follows after their grace of {held.grace_period_seconds} s"
    elif held.kill_after is not None:
        bound = f"it becomes a Kill at {rfc3339(held.kill_after)}"
    else:
        bound = "nothing bounds this wait but a Kill"
    left = _those_left(process, pod, view.accepted_ids(status))
    yield f"{left}, {Wait.TOLD} at {rfc3339(held.since)} ({held.mode}); {bound}"


def _those_left(process: Process, pod: PodView, accepted: frozenset[str]) -> str:
    answer = process.pushed.answer if process.pushed else None
    if answer is None or answer.command_id not in accepted or not (answer.main_ended and answer.left):
        return f"the processes of container {pod.workflow.name} of pod {pod.name}"
    have = "process has" if answer.left == 1 else "processes have"
    return f"the main program of pod {pod.name} has ended, {answer.left} {have} not"


def _refusal(pod: PodView, refusal: Refusal) -> str:
    """Who refuses is in the API server's own words."""
    if refusal.call is PodCall.DELETE:
        return f"{Wait.DELETE_REFUSED} of pod {pod.name}, which is asked for again and again: {refusal.message}"
    return f"{Wait.STOP_REFUSED} that is posted to pod {pod.name}, asked again; a Kill deletes it: {refusal.message}"


def _key(text: str) -> str:
    return text.partition(": ")[0]
