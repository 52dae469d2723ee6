"""What a run of many operations costs, and how fast one Kill of it reaches all of its pods, beside a Job.

Contract: `measure` does both on the cluster that is up, under the installed release, and gives a JSON object; `show`
prints it for people. Nothing else may run meanwhile.

Method of the run of `OPERATIONS`, `AT_A_TIME` of them open: each is a pod that ends at once (`true`), and a program in
the run's own pod asks for the next as soon as it sees one end. Time is from the creation of the execution to the
arrival of its terminal phase. Writes are those that the API server's audit log has of that namespace (`fanout_audit`),
divided by the number of operations. Memory is the operator's resident set before the run and when it has ended.
Method of the stops: `fanout_stops`. The run and the Jobs take turns; before each, nothing of the one before is left.
What a pod or process of the run's own costs is counted as the run's.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from hack.bench.fanout_audit import KINDS, Audit
from hack.bench.fanout_stops import FanoutStop, Stage, say, stop_of_job, stop_of_run
from hack.bench.probe import find_process, resident
from hack.bench.spread import spread

OPERATIONS, AT_A_TIME, PODS = 200, 20, 50
Figures = dict[str, Any]
RUN = "Kill of a run"
WAYS: dict[str, Callable[[Stage, str, int], FanoutStop]] = {
    RUN: stop_of_run,
    "Job deleted, Foreground": lambda stage, name, pods: stop_of_job(stage, name, pods, "Foreground"),
    "Job deleted, Background": lambda stage, name, pods: stop_of_job(stage, name, pods, "Background"),
}
STEPS: dict[str, Callable[[FanoutStop], float]] = {
    "request to accepted": lambda stop: stop.accepted - stop.requested,
    "request to first SIGTERM": lambda stop: stop.signalled[0] - stop.requested,
    "request to last SIGTERM": lambda stop: stop.signalled[-1] - stop.requested,
    "request to last dead": lambda stop: stop.dead[-1] - stop.requested,
    "request to final word": lambda stop: stop.said - stop.requested,
}
COMPARED = ("request to last SIGTERM", "request to last dead", "request to final word")


def measure(operations: int, turns: int) -> Figures:
    """A run of that many operations, and so many stops of each kind; 0 leaves one of them out."""
    stage = Stage()
    with stage.there():
        audit = Audit(stage.namespace)
        run = run_of(stage, audit, operations) if operations else None
        stops = stops_of(stage, audit, turns) if turns else {}
    return {"run": run, "pods": PODS, "stops": stops, "ratios": ratios(stops)}


def run_of(stage: Stage, audit: Audit, operations: int) -> Figures:
    """The run that ends by itself."""
    say(f"a run of {operations} operations")
    before, began = resident(find_process("desist.controller")), time.time()
    stage.run("many", operations, min(AT_A_TIME, operations), ["true"])
    ended = stage.ended("many")
    seconds = time.time() - began
    if ended["status"]["phase"] != "Succeeded":
        raise RuntimeError(f"the run ended as {ended['status']}")
    after = resident(find_process("desist.controller"))
    return {
        "operations": operations,
        "atATime": AT_A_TIME,
        "seconds": round(seconds, 1),
        "writes": apiece(audit.since(began), operations),
        "memoryMiB": {"before": round(before, 1), "after": round(after, 1)},
    }


def stops_of(stage: Stage, audit: Audit, turns: int) -> Figures:
    """Turn by turn, one stop of each kind."""
    stops: dict[str, list[FanoutStop]] = {way: [] for way in WAYS}
    writes: dict[str, Counter[str]] = {way: Counter() for way in WAYS}
    for turn in range(turns):
        for number, (way, stop) in enumerate(WAYS.items()):
            stopped = stop(stage, f"stopped-{turn}-{number}", PODS)
            stops[way].append(stopped)
            writes[way] += audit.since(stopped.requested)
    return {way: summed(stops[way]) | {"writes": apiece(writes[way], turns * PODS)} for way in WAYS}


def summed(stops: list[FanoutStop]) -> Figures:
    """The spread of each step, and how often the final word was said while a process lived."""
    return {
        "steps": {step: spread([duration(stop) for stop in stops]) for step, duration in STEPS.items()},
        "stops": len(stops),
        "said too early": sum(stop.alive > 0 for stop in stops),
        "processes": sum(len(stop.dead) for stop in stops),
        "alive at the final word": sum(stop.alive for stop in stops),
    }


def apiece(writes: Counter[str], number: int) -> dict[str, float]:
    """Writes of each kind for each of so many."""
    return {kind: round(writes[kind] / number, 2) for kind in KINDS}


def ratios(stops: Figures) -> dict[str, dict[str, float]]:
    """The run's medians divided by those of each kind of Job."""
    return {
        way: {
            step: round(stops[RUN]["steps"][step]["p50"] / max(theirs["steps"][step]["p50"], 0.001), 2)
            for step in COMPARED
        }
        for way, theirs in stops.items()
        if way != RUN
    }


def show(figures: Figures) -> None:
    """Print the figures for people."""
    if figures["run"]:
        show_run(figures["run"])
    for way, found in figures["stops"].items():
        print(f"\n{way}, {figures['pods']} pods at once, {found['stops']} times; seconds")
        for step, values in found["steps"].items():
            print(f"  {step:<26}" + "  ".join(f"{name} {value:7.3f}" for name, value in values.items()))
        print(f"  final word said while a process lived: {found['said too early']} of {found['stops']} times,", end="")
        print(f" {found['alive at the final word']} of {found['processes']} processes")
        print(f"  API writes a pod: {_writes(found['writes'])}")
    for way, steps in figures["ratios"].items():
        print(f"\n{RUN} / {way}, medians: " + ", ".join(f"{step[11:]} {ratio:.2f}" for step, ratio in steps.items()))


def show_run(run: Figures) -> None:
    """Print what `run_of` gives."""
    each = run["seconds"] / run["operations"]
    print(f"\nrun of {run['operations']} operations, {run['atATime']} at a time")
    print(f"  time in all {run['seconds']:.1f} s, {each:.2f} s an operation")
    print(f"  API writes an operation: {_writes(run['writes'])}")
    print(f"  operator's memory: {run['memoryMiB']['before']} MiB before, {run['memoryMiB']['after']} MiB after")


def _writes(writes: dict[str, float]) -> str:
    return ", ".join(f"{kind} {writes[kind]:.2f}" for kind in KINDS)
