"""What a pass wants done: actions in order, as frozen values.

Contract: the controller does them in this order and stops at the first that fails; the next pass decides anew from
what is there. At most one `WriteStatus` a plan, and it comes first; Events of it come next, before all that
touches a pod, where a conflict may end the plan. Every action may be repeated without harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from desist.api.base import Opaque
from desist.api.status import Stoppable


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Replace status, under the resourceVersion that was judged."""

    status: Stoppable


@dataclass(frozen=True, slots=True)
class CreatePod:
    """Create a pod; 409 AlreadyExists is fine."""

    name: str
    manifest: Opaque


@dataclass(frozen=True, slots=True)
class PostMailbox:
    """PATCH the annotation desist.dev/stop under the pod's UID and resourceVersion."""

    pod: str
    uid: str
    resource_version: str
    text: str
    lean: str = ""
    """The same without reason and details, for an API server that does not take it whole."""
    over: str = ""
    """The mailbox that was judged; where it is another by now, or the container has begun to run, nothing is posted."""
    started: bool = True
    """Whether the workflow container was seen started."""
    asks: str = ""
    """Mode and grace, which is what a refusal is remembered by."""
    again: datetime | None = None
    """When it was due, where the mailbox holds the same already, and only the change counts; None: it does not."""


@dataclass(frozen=True, slots=True)
class PushStop:
    """Send the stop as one signed datagram to the pod's launcher, and go on at once: nothing waits for its answer.

    That it was sent goes into `Sight.pushes`, also where it could not be: it fails no plan.
    """

    pod: str
    uid: str
    address: str
    key_id: str
    port: int
    text: str
    """The stop as a datagram carries it (wire/datagram.py): JSON, cut."""
    sequence: int
    """Of the stop."""
    asks: str
    """Mode and grace, which tells one stop of a sequence from another."""


@dataclass(frozen=True, slots=True)
class DeletePod:
    """DELETE under the pod's UID."""

    pod: str
    uid: str
    grace_seconds: int | None
    """None: the pod's own."""
    resource_version: str = ""
    """Precondition, for a pod whose workflow container has not started; empty: none. `AFTER_POST`: the one that this
    plan's PostMailbox to the same pod returned."""


AFTER_POST = "after-post"


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """A Kubernetes Event about the execution."""

    warning: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Pass again at that time at the latest."""

    when: datetime


Action = WriteStatus | CreatePod | PushStop | PostMailbox | DeletePod | EmitEvent | WakeAt


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions in order."""

    actions: tuple[Action, ...] = ()
