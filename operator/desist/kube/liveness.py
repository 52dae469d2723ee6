"""How live a watch is: what probes are told of it, and how long it waits before it tries again.

Contract: no clock, no waiting, no I/O. Whoever tells it something, or asks, says `now`: the loop's time, in seconds.
It is asked two things, and the answers are words, or None:
- `stuck`: only a restart can help. Its task does not run, or has done nothing for longer than any step of it may take.
  A wait that is due counts as done until its end, however long the server asked for.
- `behind`: what is mirrored may not be what the cluster is. It was not listed, no watch was let in yet, or nothing was
  heard for too long. A server that fails or forbids makes it so, and no restart would help.
Each failure in a row doubles the wait; a watch that was open for STEADY seconds ends the row.
Trap: a watch that is let in and ends at once counts as a failure, though nobody said that it was one. Else a server
that does so again and again would be stormed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

STEADY = 1.0
"""Seconds after which a watch counts as one that works."""


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds."""

    watch: int = 60
    """After so long the server ends a watch, and it goes on in a new one: the longest that a quiet one is silent."""
    margin: float = 15.0
    """How much later than that a silent watch counts as half-open."""
    backoff: float = 0.1
    """Before the first try after a failure; doubles with each one more."""
    backoff_max: float = 5.0
    patience: float = 15.0
    """How long failures may last before `behind` speaks of them."""

    @property
    def silence(self) -> float:
        """How long nothing at all may come."""
        return self.watch + self.margin

    def delay(self, failures: int) -> float:
        """Back-off after so many failures in a row, jittered."""
        return min(self.backoff * 2.0 ** min(failures - 1, 30), self.backoff_max) * random.uniform(0.5, 1.0)


class Liveness:
    """Of one watch, with the lists that it begins with."""

    def __init__(self, what: str, timing: Timing, request_timeout: float) -> None:
        """`what` is watched, in words; `request_timeout`: seconds that one request may take."""
        self.running = False
        """Whether its task runs."""
        self.listed = False
        """Whether a whole list was told."""
        self.failures = 0
        """How many there were in a row."""
        self._what = what
        self._timing = timing
        self._longest_step = timing.silence + request_timeout + timing.backoff_max
        self._reason = ""
        """Of the last failure, until a watch is open again."""
        self._contact = float("-inf")
        """When something came last."""
        self._turned = float("-inf")
        """When it last did something; while it sleeps, when it will."""
        self._opened = float("inf")
        """When the present watch was let in."""
        self._let_in = False
        """Whether a watch was ever open."""

    def stuck(self, now: float) -> str | None:
        """Why only a restart can help; None: it works, or tries to."""
        if not self.running:
            return f"watch of {self._what}: its task does not run"
        quiet = now - self._turned
        return f"watch of {self._what}: stuck for {quiet:.0f} s" if quiet > self._longest_step else None

    def behind(self, now: float) -> str | None:
        """Why what is mirrored may not be what the cluster is; None: it follows."""
        if not self.listed:
            return f"watch of {self._what}: not listed yet{self._because()}"
        if not self._let_in:
            return f"watch of {self._what}: not open yet{self._because()}"
        bound = self._timing.patience if self._reason else self._timing.silence
        quiet = now - self._contact
        return f"watch of {self._what}: nothing heard for {quiet:.0f} s{self._because()}" if quiet > bound else None

    def turn(self, now: float) -> None:
        """It begins to list, or to watch."""
        self._turned, self._opened = now, float("inf")

    def listing(self, now: float) -> None:
        """A part of a list came: no news before the rest of it has, and that may never come."""
        self._turned = now

    def heard(self, now: float) -> None:
        """Something came from the server that is known now."""
        self._contact = self._turned = now

    def opened(self, now: float) -> bool:
        """The server has let the watch in; says whether it had failed before."""
        failed = bool(self._reason)
        self._let_in, self._opened, self._reason = True, now, ""
        self.heard(now)
        return failed

    def ended(self, now: float) -> bool:
        """The watch has come to its end; says whether it had worked. Else it is one more failure."""
        if self._steady(now):
            self.failures = 0
            return True
        self.failed(now)
        return False

    def failed(self, now: float, reason: str | None = None) -> None:
        """One more failure in a row; a watch that went well for a while ends the row. None: nothing new to say."""
        self.failures = 1 if self._steady(now) else self.failures + 1
        if reason is not None:
            self._reason = reason

    def pause(self, now: float, least: float) -> float:
        """How long to wait now, `least` seconds or more; it is not stuck until then."""
        wait = max(least, self._timing.delay(self.failures))
        self._turned, self._opened = now + wait, float("inf")
        return wait

    def open_for(self, now: float) -> float:
        """Seconds since the present watch was let in; below 0 where it was not."""
        return now - self._opened

    def _steady(self, now: float) -> bool:
        return self.open_for(now) >= STEADY

    def _because(self) -> str:
        return f": {self._reason}" if self._reason else ""
