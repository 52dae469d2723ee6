"""Shown: what an operation says of itself that a run does not.

Contract: words only; nothing decides by them.
"""

from __future__ import annotations

from collections.abc import Iterator

from desist.api.base import rfc3339
from desist.api.conditions import StallReason
from desist.api.status import OperationStatus
from desist.api.vocabulary import Phase
from desist.lifecycle.operation.belong import Word, begun, word
from desist.lifecycle.operation.view import OperationView
from desist.lifecycle.run import attempts
from desist.lifecycle.run.start import Stall
from desist.lifecycle.view import Status

ITS_TIME = "its time, which comes at"
ASKED_AGAIN = "the current attempt of the workflow process, which has to ask for it again"


def stall(view: OperationView, status: Status) -> Stall | None:
    """Why it cannot begin now."""
    if status.at is Phase.PENDING and attempts.create_refused(view, status):
        return Stall(StallReason.CREATE_REFUSED, attempts.refusal(view))
    return None


def waits(view: OperationView, status: Status) -> Iterator[str]:
    """What it waits for beside its process."""
    if view.timed and status.at.unstopped and isinstance(status, OperationStatus) and status.due_at is not None:
        yield f"{ITS_TIME} {rfc3339(status.due_at)}"
    gone = view.observed.creator_read and view.observed.creator_uid != view.spec.created_by.pod_uid
    if view.spec.local is None and not begun(status) and (gone or word(view) is Word.EARLIER):
        yield f"{ASKED_AGAIN} (createdBy is pod {view.spec.created_by.pod_name})"
