"""The one folder that holds all state, and the lock that checkouts share it by.

Contract: `home()` names every path, creates nothing but the folder itself, and knows nothing of the checkout it is
called from. `cluster_lock()` is held by whoever changes the cluster or relies on it (up, down, tests, demo). It is
reentrant, for threads of one process and for child processes, which learn of it through an environment variable.
The kernel drops the lock when its holder dies; a lock made of a file's existence was rejected for that.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

HELD_VARIABLE = "DESIST_LOCK_HELD"
# Sockets below the run folder add up to 45 characters, and a socket's path ends at 107.
LONGEST_RUN_FOLDER = 60


@dataclass(frozen=True)
class Home:
    """Paths of the state folder."""

    root: Path

    @property
    def kubeconfig(self) -> Path:
        """Admin credentials of the cluster."""
        return self.root / "kubeconfig"

    @property
    def lock(self) -> Path:
        """Held by `cluster_lock()`."""
        return self.root / "lock"

    @property
    def logs(self) -> Path:
        """One log for each long step."""
        return self.root / "logs"

    @property
    def engine(self) -> Path:
        """Data and settings of an engine of our own; also remembers which engine was chosen."""
        return self.root / "engine"

    @property
    def cluster(self) -> Path:
        """What `kind create` was given, and the key of it."""
        return self.root / "cluster"

    @property
    def run(self) -> Path:
        """Sockets and pid files of an engine of our own; elsewhere where the path would be too long."""
        inside = self.root / "run"
        if len(str(inside)) <= LONGEST_RUN_FOLDER:
            return inside
        return Path("/run") / self.label

    @property
    def label(self) -> str:
        """A name for what is on the host and not below the folder; no two folders share it."""
        return f"desist-{hashlib.sha256(str(self.root).encode()).hexdigest()[:8]}"

    def log(self, name: str) -> Path:
        """Log file of the step `name`; its folder exists."""
        self.logs.mkdir(parents=True, exist_ok=True)
        return self.logs / f"{name}.log"


def home() -> Home:
    """State folder: $DESIST_HOME, else ~/.cache/desist."""
    root = Path(os.environ.get("DESIST_HOME") or Path.home() / ".cache" / "desist").absolute()
    root.mkdir(parents=True, exist_ok=True)
    return Home(root)


def without_lock(environment: dict[str, str]) -> dict[str, str]:
    """The environment for a process that outlives the lock's holder."""
    return {name: value for name, value in environment.items() if name != HELD_VARIABLE}


@contextmanager
def cluster_lock() -> Iterator[None]:
    """Hold the cluster for this process and its children; waits, and says for whom, while another holds it."""
    place = home()
    if os.environ.get(HELD_VARIABLE) == str(place.lock):
        yield
        return
    lock = FileLock(place.lock)
    _acquire(lock, place.lock.with_suffix(".holder"))
    os.environ[HELD_VARIABLE] = str(place.lock)
    try:
        yield
    finally:
        del os.environ[HELD_VARIABLE]
        lock.release()


def _acquire(lock: FileLock, holder: Path) -> None:
    try:
        lock.acquire(timeout=1)
    except Timeout:
        who = holder.read_text().strip() if holder.exists() else "unknown"
        print(f"waiting for the cluster's lock, held by {who}", file=sys.stderr, flush=True)
        lock.acquire()
    holder.write_text(f"pid {os.getpid()}: {' '.join(sys.argv)[:200]}\n")
