"""What is kept of each stop: one line of JSON, from which every figure can be made again.

Contract: times are seconds since the epoch by this machine's clock, on which the nodes run too. A file begins with a
line that says what was measured (`Measured`), and has one line for each stop; each line is flushed when it is known, so
that a run that is cut short has lost nothing but its last stop. Writes are known only when all is over: lines of their
own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PUSH, MAILBOX, JOB, POD = "push", "mailbox", "job", "pod"
SIDES = (PUSH, MAILBOX, JOB, POD)
IDLE, STORM, STARTED = "idle", "storm", "started"
CANCEL, FORCE, KILL = "Cancel", "Force", "Kill"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured, and where."""

    began: str
    """UTC, ISO 8601."""
    commit: str
    cores: int
    push: bool
    """Whether the installed release has it."""
    left_out: tuple[str, ...] = ()
    """Parts for which there was no time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One stop."""

    side: str
    case: str
    """IDLE: has run for a while, stopped one at a time; STORM: all at once; STARTED: stopped as soon as it runs."""
    mode: str
    """As Desist names it; other sides do what is nearest."""
    name: str
    turn: int
    requested: float
    """Just before the request is sent."""
    answered: float
    heard: float | None
    """The program's handler ran; None: it never did."""
    dead: float
    """The program's process."""
    said: float
    """The final word arrived: terminal phase, condition Suspended, the pod's DELETED."""
    alive: int
    """Processes of it that lived at that moment, a launcher among them."""


@dataclass(slots=True)
class Record:
    """All of one run."""

    measured: Measured
    samples: list[Sample] = field(default_factory=list)
    writes: dict[str, dict[str, int]] = field(default_factory=dict)
    """By the name of a sample: how many writes of each kind it took."""

    def of(self, side: str, case: str, mode: str) -> list[Sample]:
        """The stops of one kind."""
        return [each for each in self.samples if (each.side, each.case, each.mode) == (side, case, mode)]

    @property
    def sides(self) -> tuple[str, ...]:
        """Which sides were measured, in their order."""
        found = {each.side for each in self.samples}
        return tuple(side for side in SIDES if side in found)


def line(kind: str, value: Any) -> str:
    """One line of the file."""
    return json.dumps({kind: value if isinstance(value, dict) else asdict(value)}) + "\n"


def read(path: Path) -> Record:
    """A file as it was kept. Raises ValueError where it is none."""
    return parsed(path.read_text().splitlines())


def parsed(lines: Iterable[str]) -> Record:
    """The record of these lines; what was measured comes first, and once more where it has changed."""
    record: Record | None = None
    for text in lines:
        [(kind, value)] = json.loads(text).items()
        if kind == "measured":
            measured = Measured(**{**value, "left_out": tuple(value["left_out"])})
            record = record or Record(measured)
            record.measured = measured
        elif record is None:
            raise ValueError("no file of samples: it does not say first what was measured")
        elif kind == "sample":
            record.samples.append(Sample(**value))
        else:
            record.writes |= value
    if record is None:
        raise ValueError("no file of samples: it is empty")
    return record
