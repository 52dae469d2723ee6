"""How soon the API server answers, lately: what tells a request that hangs from a server that is slow for everybody.

Contract: `took` is told of each answer to a request that was carried out; `usual` is a moving mean of some ten of them,
in seconds. A request hangs where it takes HANGS times as long. No clock, no waiting: whoever asks has both.
A request that is never answered tells nothing, so what hangs for one tenant does not count as usual.
Rejected: a bound that stands by itself (forty stops at once on a machine with much else to do were answered later than
any that is good against a webhook that hangs; each was then given up, and written again, into the same load).
"""

from __future__ import annotations

HANGS = 4.0
WEIGHT = 0.1
"""Of the newest answer in the mean."""


class Answers:
    """The answers of one lane."""

    def __init__(self) -> None:
        self.usual = 0.0

    def took(self, seconds: float) -> None:
        """One more was answered, after so long."""
        self.usual += WEIGHT * (seconds - self.usual)

    def within(self, least: float, most: float) -> float:
        """How long to wait for an answer: `least` seconds, longer where all take long, at most `most`."""
        return max(least, min(HANGS * self.usual, most))
