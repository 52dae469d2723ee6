"""The end of a process: its cause, and what was reported with it.

Contract: values only. `cause.py` fills them from evidence, the run's `outcome.py` says what becomes of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from desist.api.base import Opaque
from desist.api.vocabulary import Phase


class Cause(StrEnum):
    """How a workflow process ended."""

    EXITED = "exited"
    DISRUPTED = "disrupted"
    VANISHED = "vanished"
    OUT_OF_MEMORY = "out_of_memory"
    PROBE = "probe"
    INIT = "init"
    START = "start"
    UNEXPLAINED = "unexplained"
    """No receipt of the launcher, and nothing else that explains the end."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of a workflow process."""

    cause: Cause
    exit_code: int | None = None
    told: bool = False
    """The receipt names a stop that the launcher read."""
    says: Phase | None = None
    """The valid outcome that the user's code wrote."""
    result: Opaque | None = None
    message: str = ""
    """In words, for `failure.message`."""
    at: datetime | None = None
    """When, by the kubelet."""
