"""Proof from the node: which processes with a marker in their arguments are alive, read from /proc.

Contract: nothing that Kubernetes says counts here. The nodes are containers of this machine, so that every process of
every pod is in this machine's /proc; a process in our own PID namespace (kubectl, the tests) is none of a pod's.
`gone_for_good` looks twice, some seconds apart, because what is dead must stay dead.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

STAYS_DEAD_SECONDS = 3.0


@dataclass(frozen=True)
class Process:
    """One live process of a pod."""

    pid: int
    """In this machine's namespace."""
    arguments: tuple[str, ...]
    started: str
    """Start time in clock ticks after boot; with the pid it names the process for good."""


def processes(marker: str) -> list[Process]:
    """Every process of a pod with the marker in its arguments, the launcher's own included."""
    return [found for entry in Path("/proc").iterdir() if entry.name.isdecimal() and (found := _read(entry, marker))]


def workflow_processes(marker: str) -> list[Process]:
    """The same, without the launcher: what the template's command has become."""
    return [process for process in processes(marker) if "desist-launcher" not in process.arguments[0]]


def gone_for_good(marker: str) -> bool:
    """Whether nothing of it lives, now and some seconds later."""
    if processes(marker):
        return False
    time.sleep(STAYS_DEAD_SECONDS)  # the absence of an event cannot be waited for
    return not processes(marker)


def _read(entry: Path, marker: str) -> Process | None:
    try:
        arguments = tuple(entry.joinpath("cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0"))
        if not any(marker in word for word in arguments) or _namespace(entry) == _namespace(Path("/proc/self")):
            return None
        fields = entry.joinpath("stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return None if fields[0] in "ZX" else Process(int(entry.name), arguments, fields[19])


def _namespace(process: Path) -> str:
    return os.readlink(process / "ns" / "pid")
