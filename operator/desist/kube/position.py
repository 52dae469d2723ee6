"""Where a watch goes on: the version up to which all is known, and when it is of no use any more.

Contract: a value that changes, no clock and no I/O. `version` is empty where nothing is known: then a list is due.
A server from which a watch cannot go on at a version does not always call it too old (410). It may be behind that
version, or be unable to decode or convert the event that follows it; then it says 500 or 504, or ends each watch at
once and without a word. So a version at which REFUSED watches in a row brought nothing is given up. A server that is
busy, away or does not know us has refused nothing (`refuses`).
"""

from __future__ import annotations

from desist.kube.errors import ApiError, Forbidden, NotFound, NotServed, NotTheServer, TooManyRequests, Unauthorized
from desist.kube.wire import NOT_AN_EVENT

REFUSED = 8
"""Watches that brought nothing, in a row; with the default back-off that takes some ten seconds, and a server that
loses its store's leader says 500 for a few: a list would be one more load for it, and miss how pods have ended."""


class Position:
    """Of one watch."""

    def __init__(self) -> None:
        self.version = ""
        self._refusals = 0
        """Since the version went on."""

    def reach(self, version: str) -> None:
        """All up to that version is known. A bookmark may say once more where it is: that is no step on."""
        if version != self.version:
            self._refusals = 0
        self.version = version

    def lose(self) -> None:
        """Nothing is known any more."""
        self.reach("")

    def refused(self) -> bool:
        """One more watch was ended by the server, and had brought nothing; says whether that was one too many."""
        self._refusals += 1
        return bool(self.version) and self._refusals >= REFUSED


def refuses(error: ApiError) -> bool:
    """Whether the server has said no to just this watch."""
    passing = isinstance(error, Unauthorized | Forbidden | NotFound | NotServed | NotTheServer | TooManyRequests)
    return not passing and (error.status not in (0, 503) or error.reason == NOT_AN_EVENT)
