"""A workflow process as it truly is: a program, and the launcher in front of it.

Contract: this is what invariants are checked against; no controller ever looks here. The launcher is written from its
documented behaviour: one stop signal, the earliest deadline from its own first readings, a receipt as the first line of
the termination message.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from desist.api.base import rfc3339
from tests.unit.lifecycle_sim.clock import Clock, Wall

SIGKILLED = 137
SIGTERMED = 143
LOST_BY_REBOOT = 255


@dataclass(frozen=True)
class Program:
    """How a program behaves."""

    name: str
    runs: float | None = None
    """Seconds after which it ends by itself; None: never."""
    code: int = 0
    says: str = ""
    """The outcome that it writes when it ends by itself."""
    cleanup: float | None = 2.0
    """Seconds from the stop signal to its exit; None: it ignores the signal."""
    stopped_code: int = 0
    stopped_says: str = ""
    """The outcome that it writes when it ends because of the stop signal."""
    out_of_memory: bool = False
    unkillable: bool = False
    """In uninterruptible sleep: not even SIGKILL ends it, only a reboot."""
    sidecar: float | None = None
    """Seconds that a sidecar takes to end after the program; None: there is none."""


PROGRAMS = (
    Program("cooperative"),
    Program("slow to clean up", cleanup=20),
    Program("exits with a code when stopped", stopped_code=3),
    Program("deaf", cleanup=None),
    Program("finishes in spite of a cancel", cleanup=4, stopped_says="Succeeded"),
    Program("fails while it is cancelled", cleanup=1, stopped_code=1, stopped_says="Failed"),
    Program("says that it was cancelled", cleanup=1, stopped_says="Cancelled"),
    Program("succeeds", runs=25),
    Program("succeeds at once", runs=0.3),
    Program("fails", runs=15, code=1),
    Program("says Cancelled without being asked", runs=20, says="Cancelled"),
    Program("runs out of memory", runs=18, out_of_memory=True),
    Program("unkillable", cleanup=None, unkillable=True),
    Program("cooperative, with a sidecar", sidecar=6),
    Program("succeeds, with a sidecar", runs=10, sidecar=6),
)


@dataclass(frozen=True)
class Heard:
    """A launcher's answer to a push."""

    command_id: str
    sequence: int
    main_ended: bool
    left: int


class Process:
    """A launcher and its command, from its start to its death."""

    def __init__(self, program: Program, clock: Clock, changed: Callable[[], None], wall: Wall) -> None:
        self.program = program
        self.wall = wall
        self.alive = True
        self.ran = False
        """Whether the command was started."""
        self.started_at = clock.now
        self.ended_at: float | None = None
        self.code = 0
        self.says = ""
        self.rebooted = False
        self.first: dict[str, Any] | None = None
        self.last: dict[str, Any] | None = None
        self.sigterm_at: float | None = None
        self._clock = clock
        self._changed = changed
        self._deadline: float | None = None
        self._signalled = False

    @property
    def told(self) -> bool:
        """Whether the launcher has read a stop."""
        return self.first is not None

    def begin(self, mailbox: str) -> None:
        """Start the command, unless the mailbox holds a stop already."""
        if mailbox:
            self._note(json.loads(mailbox), "mailbox")
            self._end(SIGTERMED)
            return
        self.ran = True
        if self.program.runs is not None:
            self._clock.after(self.program.runs, self._end_by_itself)

    def read(self, mailbox: str) -> None:
        """The mailbox changed."""
        self._take(json.loads(mailbox), "mailbox")

    def hear(self, text: str) -> Heard | None:
        """A push arrives; None: nobody answers. It is the same to whoever has read it already, by whichever way."""
        stop = json.loads(text)
        if not self.alive:
            return None
        self._take(stop, "push")
        # As with a shell in front, which is dead while the program cleans up.
        main_ended = self._signalled and self.program.cleanup is not None
        return Heard(stop["commandId"], stop["sequence"], main_ended=main_ended, left=1)

    def _take(self, stop: dict[str, Any], by: str) -> None:
        if not self.alive or (self.last is not None and stop["sequence"] <= self.last["sequence"]):
            return
        self._note(stop, by)
        grace = stop.get("graceSeconds")
        if grace is not None:
            self._kill_by(self._clock.now + grace)
        if grace != 0:
            self._signal()

    def sigterm(self) -> None:
        """The kubelet's SIGTERM."""
        if self.alive and self.sigterm_at is None:
            self.sigterm_at = self._clock.now
            self._signal()

    def sigkill(self) -> None:
        """SIGKILL, by whomever."""
        if not self.program.unkillable:
            self._end(SIGKILLED)

    def power_off(self) -> None:
        """Its machine stops."""
        if self.alive:
            self.rebooted = True
            self._end(LOST_BY_REBOOT)

    def message(self) -> str:
        """The termination message: the receipt, and the program's outcome."""
        receipt: dict[str, Any] = {"receipt": 1, "started": self.ran, "outcome": "ok" if self.says else "absent"}
        if self.first is not None:
            receipt["stop"] = self.first
        if self.last is not None and self.last != self.first:
            receipt["last"] = self.last
        if self.sigterm_at is not None:
            receipt["sigterm"] = rfc3339(self.wall.at(self.sigterm_at))
        if self.says:
            receipt["says"] = self.says
        return "\n".join([json.dumps(receipt), *([json.dumps({"outcome": self.says})] if self.says else [])])

    def _note(self, stop: dict[str, Any], by: str) -> None:
        read = {key: stop[key] for key in ("sequence", "commandId", "mode")}
        self.last = {**read, "at": rfc3339(self.wall.at(self._clock.now)), "by": by}
        self.first = self.first or self.last

    def _signal(self) -> None:
        if self._signalled:
            return
        self._signalled = True
        if self.program.cleanup is not None:
            self._clock.after(self.program.cleanup, self._end_by_signal)

    def _kill_by(self, moment: float) -> None:
        if self._deadline is None or moment < self._deadline:
            self._deadline = moment
            self._clock.after(moment - self._clock.now, self.sigkill)

    def _end_by_itself(self) -> None:
        if not self._signalled:
            self._end(SIGKILLED if self.program.out_of_memory else self.program.code, self.program.says)

    def _end_by_signal(self) -> None:
        self._end(self.program.stopped_code, self.program.stopped_says)

    def _end(self, code: int, says: str = "") -> None:
        if not self.alive:
            return
        self.alive = False
        self.code, self.says, self.ended_at = code, says, self._clock.now
        self._changed()
