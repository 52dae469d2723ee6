"""`make figures`: what the README quotes, measured on the cluster that is up.

Contract: prints three parts, of which `--only` measures one.
- Stops: minimum, median, 95th percentile and maximum of each step for `--runs` Cancels of a cooperative process and as
  many Kills of an unresponsive one (grace 5 s); memory of operator and launcher; sizes of the images; how long the make
  targets took when they ran last. All runs of a kind are started first, and then, `--idle` seconds later, stopped one
  at a time: most runs that anybody stops have run for a while. `--idle 0` starts and stops them in turns, each as soon
  as it runs. The method of each figure is in probe.py.
- Operations: a run of `--operations` operations, and `--turns` Kills of fifty pods at once, beside Jobs that are
  deleted (0 leaves out either). The method is in fanout.py and fanout_stops.py.
- Neighbours: what `make bench-j5` measures, with `--crowd` executions (0: leave this part out).

`--output json` for programs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hack import timing
from hack.bench import fanout, j5
from hack.bench.probe import DEAF, POLITE, Cluster, Stop, find_process, resident
from hack.bench.spread import spread
from hack.cluster.api import cluster_lock, docker_env
from hack.image import images

OPERATOR = Path(__file__).parents[2] / "operator"
STEPS: dict[str, Callable[[Stop], float]] = {
    "request to signal": lambda stop: stop.signalled - stop.requested,
    "signal to dead": lambda stop: stop.dead - stop.signalled,
    "dead to terminal phase": lambda stop: stop.terminal - stop.dead,
    "request to terminal phase": lambda stop: stop.terminal - stop.requested,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make figures", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="stops of each kind (default 20)")
    parser.add_argument("--idle", type=float, default=10, help="seconds that they have run by then (default 10)")
    parser.add_argument(
        "--crowd", type=int, default=1000, help="executions beside which others are stopped (default 1000)"
    )
    parser.add_argument("--operations", type=int, default=fanout.OPERATIONS, help="operations of a run (default 200)")
    parser.add_argument("--turns", type=int, default=1, help="times that each fan-out is stopped (default 1)")
    parser.add_argument("--only", choices=("stops", "operations", "neighbours"), help="one part of it")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    with cluster_lock():
        for part in chosen(options):
            figures |= part
            if options.output == "text":
                show(part)  # at once: a later part that fails costs no earlier one
    if options.output == "json":
        print(json.dumps(figures, indent=2))


def chosen(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What was asked for, part by part."""
    if options.only in (None, "stops"):
        yield measure(options.runs, options.idle)
    if options.only in (None, "operations") and (options.operations or options.turns):
        yield {"operations": fanout.measure(options.operations, options.turns)}
    if options.only in (None, "neighbours") and options.crowd:
        with j5.release_away():
            neighbours = j5.Bench(options.crowd, options.crowd // 10, 2, OPERATOR).measure()
        yield {"neighbours": neighbours}


def measure(runs: int, idle: float) -> dict[str, Any]:
    """Stops of single runs, memory and sizes."""
    sizes = image_sizes()
    cluster = Cluster()
    cluster.fresh_namespace()
    stops: dict[str, Any] = {}
    memory: dict[str, float] = {}
    for mode, program in (("Cancel", POLITE), ("Kill", DEAF)):
        names = [f"{mode.lower()}-{number}" for number in range(runs)]
        measured = []
        for batch in [names] if idle else [[name] for name in names]:
            markers = {name: cluster.start(name, program) for name in batch}
            time.sleep(idle)
            launchers = [resident(find_process(marker, "desist-launcher")) for marker in markers.values()]
            memory["launcher"] = max(memory.get("launcher", 0), *launchers)
            measured += [_stopped(cluster, mode, name, marker) for name, marker in markers.items()]
        stops[mode] = {step: spread([duration(stop) for stop in measured]) for step, duration in STEPS.items()}
    memory["operator"] = resident(find_process("desist.controller"))
    cluster.fresh_namespace()
    return {"stops": stops, "memoryMiB": memory, "imageMB": sizes, "makeSeconds": timing.latest()}


def _stopped(cluster: Cluster, mode: str, name: str, marker: str) -> Stop:
    print(f"{mode} of {name}", file=sys.stderr)
    return cluster.stop(name, mode, marker)


def image_sizes() -> dict[str, float]:
    """Uncompressed size of both images in MB."""
    built = images()
    return {"operator": _size(built.operator), "launcher": _size(built.launcher)}


def _size(name: str) -> float:
    command = ["docker", "image", "inspect", "--format", "{{.Size}}", name]
    done = subprocess.run(command, env={**os.environ, **docker_env()}, capture_output=True, text=True, check=True)
    return round(int(done.stdout) / 1e6, 1)


def show(figures: dict[str, Any]) -> None:
    """Print a part for people."""
    if "stops" in figures:
        show_stops(figures)
    if "operations" in figures:
        fanout.show(figures["operations"])
    if "neighbours" in figures:
        j5.show(figures["neighbours"])


def show_stops(figures: dict[str, Any]) -> None:
    """Print what `measure` gives."""
    for mode, steps in figures["stops"].items():
        print(f"\n{mode} of {'a cooperative' if mode == 'Cancel' else 'an unresponsive'} process, seconds")
        for step, values in steps.items():
            print(f"  {step:<26}" + "  ".join(f"{name} {value:7.3f}" for name, value in values.items()))
    memory, sizes = figures["memoryMiB"], figures["imageMB"]
    print(f"\nresident memory: operator {memory['operator']:.1f} MiB, launcher {memory['launcher']:.1f} MiB")
    print(f"image sizes: operator {sizes['operator']} MB, launcher {sizes['launcher']} MB")
    for name, entry in sorted(figures["makeSeconds"].items()):
        print(f"make {name}: {entry['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
