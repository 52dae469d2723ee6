"""Waiting: `waitingOn`, in words for people.

Contract: nothing decides by these texts. A text that only differs in what follows its first colon from one that is
there already is kept as it was: a kubelet's messages change with every try, and each change would be a write.
Rejected: showing an init container as soon as it runs (one more write at every start).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from desist.api.base import rfc3339
from desist.api.vocabulary import UnconfirmedReason
from desist.lifecycle.observed import ContainerKind, ContainerPhase, ContainerView, PodCall, PodView, Refusal
from desist.lifecycle.proof.process import reported_end
from desist.lifecycle.run import attempts
from desist.lifecycle.view import Status, View
from desist.lifecycle.wire import mailbox

SHOWN_AFTER = timedelta(seconds=10)
"""An init container that runs for so long is shown."""
REFUSED = "the API server's refusal"
"""How the texts begin that an Event tells of, too."""
LIMIT = 16
TEXT_LIMIT = 1000
SILENT = ("", "ContainerCreating", "PodInitializing")
PULLING = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")


def with_waiting(view: View, status: Status) -> Status:
    """The status with what it waits for."""
    texts = tuple(text[:TEXT_LIMIT] for text in _texts(view, status))[:LIMIT] if status.open else ()
    before = {_key(text): text for text in status.waiting_on}
    return status.replace(waiting_on=tuple(before.get(_key(text), text) for text in texts))


def shown_at(view: View, status: Status) -> datetime | None:
    """When an init container that runs now is shown; None: none runs."""
    process = view.current(status)
    pod = process.present_pod if process else None
    running = [c for c in pod.containers if _running_init(c)] if pod else []
    return min((c.started_at + SHOWN_AFTER for c in running if c.started_at), default=None)


def _texts(view: View, status: Status) -> Iterator[str]:
    if status.next_attempt_at is not None:
        yield f"the next attempt, which starts at {rfc3339(status.next_attempt_at)}"
    if attempts.create_refused(view, status):
        yield attempts.refusal(view)
    for entry in status.unconfirmed:
        lost = entry.reason is UnconfirmedReason.NODE_LOST
        what = "which does not answer" if lost else "where it has not ended after its SIGKILL"
        yield f"the process of pod {entry.pod} on node {entry.node}, {what}"
    process = view.current(status)
    pod = process.present_pod if process else None
    if process is not None and pod is not None:
        yield from _pod_texts(view, pod)
        yield from (_refusal_text(pod, refusal) for refusal in process.refusals if refusal.times > 0)


def _refusal_text(pod: PodView, refusal: Refusal) -> str:
    """Who refuses is in the API server's own words."""
    if refusal.call is PodCall.DELETE:
        return f"{REFUSED} of the DELETE of pod {pod.name}, which is asked for again and again: {refusal.message}"
    return f"{REFUSED} of the stop that is posted to pod {pod.name}, asked again; a Kill deletes it: {refusal.message}"


def _pod_texts(view: View, pod: PodView) -> Iterator[str]:
    if pod.unschedulable and not pod.node:
        yield f"a node for pod {pod.name} ({pod.unschedulable})"
    for container in pod.containers:
        yield from _container_texts(view, pod, container)
    if pod.deletion_timestamp is not None and not mailbox.parse(pod.mailbox) and not reported_end(pod.workflow):
        yield (
            f"pod {pod.name}, which is being deleted with a grace until {rfc3339(pod.deletion_timestamp)} "
            "that nothing can shorten"
        )


def _container_texts(view: View, pod: PodView, container: ContainerView) -> Iterator[str]:
    where = f"container {container.name} of pod {pod.name}"
    if container.phase is ContainerPhase.WAITING and container.reason not in SILENT:
        what = "whose image cannot be pulled" if container.reason in PULLING else f"which waits ({container.reason})"
        yield f"{where}, {what}: {container.message or container.reason}"
    elif _running_init(container):
        if container.started_at and container.started_at + SHOWN_AFTER <= view.now:
            yield f"init {where}, which is running"
    elif container.kind is ContainerKind.SIDECAR and reported_end(pod.workflow) and not reported_end(container):
        yield f"sidecar {where}, which has not ended"


def _running_init(container: ContainerView) -> bool:
    return container.kind is ContainerKind.INIT and container.phase is ContainerPhase.RUNNING


def _key(text: str) -> str:
    return text.partition(": ")[0]
