"""`make bench-j5`: what ten thousand executions cost, and what one namespace's trouble does to another's stops.

Contract: prints, for the operator of `--source` (default: this checkout's): seconds to ready and resident memory with
`--executions` executions (three quarters ended, one quarter open and stalled); then, of `--stops` stops of each of two
kinds in namespace B (a Kill of a deaf process, grace 5; a Cancel of one that becomes a Kill by itself after 2 s, grace
2), the times of each step: with nothing else going on; while `--stalls` starts in namespace A hang in a webhook of ten
seconds; and right after a start of the operator with a stop of each open execution in A unanswered. The release is put
away meanwhile. Methods: `probe`, `process`, `crowd`, `hanging`. `--only memory` leaves the stops out, and with `--keep`
the executions there, for a second measurement of another source; `--output json` for programs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client, config

from desist.kube.connection import Connection
from hack.bench.crowd import Crowd, body, ended_status, stalled, template
from hack.bench.hanging import HangingWebhook
from hack.bench.probe import DEAF, GROUP, PLURAL, VERSION, Cluster, Stop
from hack.bench.process import Operator
from hack.bench.spread import spread
from hack.cluster.api import cluster_lock, kubeconfig
from hack.image import images

A, B = "desist-j5-a", "desist-j5-b"
STEPS: dict[str, Callable[[Stop], float]] = {
    "request to accepted": lambda stop: stop.accepted - stop.requested,
    "request to signal": lambda stop: stop.signalled - stop.requested,
    "request to escalated": lambda stop: stop.killing - stop.requested,
    "signal to dead": lambda stop: stop.dead - stop.signalled,
    "dead to terminal phase": lambda stop: stop.terminal - stop.dead,
}
KINDS: dict[str, tuple[str, dict[str, int]]] = {
    "Kill": ("Kill", {"gracePeriodSeconds": 5}),
    "Cancel that becomes a Kill": ("Cancel", {"killAfterSeconds": 2, "gracePeriodSeconds": 2}),
}
Figures = dict[str, Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench-j5", description=__doc__)
    parser.add_argument("--executions", type=int, default=10_000, help="how many there are (default 10000)")
    parser.add_argument("--stalls", type=int, default=400, help="starts that hang in a webhook (default 400)")
    parser.add_argument("--stops", type=int, default=3, help="stops of each kind in each situation (default 3)")
    parser.add_argument("--source", type=Path, default=Path("operator"), help="folder with the operator's package")
    parser.add_argument("--only", choices=("memory", "stops"), help="one half of it")
    parser.add_argument("--keep", action="store_true", help="take the executions that are there, and leave them")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    options = parser.parse_args()
    with cluster_lock(), release_away():
        bench = Bench(options.executions, options.stalls, options.stops, options.source.resolve())
        figures = bench.measure(options.only, options.keep)
    if options.output == "json":
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


class Bench:
    """One measurement of one operator."""

    def __init__(self, executions: int, stalls: int, stops: int, source: Path) -> None:
        self._executions, self._stalls, self._stops = executions, stalls, stops
        log = Path(tempfile.mkstemp(prefix="desist-j5-", suffix=".log")[1])
        say(f"log of the operator: {log}")
        self._operator = Operator(source, log, images().launcher)
        self._a, self._b = Cluster(A), Cluster(B)
        self._markers: dict[str, list[tuple[str, str]]] = {}
        self.figures: Figures = {"executions": executions, "stalls": stalls, "stops": {}}

    def measure(self, only: str | None = None, keep: bool = False) -> Figures:
        """All figures, as a JSON object."""
        for each in (self._a, self._b):
            each.fresh_namespace(empty=not keep)
        example = self._without_load(only != "memory")
        populate(self._executions, example)
        with self._operator as operator:
            say("settling")
            operator.settle()
        with self._operator:
            self._memory()
            if only != "memory":
                self._beside_stalls()
        if only != "memory":
            self._beside_stops()
        if not keep:
            for each in (self._a, self._b):
                each.core.delete_namespace(each.namespace)
        return self.figures

    def _without_load(self, stops: bool) -> Figures:
        """What an operator without executions does and holds; a run that has ended."""
        with self._operator as operator:
            self.figures["memory, no executions"] = round(operator.memory()[0], 1)
            if stops:
                numbers = range(3 * self._stops)
                self._markers = {kind: [running(self._b, kind, number) for number in numbers] for kind in KINDS}
                self._stop_some("nothing else")
            return finished(self._b)

    def _memory(self) -> None:
        operator = self._operator
        self.figures["seconds to ready"] = round(operator.ready_after, 1)
        self.figures["memory when ready"] = round(operator.memory()[0], 1)
        operator.settle()
        self.figures["memory"], self.figures["highest memory"] = (round(value, 1) for value in operator.memory())
        self.figures["processor seconds"] = round(operator.cpu_seconds(), 1)

    def _beside_stalls(self) -> None:
        with HangingWebhook(self._a.core.api_client, A):
            Crowd(connection(), A).create(body(f"hangs-{n}", template(), n) for n in range(self._stalls))
            time.sleep(5)
            self._stop_some(f"{self._stalls} starts hang in A")

    def _beside_stops(self) -> None:
        unanswered = list(open_ones(self._executions))
        say(f"{len(unanswered)} stops in A")
        Crowd(connection(), A).patch(unanswered, {"spec": {"cancellation": {"mode": "Kill"}}})
        with self._operator:
            self._stop_some(f"{len(unanswered)} stops in A")

    def _stop_some(self, situation: str) -> None:
        self.figures["stops"][situation] = stop_some(self._b, self._markers, self._stops)


def running(cluster: Cluster, kind: str, number: int) -> tuple[str, str]:
    """Name and marker of a deaf process in B."""
    name = f"{kind[:4].strip().lower()}-{number}-{time.time_ns() % 10**8}"
    return name, cluster.start(name, DEAF)


def finished(cluster: Cluster) -> Figures:
    """A run that was killed, as the API server has it."""
    name = f"example-{time.time_ns() % 10**8}"
    cluster.stop(name, "Kill", cluster.start(name, DEAF), gracePeriodSeconds=1)
    held: Figures = cluster.custom.get_namespaced_custom_object(GROUP, VERSION, B, PLURAL, name)
    return held


def stop_some(cluster: Cluster, markers: dict[str, list[tuple[str, str]]], count: int) -> Figures:
    """Stop the next few of each kind, all at once; the spread of each step."""
    measured: Figures = {}
    with ThreadPoolExecutor(2 * count) as pool:
        futures = {}
        for kind, (mode, request) in KINDS.items():
            taken = [markers[kind].pop() for _ in range(count)]
            futures[kind] = [pool.submit(cluster.stop, name, mode, marker, **request) for name, marker in taken]
        for kind, waiting in futures.items():
            stops = [future.result() for future in waiting]
            measured[kind] = {step: spread([duration(stop) for stop in stops]) for step, duration in STEPS.items()}
    return measured


def populate(executions: int, example: Figures) -> None:
    """The executions of A, where they are not there yet."""
    say(f"{executions} executions")
    crowd = Crowd(connection(), A)
    mode = {"cancellation": example["spec"]["cancellation"]}
    ended = (body(f"ended-{n}", template(), n, **mode) for n in range(executions - executions // 4))
    crowd.create(ended, lambda made: ended_status(example, made))
    crowd.create(body(name, stalled(), n) for n, name in enumerate(open_ones(executions)))


def open_ones(executions: int) -> Iterator[str]:
    """Names of the executions of A that are open."""
    return (f"open-{n}" for n in range(executions // 4))


def connection() -> Connection:
    """To the cluster, as its administrator."""
    return Connection.from_kubeconfig(kubeconfig())


@contextmanager
def release_away() -> Iterator[None]:
    """The installed release, where there is one, has no pod meanwhile."""
    config.load_kube_config(str(kubeconfig()))
    apps: Any = client.AppsV1Api()
    try:
        replicas = int(apps.read_namespaced_deployment("desist", "desist-system").spec.replicas or 0)
    except client.ApiException as error:
        if error.status != 404:
            raise
        yield
        return
    _scale(apps, 0)
    try:
        yield
    finally:
        _scale(apps, replicas)


def _scale(apps: Any, replicas: int) -> None:
    apps.patch_namespaced_deployment_scale("desist", "desist-system", {"spec": {"replicas": replicas}})
    while (apps.read_namespaced_deployment("desist", "desist-system").status.available_replicas or 0) != replicas:
        time.sleep(0.5)


def say(line: str) -> None:
    """Progress, for who waits."""
    print(line, file=sys.stderr, flush=True)


def show(figures: Figures) -> None:
    """Print the figures for people."""
    print(f"\n{figures['executions']} executions, a quarter of them open")
    print(f"  ready after {figures['seconds to ready']:.1f} s, {figures['processor seconds']:.1f} s of processor time")
    print(f"  resident memory: {figures['memory']:.1f} MiB, highest {figures['highest memory']:.1f} MiB", end="")
    print(f", without executions {figures['memory, no executions']:.1f} MiB")
    for situation, kinds in figures["stops"].items():
        for kind, steps in kinds.items():
            print(f"\n{kind} in B, {situation}; seconds")
            for step, values in steps.items():
                print(f"  {step:<26}" + "  ".join(f"{name} {value:7.3f}" for name, value in values.items()))


if __name__ == "__main__":
    main()
