"""What happened to one execution, as it is seen from outside: phases with times, patches, processes on the nodes.

Contract: `Story` only collects; it is filled from a watch of the API (every phase that passes is kept) and from the
nodes' process tables. Times are the collector's own, in seconds since the demo's start.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hack.demo.scenarios import Patch, Scenario

TERMINAL = ("Succeeded", "Failed", "TimedOut", "Cancelled", "Terminated")


@dataclass(slots=True)
class Phases:
    """The phases that something has passed, each with the time when it was seen."""

    seen: list[tuple[float, str]] = field(default_factory=list)

    def observe(self, now: float, phase: str) -> None:
        """Take the present one."""
        if phase and phase != self.last:
            self.seen.append((now, phase))

    def since(self, phase: str) -> float | None:
        """When it was first seen in that phase."""
        return next((at for at, one in self.seen if one == phase), None)

    @property
    def last(self) -> str:
        """The present one, "" before the first."""
        return self.seen[-1][1] if self.seen else ""

    @property
    def ended(self) -> bool:
        """Whether the present one is terminal."""
        return self.last in TERMINAL


@dataclass(slots=True)
class OperationStory:
    """One operation's."""

    name: str
    phases: Phases = field(default_factory=Phases)
    node: str = ""


@dataclass(slots=True)
class Story:
    """One execution's."""

    scenario: Scenario
    phases: Phases = field(default_factory=Phases)
    patches: list[tuple[float, str]] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    operations: dict[str, OperationStory] = field(default_factory=dict)
    processes: int = 0
    seen_processes: int = 0
    seen_on: dict[str, int] = field(default_factory=dict)
    """By nodes, the most processes that were seen there."""
    left_over: dict[str, int] = field(default_factory=dict)
    """The same, while operations went on after the run's end."""
    checks: list[tuple[float, int]] = field(default_factory=list)
    created: float | None = None

    def observe(self, now: float, status: dict[str, Any]) -> None:
        """Take a status from the watch."""
        self.status = status
        self.phases.observe(now, status.get("phase", ""))

    def observe_operation(self, now: float, held: Mapping[str, Any]) -> None:
        """Take an operation from the watch."""
        known = self.operations.setdefault(held["spec"]["key"], OperationStory(held["metadata"]["name"]))
        status = held.get("status", {})
        known.phases.observe(now, status.get("phase", ""))
        known.node = next((process.get("node", "") for process in status.get("processes", ())), "") or known.node

    def counted(self, now: float, processes: Mapping[str, int], *, settled: bool) -> None:
        """Take a count of processes, by nodes; `settled` is whether this was when the nodes began to be read."""
        self.processes = sum(processes.values())
        self.seen_processes = max(self.seen_processes, self.processes)
        _keep_most(self.seen_on, processes)
        if self.closed and self.status.get("operations", {}).get("leftOver"):
            _keep_most(self.left_over, processes)
        if settled:
            self.checks.append((now, self.processes))

    def due(self, now: float) -> Patch | None:
        """The patch to send now, if one is due."""
        if len(self.patches) >= len(self.scenario.patches):
            return None
        patch = self.scenario.patches[len(self.patches)]
        begin = self._begin(patch)
        return patch if begin is not None and self.closed == patch.ended and now - begin >= patch.after else None

    def _begin(self, patch: Patch) -> float | None:
        """When that happened which the patch waits for."""
        if patch.ended:
            return next((at for at, phase in self.phases.seen if phase in TERMINAL), None)
        if patch.once:
            running = [self.operations[key].phases.since("Running") for key in patch.once if key in self.operations]
            times = [at for at in running if at is not None]
            return max(times) if len(times) == len(patch.once) else None
        return self.phases.since("Running") if self.scenario.runs else self.created

    def command(self, patch: Patch) -> list[str]:
        """Kubectl's arguments for a patch."""
        return patch.command(self.operations[patch.on].name if patch.on else self.scenario.execution)

    def patched(self, now: float, patch: Patch) -> None:
        """Note that a patch was sent."""
        self.patches.append((now, f"kubectl {shlex.join(self.command(patch))}"))

    @property
    def phase(self) -> str:
        """The present phase."""
        return self.phases.last or "-"

    @property
    def closed(self) -> bool:
        """Whether the run has ended."""
        return self.phases.ended

    @property
    def settled(self) -> bool:
        """Whether the run and all its operations have ended, and nothing more is to be asked for."""
        to_come = self.scenario.patches[len(self.patches) :][:1]
        ended = all(one.phases.ended for one in self.operations.values())
        return self.closed and ended and not any(patch.ended for patch in to_come)

    @property
    def proven(self) -> bool:
        """Whether the nodes were read twice after that, some seconds apart, and nothing was found."""
        counts = [count for _, count in self.checks]
        return len(counts) >= 2 and not any(counts) and self.checks[-1][0] - self.checks[0][0] >= 3

    @property
    def as_promised(self) -> bool:
        """Whether all ended as the scenario says, with nothing left of the processes that were seen before."""
        seen = self.seen_processes > 0 or not self.scenario.runs
        operations = {key: one.phases.last for key, one in self.operations.items()}
        ended = self.phase == self.scenario.ends_as and operations == dict(self.scenario.operations)
        return ended and self.proven and seen


def _keep_most(most: dict[str, int], now: Mapping[str, int]) -> None:
    for node, count in now.items():
        most[node] = max(count, most.get(node, 0))
