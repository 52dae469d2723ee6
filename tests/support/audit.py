"""The API server's audit log, read from a moment on.

Contract: `since` of an `Audit` gives the whole lines that were written after it was made. A log is turned over when it
is full, in the middle of a test too: what was written before goes on under another name, and is read there. No more of
it is read than that: after some suites it has a hundred megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hack.cluster.api import node_names
from hack.cluster.engine import current

LOG = "/var/log/kubernetes/audit.log"
WHERE = 'stat --format="%i %s" "$1"'
SINCE = """
file=$(find "$(dirname "$1")" -maxdepth 1 -inum "$2")
tail --bytes="+$3" "$file"
[ "$file" -ef "$1" ] || cat "$1"
"""
"""From the byte before the place on, so that it shows whether a line begins there."""


def on_control_plane(script: str, *arguments: str) -> str:
    """What a script prints on the API server's node."""
    return current().docker("exec", node_names()[0], "sh", "-c", script, "sh", *arguments)


class Audit:
    """The place in the log at which it was made; `run` runs scripts where the log is."""

    def __init__(self, log: str = LOG, run: Callable[..., str] = on_control_plane) -> None:
        self._log, self._run = log, run
        self._file, self._size = run(WHERE, log).split()

    def since(self) -> Iterator[str]:
        """The lines; one that is half written, now or at the beginning, is none."""
        text = self._run(SINCE, self._log, self._file, self._size)
        begun = text if self._size == "0" else text.partition("\n")[2]
        yield from begun.rpartition("\n")[0].splitlines()
