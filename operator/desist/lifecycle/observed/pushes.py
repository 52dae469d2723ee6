"""Pushes, as a reconcile sees them: how a pod takes one, what was sent to it last, and what its launcher answered.

Contract: all of it is kept in memory only, and may be lost or late. An answer is good for words, for history and for
sparing a repeat; it proves nothing. Times are the controller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PushTo:
    """How a pod's launcher takes a push, as the pod was made."""

    key_id: str
    """Of the key by which it verifies."""
    port: int


@dataclass(frozen=True, slots=True)
class PushAnswer:
    """What a launcher answered to a push: good for words, for history, and for sparing a repeat; it proves nothing."""

    command_id: str
    sequence: int
    did: str
    """As the launcher spells it: told, killing, noted."""
    told: int
    """How many processes it has signalled."""
    refused: int
    """How many of them refused the signal."""
    main_ended: bool
    """Whether the command itself has exited."""
    left: int
    """How many other processes still live."""
    at: datetime
    """When the answer came, by the controller's clock."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What this process pushed last to a pod. It is kept in memory only, and may be lost."""

    pod_uid: str
    sequence: int
    asks: str
    """Mode and grace, as `plan.PushStop.asks` had it."""
    sent_at: datetime
    answer: PushAnswer | None = None
    """The last that this pod's launcher gave, whichever of the pushes to it that answers; None: none came."""
