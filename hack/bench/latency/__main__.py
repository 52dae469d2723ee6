"""`make bench-latency`: measures on the cluster that is up, under the installed release, and prints one table.

Contract: nothing else may run meanwhile. What is asked for by default takes a quarter of an hour at most on two cores;
ARGS make it smaller. Every stop is kept, raw, in the state folder's `bench` (the last line says where). `--from FILE`
prints the table of an earlier run, without a cluster. What is measured, and how, is said in the package's parts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from desist.kube.client import Client
from desist.kube.connection import Connection
from hack.bench.fanout_audit import Audit
from hack.bench.fanout_stops import Stage as Namespace
from hack.bench.latency import samples, writes
from hack.bench.latency.push import Push
from hack.bench.latency.samples import Measured, Record, Sample
from hack.bench.latency.stage import WIDE, Stage
from hack.bench.latency.table import table
from hack.bench.latency.turns import Counts, Turns, say
from hack.cluster.api import cluster_lock, home, kubeconfig

HELP = {
    "cancels": "Cancels of each side, one a second",
    "forces": "Forces",
    "kills": "Kills of an unresponsive process",
    "started": "Cancels of a process as soon as it runs",
    "storm": "Cancels at once",
    "turns": "storms of Desist and of the Job; the others have one",
    "idle_seconds": "how long processes have run when they are stopped",
    "limit_seconds": "what does not fit in is left out",
}


def main() -> None:
    """Measure, or take an earlier run, and print."""
    parser = argparse.ArgumentParser(prog="make bench-latency", description=__doc__)
    for name, value in asdict(Counts()).items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=type(value), default=value, help=f"{HELP[name]} (default {value:g})")
    parser.add_argument("--from", type=Path, dest="file", help="a file of samples, instead of a cluster")
    options = vars(parser.parse_args())
    file: Path | None = options.pop("file")
    if file is None:
        with cluster_lock():
            file = measured(Counts(**options))
    print(table(samples.read(file)))
    say(f"samples: {file}")


def measured(counts: Counts) -> Path:
    """Measure; the file of samples."""
    began = datetime.now(UTC)
    file = home() / "bench" / f"latency-{began:%Y%m%d-%H%M%S}.jsonl"
    file.parent.mkdir(exist_ok=True)
    push = Push()
    about = Measured(f"{began:%Y-%m-%dT%H:%MZ}", commit(), os.cpu_count() or 0, push.there())
    namespace = Namespace()
    with file.open("x", buffering=1) as kept, namespace.there():
        kept.write(samples.line("measured", about))
        asyncio.run(_run(kept, counts, about, namespace.namespace, push if about.push else None))
    return file


async def _run(kept: TextIO, counts: Counts, about: Measured, namespace: str, push: Push | None) -> None:
    record = Record(about)
    async with Client(Connection.from_kubeconfig(kubeconfig()), WIDE) as client:
        stage = Stage(client, namespace, _keeping(kept, record))
        turns = Turns(stage, counts, push)
        async with stage.watching():
            await turns.run()
        kept.write(samples.line("measured", replace(about, left_out=tuple(turns.left_out))))
        found = writes.counted(Audit(namespace).lines(), namespace, record.samples)
        told = writes.with_events(found, await writes.events(client, namespace), record.samples)
        kept.write(samples.line("writes", {name: dict(kinds) for name, kinds in told.items()}))


def _keeping(kept: TextIO, record: Record) -> Callable[[Sample], None]:
    def keep(sample: Sample) -> None:
        record.samples.append(sample)
        kept.write(samples.line("sample", sample))

    return keep


def commit() -> str:
    """Of this checkout, with a plus where it has changes."""
    asked: Any = {"capture_output": True, "text": True, "check": False}
    done = subprocess.run(["git", "describe", "--always", "--dirty=+", "--exclude=*"], **asked)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
