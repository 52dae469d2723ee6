"""How kopf is set: as a frame that watches Workflows, writes nothing, and keeps no body.

Contract: `configure` is called once, from the start-up handler. kopf writes no annotation (storages that store
nothing), no finalizer (N.B.: it *removes* its own default finalizer from any object, so it is given a name of ours that
nobody uses), no Event, no status (handlers return None). It goes on for ever when the API server is away: the default
back-offs end the operator after 54 s, a short tuple makes a brief 503 fatal, an empty one spins. It does not scan for
kinds and namespaces: the start waits for ours, and the account needs no right to read CRDs. Its first list is one JSON
of everything, which takes more memory than all that is kept: where the server can stream it, the start-up handler
turns that on (a server that cannot would refuse, and a refusal ends the operator). A trap: a stream that is cut before
its end goes on behind the last object that came; what was left out is found by `Resync`. A watch that is silent for
30 s is made anew (kopf's own 70 s is above the server's bookmarks, one a minute): a connection that was made while a
node came up may be dead, and nobody says so. Rejected: pages (`chunk_size`: one that has expired is a 410 that ends the
operator).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import Any

import kopf

from desist.api.meta import GROUP

LEVELS = 25_000
"""Python's recursion limit. The API server takes JSON that is nested 10,000 levels deep, and reading takes two frames a
level at most. With Python's own 1,000 one such object would end a list, a watch and kopf's reading for everybody."""


def allow_deep_json() -> None:
    """Read everything that the API server stores; whether it is too deep to run is said at the object."""
    sys.setrecursionlimit(LEVELS)


class EndlessBackoff:
    """0.1 s doubling to 5 s, then 5 s for ever; can be iterated again, as kopf does for every request."""

    def __iter__(self) -> Iterator[float]:
        return chain((0.1, 0.2, 0.4, 0.8, 1.6, 3.2), repeat(5.0))


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no essence of an object; the default copies every body deeply to find one."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:
        """Nothing of it matters."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Nothing was kept."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Keep nothing."""


class NoProgress(kopf.ProgressStorage):
    """Keeps no progress of handlers: ours never wait, never retry."""

    def fetch(self, *, key: Any, body: kopf.Body) -> Any:
        """Nothing was kept."""
        return None

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Keep nothing."""

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing is there."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Touch nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """As it is: the default copies it deeply."""
        return essence


def configure(settings: kopf.OperatorSettings) -> None:
    """Set kopf as the contract above says."""
    allow_deep_json()
    settings.persistence.finalizer = f"{GROUP}/never-set"
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.networking.error_backoffs = EndlessBackoff()
    settings.networking.connect_timeout = 5.0
    settings.networking.request_timeout = 30.0
    settings.watching.server_timeout = 300  # an integer: kopf writes it into the query as it is
    settings.watching.connect_timeout = 5.0
    settings.watching.inactivity_timeout = 30.0
    settings.queueing.worker_limit = 100
    settings.queueing.idle_timeout = 0.01
    settings.queueing.exit_timeout = 0.2
    settings.queueing.error_delays = (0.1, 0.5, 2.0)
