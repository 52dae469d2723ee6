"""The processes that will be stopped, as this machine's kernel shows them: heard, dead, alive.

Contract: `Sight.take` is asked while the programs run, and opens what will tell of them when nothing of their pods is
left: a pidfd of each process whose last argument is the marker (a launcher too), and the memory file into which the
program writes the time of its SIGTERM. A death is the moment at which a thread sees the pidfd readable; `alive` asks
the kernel itself. Markers are whole arguments: one that begins another takes none of its processes.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hack.bench.fanout_processes import notes


@dataclass(slots=True)
class Watched:
    """The processes of one marker."""

    handles: list[int]
    program: int
    """The pidfd of the one that writes down what it hears."""
    note: BinaryIO

    def alive(self) -> int:
        """How many live now."""
        asked = select.poll()
        for handle in self.handles:
            asked.register(handle, select.POLLIN)
        return len(self.handles) - len(asked.poll(0))

    def heard(self) -> float | None:
        """When the program's handler ran first; seconds since the epoch."""
        text = os.pread(self.note.fileno(), 64, 0)
        return float(text) if text else None

    def close(self) -> None:
        """Let go of them."""
        self.note.close()
        for handle in self.handles:
            os.close(handle)


class Sight(threading.Thread):
    """Notes each death. It runs until the process ends."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._waiting = select.epoll()
        self._dead: dict[int, float] = {}

    def run(self) -> None:
        """Wait for deaths, for ever."""
        while True:
            for handle, _ in self._waiting.poll():
                self._dead[handle] = time.time()
                self._waiting.unregister(handle)

    def take(self, markers: Iterable[str]) -> dict[str, Watched]:
        """Those of the markers whose programs listen by now."""
        found: dict[str, list[int]] = {marker: [] for marker in markers}
        for pid, last in _last_arguments():
            if last in found:
                found[last].append(pid)
        taken = {marker: _opened(pids) for marker, pids in found.items()}
        whole = {marker: watched for marker, watched in taken.items() if watched is not None}
        for watched in whole.values():
            for handle in watched.handles:
                self._dead.pop(handle, None)
                self._waiting.register(handle, select.EPOLLIN)
        return whole

    def dead(self, watched: Watched) -> float | None:
        """When the program died; None: it lives."""
        return self._dead.get(watched.program)

    def all_dead(self, watched: Watched) -> bool:
        """Whether nothing of it lives, so that it may be closed."""
        return all(handle in self._dead for handle in watched.handles)


def _opened(pids: list[int]) -> Watched | None:
    """All that is needed of these processes; None where the program does not listen yet, or is gone."""
    handles: list[int] = []
    listening: list[tuple[int, BinaryIO]] = []
    try:
        for pid in pids:
            handles.append(os.pidfd_open(pid))
            listening += [(handles[-1], note) for note in notes(pid)]
    except OSError:
        pass  # it went away meanwhile: nothing to be measured
    if len(listening) == 1 and len(handles) == len(pids):
        return Watched(handles, *listening[0])
    for _, note in listening:
        note.close()
    for handle in handles:
        os.close(handle)
    return None


def _last_arguments() -> Iterator[tuple[int, str]]:
    """Each process of this machine with its last argument."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                arguments = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            except OSError:
                continue
            yield int(folder.name), arguments[-1].decode(errors="replace")
