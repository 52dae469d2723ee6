"""`python -m hack.bench.latency.storm`: where the time of forty Cancels at once goes, step by step and by program.

Contract: on the cluster that is up, under the installed release, with nothing else running. Prints, for each storm:
when each step was done (median, last), what lay between two steps, how long the API server took for each request,
writes a stop, and processor seconds by program from the first request to the last final word. Methods: `spans`,
`processors`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections import Counter

from desist.kube.client import Client
from desist.kube.connection import Connection
from hack.bench.fanout_audit import Audit
from hack.bench.fanout_stops import Stage as Namespace
from hack.bench.latency import spans, writes
from hack.bench.latency.figures import Spread
from hack.bench.latency.processors import Load
from hack.bench.latency.samples import CANCEL, MAILBOX, STORM, Sample
from hack.bench.latency.sides import WAYS
from hack.bench.latency.stage import WIDE, Stage, Subject
from hack.bench.latency.turns import say
from hack.cluster.api import cluster_lock, kubeconfig


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m hack.bench.latency.storm", description=__doc__)
    parser.add_argument("--size", type=int, default=40, help="stops at once (default 40)")
    parser.add_argument("--storms", type=int, default=1, help="how often (default 1)")
    parser.add_argument("--idle", type=float, default=8, help="seconds that all have run by then (default 8)")
    parser.add_argument("--side", choices=WAYS, default=MAILBOX, help="who is stopped (default mailbox: Desist)")
    options = parser.parse_args()
    namespace = Namespace()
    with cluster_lock(), namespace.there():
        asyncio.run(_measure(namespace.namespace, options))


async def _measure(namespace: str, options: argparse.Namespace) -> None:
    kept: list[Sample] = []
    async with Client(Connection.from_kubeconfig(kubeconfig()), WIDE) as client:
        stage = Stage(client, namespace, kept.append)
        async with stage.watching():
            for storm in range(options.storms):
                kept.clear()
                subjects = [Subject(options.side, STORM, CANCEL, storm, number) for number in range(options.size)]
                say(f"{len(subjects)} start")
                await stage.prepare(subjects)
                await asyncio.sleep(options.idle)
                before = Load.now()
                await stage.at_once(subjects)
                load = Load.now().since(before)
                await asyncio.sleep(3)
                lines = Audit(namespace).lines()
                told = await writes.events(client, namespace)
                show(lines, kept, load)
                show_writes(writes.with_events(writes.counted(lines, namespace, kept), told, kept))


def show(lines: list[str], samples: list[Sample], load: dict[str, float]) -> None:
    """Print one storm."""
    found = spans.spans(lines, samples)
    seconds = max(sample.said for sample in samples) - min(sample.requested for sample in samples)
    print(f"\n{len(samples)} Cancels at once, {seconds:.2f} s, {os.cpu_count()} processors")
    for title, values in (
        ("done after the first request", spans.reached(found)),
        ("between two steps", spans.gaps(found)),
        ("the API server took", spans.took(found)),
    ):
        print(f"  {title}, milliseconds")
        for step, each in values.items():
            if each:
                spread = Spread.of(each)
                times = f"p50 {spread.p50 * 1000:6.0f}  p95 {spread.p95 * 1000:6.0f}  max {spread.max * 1000:6.0f}"
                print(f"    {step:<38}{times}  ({len(each)})")
    print("  processor seconds")
    for program, spent in sorted(load.items(), key=lambda each: -each[1]):
        if spent >= 0.01:
            print(f"    {program:<26}{spent:6.2f}  {1000 * spent / len(samples):6.1f} ms a stop")


def show_writes(found: dict[str, Counter[str]]) -> None:
    """Print what a stop writes."""
    means = {kind: sum(each[kind] for each in found.values()) / max(len(found), 1) for kind in writes.KINDS}
    print("  writes a stop: " + ", ".join(f"{kind} {mean:.2f}" for kind, mean in means.items()))


if __name__ == "__main__":
    main()
