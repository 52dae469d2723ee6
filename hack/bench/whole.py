"""What a whole stop, with its pod, costs the operator, by part: beside another checkout's, in turns.

`python -m hack.bench.whole [--beside CHECKOUT]`, on the cluster that is up; the release is put away meanwhile. Each
turn starts the operator as a process on this machine, without push (no datagram goes from here to a pod and back), lets
programs start, cancels all of them at once, and waits until all have ended, by the kubelets' word. With `--every` they
are cancelled one after the other: then the operator does not share the processors' caches with forty ends of pods, and
its cost is that of a machine with processors to spare.
Printed are calls of functions a stop, how often `decide` ran, and processor time of each part's calls, with what they
call, as a share of the whole. A profile makes everything slower, small functions most of all: milliseconds are those of
a turn of its own without it.
Other work on the machine changes the number of calls, too: where the kubelets need more than three seconds to report
the ends, postings are repeated, each a `decide` and a write more. Compare turns in which it ran as often.
"""

from __future__ import annotations

import argparse
import asyncio
import pstats
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from desist.kube.client import Client
from desist.kube.connection import Connection
from hack.bench.fanout_stops import Stage as Namespace
from hack.bench.j5 import release_away
from hack.bench.latency.samples import CANCEL, MAILBOX, STORM, Sample
from hack.bench.latency.stage import WIDE, Stage, Subject
from hack.bench.process import Operator, checkouts
from hack.cluster.api import cluster_lock, kubeconfig
from hack.image import images

IDLE, AFTER = 8.0, 2.0
"""Seconds before and after: what a start leaves to be done, and what follows the last end."""
PARTS = {
    "decide": ("lifecycle/decide.py", ("decide",)),
    "status written": ("controller/cluster.py", ("replace_status",)),
    "mailbox written": ("controller/cluster.py", ("post_mailbox",)),
    "operations listed": ("controller/cluster.py", ("list_metadata",)),
    "Events made": ("controller/cluster.py", ("create_event",)),
    "watches of ours": ("kube/reflector.py", ("_watch",)),
    "watches of kopf": ("kopf/_core/reactor/queueing.py", ("watcher", "worker")),
    "what comes in, TLS": ("asyncio/selector_events.py", ("_read_ready",)),
}
"""By name: the end of a file's path, and functions in it."""
Stats = dict[tuple[str, int, str], tuple[int, int, float, float, Any]]
"""By file, line and name: calls without recursions, all calls, own seconds, seconds with what was called, callers."""


class Work(NamedTuple):
    """What is stopped in a turn."""

    stops: int
    every: float
    """Seconds between two of them; 0: at once."""


class Cost(NamedTuple):
    """Of one stop."""

    calls: float
    decided: float
    parts: dict[str, float]
    """Shares of the whole."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m hack.bench.whole", description=__doc__)
    parser.add_argument("--beside", type=Path, help="another checkout")
    parser.add_argument("--stops", type=int, default=40, help="at once (default 40)")
    parser.add_argument("--every", type=float, default=0.0, help="seconds between two of them (default: at once)")
    parser.add_argument("--turns", type=int, default=2, help="of each (default 2)")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="desist-whole-"))
    print(f"logs and profiles: {scratch}", file=sys.stderr)
    work, both = Work(options.stops, options.every), checkouts(options.beside)
    with cluster_lock(), release_away():
        for turn in range(options.turns):
            for name, checkout in both.items():
                busy = stopped(checkout / "operator", work, scratch / f"{name}-{turn + 1}.log")
                print(f"{name} {turn + 1}: {busy / work.stops:.1f} ms a stop", flush=True)
        for name, checkout in both.items():
            profile = scratch / f"{name}.profile"
            stopped(checkout / "operator", work, scratch / f"{name}-profiled.log", profile)
            show(name, cost(profile, work.stops))


def stopped(source: Path, work: Work, log: Path, profile: Path | None = None) -> float:
    """Milliseconds of processor time that all stops take the operator in that folder, in a process of its own."""
    with Operator(source, log, images().launcher, profile=profile) as operator:
        operator.settle()
        namespace = Namespace()
        with namespace.there():
            return asyncio.run(_stop_all(operator, namespace.namespace, work, profile is not None))


async def _stop_all(operator: Operator, namespace: str, work: Work, profile: bool) -> float:
    """Start so many, and stop them."""
    kept: list[Sample] = []
    async with Client(Connection.from_kubeconfig(kubeconfig()), WIDE) as client:
        stage = Stage(client, namespace, kept.append)
        subjects = [Subject(MAILBOX, STORM, CANCEL, 0, number) for number in range(work.stops)]
        async with stage.watching():
            await stage.prepare(subjects)
            await asyncio.sleep(IDLE)
            before = operator.cpu_seconds()
            with operator.profiled() if profile else nullcontext():
                await (stage.one_at_a_time(subjects, work.every) if work.every else stage.at_once(subjects))
                await asyncio.sleep(AFTER)
            return 1000 * (operator.cpu_seconds() - before)


def cost(profile: Path, stops: int) -> Cost:
    """The profile's calls, and shares of its parts."""
    stats: Stats = pstats.Stats(str(profile)).stats  # type: ignore[attr-defined]
    spent = sum(own for _, _, own, _, _ in stats.values())
    calls = sum(count for _, count, _, _, _ in stats.values()) / stops
    decided = sum(count for _, count, _, _, _ in _of(stats, "decide")) / stops
    return Cost(calls, decided, {part: sum(whole for _, _, _, whole, _ in _of(stats, part)) / spent for part in PARTS})


def _of(stats: Stats, part: str) -> list[tuple[int, int, float, float, Any]]:
    """What the profile says of a part's functions."""
    file, functions = PARTS[part]
    return [found for (path, _, name), found in stats.items() if path.endswith(file) and name in functions]


def show(name: str, found: Cost) -> None:
    """A block."""
    print(f"\n{name}: {found.calls:,.0f} calls of functions a stop, {found.decided:.1f} times decided")
    for part, share in found.parts.items():
        if share >= 0.005:
            print(f"  {part:<24}{100 * share:5.1f} %")
    print(f"  {'all else':<24}{100 * (1 - sum(found.parts.values())):5.1f} %", flush=True)


if __name__ == "__main__":
    main()
