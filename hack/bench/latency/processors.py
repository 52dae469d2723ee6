"""Who used the processors, from /proc: seconds of each program on this machine between two looks.

Contract: the nodes' processes are this machine's. Programs go by the names below; the operator and this bench, which
are Python like the programs that are stopped, are told by their command line. `Load.since` gives seconds by program,
and as `all` what every processor was busy, which holds also what came and went between the two looks.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROGRAMS = ("kube-apiserver", "etcd", "kubelet", "kube-controller-manager", "kube-scheduler", "containerd", "runc")
OPERATOR, BENCH, SHIMS, ALL = "operator", "this bench", "containerd-shim", "all"


@dataclass(frozen=True, slots=True)
class Load:
    """One look."""

    used: dict[int, tuple[str, float]] = field(default_factory=dict)
    """By pid: program, and processor seconds so far."""
    busy: float = 0.0

    @classmethod
    def now(cls) -> Load:
        """As it is."""
        found = ((int(folder.name), _read(folder)) for folder in Path("/proc").iterdir() if folder.name.isdigit())
        return cls({pid: read for pid, read in found if read is not None}, busy(Path("/proc/stat").read_text()))

    def since(self, before: Load) -> dict[str, float]:
        """Seconds by program from the other look to this one."""
        spent: dict[str, float] = defaultdict(float)
        for pid, (program, seconds) in self.used.items():
            known = before.used.get(pid, ("", 0.0))
            spent[program] += seconds - (known[1] if known[0] == program else 0.0)
        spent[ALL] = self.busy - before.busy
        return dict(spent)


def busy(stat: str) -> float:
    """Seconds that all processors were busy: user, nice, system, irq, softirq."""
    fields = [int(text) for text in stat.splitlines()[0].split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:7])) / TICKS


def program(command: list[str], pid: int) -> str:
    """What a command line is of."""
    name = Path(command[0]).name if command else ""
    if pid == os.getpid():
        return BENCH
    if "desist.controller" in command:
        return OPERATOR
    if name.startswith(SHIMS):
        return SHIMS
    return name if name in PROGRAMS else "other programs"


def _read(folder: Path) -> tuple[str, float] | None:
    try:
        command = (folder / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return program(command, int(folder.name)), (int(fields[11]) + int(fields[12])) / TICKS
