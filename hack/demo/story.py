"""What happened to one execution, as it is seen from outside: phases with times, patches, processes on the nodes.

Contract: `Story` only collects; it is filled from a watch of the API (every phase that passes is kept) and from the
nodes' process tables. Times are the collector's own, in seconds since the demo's start.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Any

from hack.demo.scenarios import Patch, Scenario

TERMINAL = ("Succeeded", "Failed", "TimedOut", "Cancelled", "Terminated")


@dataclass(slots=True)
class Story:
    """One execution's."""

    scenario: Scenario
    phases: list[tuple[float, str]] = field(default_factory=list)
    patches: list[tuple[float, str]] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    processes: int = 0
    seen_processes: int = 0
    checks: list[tuple[float, int]] = field(default_factory=list)
    running_since: float | None = None
    created: float = 0.0

    def observe(self, now: float, status: dict[str, Any]) -> None:
        """Take a status from the watch."""
        self.status = status
        phase = status.get("phase", "")
        if phase and (not self.phases or self.phases[-1][1] != phase):
            self.phases.append((now, phase))
        if phase == "Running" and self.running_since is None:
            self.running_since = now

    def counted(self, now: float, processes: int) -> None:
        """Take a count of processes on the nodes."""
        self.processes = processes
        self.seen_processes = max(self.seen_processes, processes)
        if self.closed:
            self.checks.append((now, processes))

    def due(self, now: float) -> Patch | None:
        """The patch to send now, if one is due."""
        begin = self.running_since if self.scenario.runs else self.created
        if begin is None or len(self.patches) >= len(self.scenario.patches):
            return None
        patch = self.scenario.patches[len(self.patches)]
        return patch if now - begin >= patch.after else None

    def patched(self, now: float, patch: Patch) -> None:
        """Note that a patch was sent."""
        self.patches.append((now, f"kubectl {shlex.join(patch.command(self.scenario.execution))}"))

    @property
    def phase(self) -> str:
        """The present phase."""
        return self.phases[-1][1] if self.phases else "-"

    @property
    def closed(self) -> bool:
        """Whether the run has ended."""
        return self.phase in TERMINAL

    @property
    def proven(self) -> bool:
        """Whether the nodes were read twice after the end, some seconds apart, and nothing was found."""
        counts = [count for _, count in self.checks]
        return len(counts) >= 2 and not any(counts) and self.checks[-1][0] - self.checks[0][0] >= 3

    @property
    def as_promised(self) -> bool:
        """Whether it ended as the scenario says, with nothing left of the processes that were seen before."""
        seen = self.seen_processes > 0 or not self.scenario.runs
        return self.phase == self.scenario.ends_as and self.proven and seen
