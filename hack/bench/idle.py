"""What the operator holds, and what it does, where nothing happens: this checkout's beside another one's, in turns.

`python -m hack.bench.idle [--beside CHECKOUT]`, on the cluster that is up, under the release's push key; the release is
put away meanwhile. Each turn starts the operator as a process on this machine, waits until it has settled, and then for
`--seconds`. Resident memory is what the kernel says (VmRSS), memory of its own is what no other process shares
(Private of smaps_rollup); processor time is of the waiting alone.
Rejected: the pod of the release: of two releases only one can be installed, and its image is read from another place.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from hack.bench.j5 import release_away
from hack.bench.process import Operator, checkouts
from hack.cluster.api import cluster_lock
from hack.image import images

SECRET = "desist-system/desist-push"


class Idle(NamedTuple):
    """One turn."""

    ready: float
    """Seconds from the start of the process."""
    resident: float
    """MiB."""
    own: float
    """MiB."""
    busy: float
    """Milliseconds of processor time in a second."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m hack.bench.idle", description=__doc__)
    parser.add_argument("--beside", type=Path, help="another checkout")
    parser.add_argument("--turns", type=int, default=3, help="of each (default 3)")
    parser.add_argument("--seconds", type=float, default=30, help="in which nothing happens (default 30)")
    options = parser.parse_args()
    with cluster_lock(), release_away():
        for turn in range(options.turns):
            for name, checkout in checkouts(options.beside).items():
                show(f"{name} {turn + 1}", measured(checkout / "operator", options.seconds))


def measured(source: Path, seconds: float) -> Idle:
    """One turn of the operator in that folder."""
    log = Path(tempfile.mkstemp(prefix="desist-idle-", suffix=".log")[1])
    with Operator(source, log, images().launcher, SECRET) as operator:
        operator.settle()
        before = operator.cpu_seconds()
        time.sleep(seconds)
        busy = 1000 * (operator.cpu_seconds() - before) / seconds
        return Idle(operator.ready_after, operator.memory()[0], operator.own_memory(), busy)


def show(name: str, found: Idle) -> None:
    """One line."""
    print(
        f"{name:<10} ready after {found.ready:5.2f} s   resident {found.resident:6.1f} MiB   own {found.own:6.1f} MiB"
        f"   processor {found.busy:5.2f} ms a second",
        flush=True,
    )


if __name__ == "__main__":
    main()
