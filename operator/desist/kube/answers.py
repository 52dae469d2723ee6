"""How soon the API server answers, lately: what tells a request that hangs from a server that is slow for everybody.

Contract: `took` is told of each answer to a request that was carried out; `usual` is a moving mean of some ten of them,
in seconds, of which half is forgotten each HALF_LIFE: a busy minute says nothing of a request an hour later. A request
hangs where it takes HANGS times as long. No clock, no waiting: whoever asks has both, `now` in seconds.
A request that is never answered tells nothing, so what hangs for one tenant does not count as usual.
Rejected: a bound that stands by itself (forty stops at once on a machine with much else to do were answered later than
any that is good against a webhook that hangs; each was then given up, and written again, into the same load).
"""

from __future__ import annotations

import math

HANGS = 4.0
WEIGHT = 0.1
"""Of the newest answer in the mean."""
HALF_LIFE = 30.0
"""Seconds."""


class Answers:
    """The answers of one lane."""

    def __init__(self) -> None:
        self._mean = 0.0
        self._last = 0.0

    def usual(self, now: float) -> float:
        """What an answer takes just now."""
        return self._mean * math.exp2((self._last - now) / HALF_LIFE)

    def took(self, seconds: float, now: float) -> None:
        """One more was answered, after so long."""
        usual = self.usual(now)
        self._mean, self._last = usual + WEIGHT * (seconds - usual), now

    def within(self, least: float, most: float, now: float) -> float:
        """How long to wait for an answer: `least` seconds, longer where all take long, at most `most`."""
        return max(least, min(HANGS * self.usual(now), most))
