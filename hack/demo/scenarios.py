"""What the demo shows: one scenario for each way of stopping, as data.

Contract: each names its manifest below examples/, the text by which its processes are found on the nodes, and the
patches in order. A patch is sent `after` seconds after the process runs (or after the execution was created, where it
never will run).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


@dataclass(frozen=True, slots=True)
class Patch:
    """One `kubectl patch`."""

    cancellation: tuple[tuple[str, Any], ...]
    after: float

    def command(self, execution: str) -> list[str]:
        """Kubectl's arguments."""
        body = json.dumps({"spec": {"cancellation": dict(self.cancellation)}}, separators=(",", ":"))
        return ["patch", "wfx", execution, "--type", "merge", "-p", body]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One execution, what is done to it, and how it must end."""

    manifest: str
    title: str
    marker: str
    patches: tuple[Patch, ...]
    ends_as: str
    runs: bool = True

    @property
    def execution(self) -> str:
        """Name of the execution in the manifest."""
        return f"{self.manifest[3:]}-1"

    @property
    def path(self) -> Path:
        """The manifest's file."""
        return EXAMPLES / f"{self.manifest}.yaml"


def patch(after: float, mode: str, reason: str, **more: Any) -> Patch:
    """A patch of `spec.cancellation`."""
    return Patch((("mode", mode), ("reason", reason), *more.items()), after)


SCENARIOS = (
    Scenario(
        "01-order-import",
        "cleans up on SIGTERM and exits",
        "demo-order-import",
        (patch(3, "Cancel", "customer asked"),),
        "Cancelled",
    ),
    Scenario(
        "02-nightly-backup",
        "a shell script around a program that cleans up",
        "demo-nightly-backup",
        (patch(3, "Cancel", "maintenance window"),),
        "Cancelled",
    ),
    Scenario(
        "03-stubborn-report",
        "ignores SIGTERM: cancelled, then killed",
        "demo-stubborn-report",
        (patch(3, "Cancel", "no longer needed"), patch(9, "Kill", "does not react", gracePeriodSeconds=3)),
        "Cancelled",
    ),
    Scenario(
        "04-ledger-close",
        "finishes its work in spite of a cancel, and says so",
        "demo-ledger-close",
        (patch(3, "Cancel", "end of day"),),
        "Succeeded",
    ),
    Scenario(
        "05-not-built-yet",
        "cancelled before its image is there",
        "demo-not-built-yet",
        (patch(5, "Cancel", "wrong tag"),),
        "Cancelled",
        runs=False,
    ),
    Scenario(
        "06-cache-warmer",
        "ignores SIGTERM: the stop becomes a Kill by itself",
        "demo-cache-warmer",
        (patch(3, "Cancel", "deploy"),),
        "Cancelled",
    ),
    Scenario(
        "07-file-server",
        "forced: SIGKILL at once",
        "demo-file-server",
        (patch(4, "Force", "leaks data"),),
        "Cancelled",
    ),
    Scenario(
        "08-queue-worker",
        "terminated: SIGKILL at once, children too",
        "demo-queue-worker",
        (patch(4, "Terminate", "replaced by v2"),),
        "Terminated",
    ),
)
