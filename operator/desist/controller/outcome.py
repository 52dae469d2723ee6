"""How a plan, or a part of one, went."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """How it went."""

    DONE = "done"
    AGAIN = "again"
    """Something is otherwise than it was judged: decide anew, soon."""
    GONE = "gone"
    """The execution does not exist any more (or another one has its name)."""
    UNWRITTEN = "unwritten"
    """The status could not be written, and nothing of what hangs on it was done."""
