"""Target: what a command is judged against, beside the status of what it is to stop.

Contract: a run fills it, and whatever else has a `Stoppable` status; the functions that accept, record and escalate
take a target and a status, and give back a status of the same kind. A status that comes back with a terminal phase is
accepted and has no process: whoever asked closes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from desist.api.cancellation import Cancellation
from desist.api.status import Stoppable
from desist.api.vocabulary import Mode
from desist.api.workflow import StopPolicy
from desist.lifecycle.stop.accept import Row, row

S = TypeVar("S", bound=Stoppable)


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be stopped, as far as its status does not say it."""

    uid: str
    now: datetime
    request: Cancellation | None
    """What the spec asks for."""
    policy: StopPolicy
    active_deadline_seconds: int | None
    has_process: bool
    """Whether the current attempt has a pod, or may have one, whose process is not known to be gone."""
    keeps: frozenset[Mode] = frozenset()
    """Of a run: modes that, without such a process, still leave operations to be closed before it can end."""
    left_over: bool = False
    """Of an ended run: whether operations that it left running go on."""
    reaping: bool = False
    """Whether a Kill is ending those."""
    what: str = "run"
    """What it is, in words."""
    posted_deadline: datetime | None = None
    """When SIGKILL is due by what the current pod's mailbox holds."""
    lingers: bool = False
    """Whether its process has ended, and a regular container that admission has put beside it goes on."""
    field_manager: str | None = None
    """Who wrote the request's mode last."""

    def row(self, status: Stoppable, mode: Mode) -> Row:
        """The row of the table by which a command of that mode is judged."""
        pod = self.has_process or mode in self.keeps
        return row(status.at, pod=pod, left_over=self.left_over, reaping=self.reaping)
