"""The processes of a fan-out on this machine: when each heard its SIGTERM, when each died, how many live.

Contract: a `Watched` is made before the stop, when all of the programs run, and holds what it needs to tell of them
when nothing is left of their pods: a pidfd of each process that has the marker in its arguments (launchers and the
workflow process too), and the memory file into which each `STOPPABLE` writes. A death is the moment at which this
process sees the pidfd readable; `alive` asks the kernel at that moment, and not what was seen before.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hack.bench.fanout_programs import SIGNALLED

LOOK_SECONDS = 0.5


class Watched(threading.Thread):
    """The processes with this marker, as they are now."""

    def __init__(self, marker: str) -> None:
        super().__init__(daemon=True)
        pids = list(processes(marker))
        self._notes = [file for pid in pids for file in notes(pid)]
        self._handles = [os.pidfd_open(pid) for pid in pids]
        self.dead: list[float] = []
        """When they died, in order; seconds since the epoch."""

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self._handles)

    def run(self) -> None:
        """Note each death."""
        waiting = _polling(self._handles)
        while len(self.dead) < len(self._handles):
            for handle, _ in waiting.poll():
                self.dead.append(time.time())
                waiting.unregister(handle)

    def alive(self) -> int:
        """How many live now."""
        return len(self._handles) - len(_polling(self._handles).poll(0))

    def signalled(self) -> list[float]:
        """When those that heard a SIGTERM heard it; seconds since the epoch."""
        said = [os.pread(file.fileno(), 64, 0) for file in self._notes]
        return sorted(float(text) for text in said if text)

    def all_dead(self, seconds: float = 120) -> list[float]:
        """Wait for it: when each died. Raises TimeoutError."""
        self.join(seconds)
        if self.is_alive():
            raise TimeoutError(f"{self.alive()} of {self.count} processes live after {seconds} s")
        return self.dead

    def close(self) -> None:
        """Let go of them."""
        for file in self._notes:
            file.close()
        for handle in self._handles:
            os.close(handle)


def wait_for(marker: str, programs: int, seconds: float = 240) -> None:
    """Until so many `STOPPABLE` with this marker listen. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while (found := sum(1 for pid in processes(marker) for _ in _paths(pid))) < programs:
        if time.monotonic() > end:
            raise TimeoutError(
                f"{found} of {programs} programs run after {seconds} s; do the nodes run on this machine?"
            )
        time.sleep(LOOK_SECONDS)


def processes(marker: str) -> Iterator[int]:
    """Pids, on this machine, of the processes with the marker in an argument."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found = marker.encode() in (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if found:
                yield int(folder.name)


def _paths(pid: int) -> Iterator[Path]:
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            if os.readlink(link).startswith(f"/memfd:{SIGNALLED}"):
                yield link
    except OSError:
        return


def notes(pid: int) -> Iterator[BinaryIO]:
    return (path.open("rb", buffering=0) for path in _paths(pid))


def _polling(handles: list[int]) -> select.poll:
    made = select.poll()
    for handle in handles:
        made.register(handle, select.POLLIN)
    return made
