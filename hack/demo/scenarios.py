"""What the demo shows: one scenario for each way of stopping, as data.

Contract: each names its manifest below examples/, the text by which its processes are found on the nodes, and the
patches in order. A patch is sent `after` seconds after what it waits for: that the process runs (or that the execution
was created, where it never will run), that operations run, or that the run has ended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


@dataclass(frozen=True, slots=True)
class Patch:
    """One `kubectl patch`: of the execution, or of the operation whose key is `on`."""

    cancellation: tuple[tuple[str, Any], ...]
    after: float
    once: tuple[str, ...] = ()
    """Keys of the operations that have to run before."""
    on: str = ""
    ended: bool = False
    """Whether it is sent after the run's end."""

    @property
    def mode(self) -> str:
        """The mode that it asks for."""
        return str(dict(self.cancellation)["mode"])

    def command(self, name: str) -> list[str]:
        """Kubectl's arguments; `name` is that of the execution, or of the operation."""
        body = json.dumps({"spec": {"cancellation": dict(self.cancellation)}}, separators=(",", ":"))
        return ["patch", "op" if self.on else "wfx", name, "--type", "merge", "-p", body]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One execution, what is done to it, and how it and its operations must end."""

    manifest: str
    title: str
    marker: str
    patches: tuple[Patch, ...]
    ends_as: str
    runs: bool = True
    operations: Mapping[str, str] = field(default_factory=dict)
    """By their keys, the phases in which they must end."""
    number: int = 1
    alone: bool = False
    """Whether it begins when all the others have ended."""

    @property
    def execution(self) -> str:
        """Name of the execution in the manifest."""
        return f"{self.manifest[3:]}-{self.number}"

    @property
    def path(self) -> Path:
        """The manifest's file."""
        return EXAMPLES / f"{self.manifest}.yaml"


def patch(after: float, mode: str, reason: str, **more: Any) -> Patch:
    """A patch of `spec.cancellation`."""
    return Patch((("mode", mode), ("reason", reason), *more.items()), after)


SHARDS = tuple(f"shard/{number}" for number in range(1, 51))
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
    Scenario(
        "10-order-saga",
        "a saga: its clean-up runs operations too",
        "demo-order-saga-1",
        (replace(patch(2, "Cancel", "customer asked"), once=("ship",)),),
        "Cancelled",
        operations={
            "reserve": "Succeeded",
            "charge": "Succeeded",
            "ship": "Cancelled",
            "refund": "Succeeded",
            "release": "Succeeded",
        },
    ),
    Scenario(
        "10-order-saga",
        "forced, and what it left running is reaped",
        "demo-order-saga-2",
        (
            replace(patch(2, "Force", "hangs"), once=("ship",)),
            replace(patch(5, "Kill", "not needed any more"), ended=True),
        ),
        "Cancelled",
        operations={"reserve": "Succeeded", "charge": "Succeeded", "ship": "Cancelled"},
        number=2,
    ),
    Scenario(
        "11-price-check",
        "one operation is stopped, the run goes on",
        "demo-price-check",
        (replace(patch(2, "Kill", "does not answer"), once=("price/west",), on="price/west"),),
        "Succeeded",
        operations={"price/north": "Succeeded", "price/south": "Succeeded", "price/west": "Cancelled"},
    ),
    Scenario(
        "09-nightly-batch",
        "a script that has asked for fifty pods: one Kill",
        "demo-nightly-batch",
        (replace(patch(2, "Kill", "wrong input"), once=SHARDS),),
        "Cancelled",
        operations=dict.fromkeys(SHARDS, "Cancelled"),
        alone=True,  # fifty pods keep the nodes busy while they start
    ),
)
