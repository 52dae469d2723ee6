"""What a stop costs the operator where no pod is: executions that are created cancelled. Beside another checkout's.

`python -m hack.bench.unstarted [--beside CHECKOUT]`, on the cluster that is up; the release is put away meanwhile.
Each turn starts the operator as a process on this machine, without push, creates so many executions with a request to
stop them, and waits until all have ended: of each the acceptance and the end are written, and an Event for both.
Processor time is the operator's own, over all of it; the pace is what creation, API server and operator reach together
on this machine's processors, so it is no operator's alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from desist.kube.connection import Connection
from hack.bench.crowd import Crowd, body, template
from hack.bench.fanout_stops import Stage as Namespace
from hack.bench.j5 import release_away
from hack.bench.probe import GROUP, PLURAL, VERSION, Cluster
from hack.bench.process import Operator, checkouts
from hack.cluster.api import cluster_lock, kubeconfig
from hack.image import images

LONGEST = 300.0
"""Seconds in which all must have ended."""
REQUEST = {"mode": "Cancel", "reason": "not wanted any more"}


class Cost(NamedTuple):
    """One turn."""

    busy: float
    """Milliseconds of processor time a stop."""
    pace: float
    """Stops a second, all in all."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m hack.bench.unstarted", description=__doc__)
    parser.add_argument("--beside", type=Path, help="another checkout")
    parser.add_argument("--stops", type=int, default=400, help="in a turn (default 400)")
    parser.add_argument("--turns", type=int, default=2, help="of each (default 2)")
    options = parser.parse_args()
    with cluster_lock(), release_away():
        for turn in range(options.turns):
            for name, checkout in checkouts(options.beside).items():
                namespace = Namespace()
                with namespace.there():
                    found = measured(namespace, checkout / "operator", options.stops)
                print(f"{name} {turn + 1}: {found.busy:.1f} ms a stop, {found.pace:.0f} stops a second", flush=True)


def measured(cluster: Cluster, source: Path, stops: int) -> Cost:
    """One turn of the operator in that folder."""
    log = Path(tempfile.mkstemp(prefix="desist-unstarted-", suffix=".log")[1])
    with Operator(source, log, images().launcher) as operator:
        operator.settle()
        before, began = operator.cpu_seconds(), time.monotonic()
        crowd = Crowd(Connection.from_kubeconfig(kubeconfig()), cluster.namespace)
        crowd.create(body(f"run-{number}", template(), number, cancellation=REQUEST) for number in range(stops))
        while ended(cluster) < stops:
            if time.monotonic() - began > LONGEST:
                raise TimeoutError(f"{ended(cluster)} of {stops} have ended: see {log}")
            time.sleep(1)
        seconds = time.monotonic() - began
        operator.settle()
        return Cost(1000 * (operator.cpu_seconds() - before) / stops, stops / seconds)


def ended(cluster: Cluster) -> int:
    """How many are Cancelled."""
    listed: dict[str, Any] = cluster.custom.list_namespaced_custom_object(
        GROUP, VERSION, cluster.namespace, PLURAL, field_selector="status.phase=Cancelled"
    )
    return len(listed["items"])


if __name__ == "__main__":
    main()
