"""What one stop costs the core, reconcile by reconcile: calls of functions, and milliseconds.

`python -m hack.bench.decide`; with `--beside CHECKOUT` (another one, which has this file too) both in turns; with
`--operations N` each reconcile sees so many that run. No cluster: the stop is the one of the tests
(`tests/unit/lifecycle/one_stop.py`).
Method: calls are free of noise; they say what is done again, and not what it costs. Milliseconds are the least of many,
each turn in a process of its own, so that a busy machine is as busy for one as for the other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from desist.lifecycle.decide import decide
from tests.support.builders import at
from tests.unit.lifecycle.one_stop import among, calls_of, reconciles

HERE = Path(__file__).parents[2]
TIMES = 100
"""How often each reconcile is timed in a turn."""


class Cost(NamedTuple):
    """Of one reconcile."""

    calls: int
    milliseconds: float


Costs = dict[str, Cost]


def measured(operations: int) -> Costs:
    """By the name of the reconcile; the first `decide` of each is not timed, since it fills what is kept of texts."""
    costs = {}
    for what, seen, now in reconciles():
        judge = partial(decide, among(seen, operations), at(now))
        judge()
        costs[what] = Cost(calls_of(judge), min(_timed(judge) for _ in range(TIMES)))
    return costs


def _timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return (time.perf_counter() - began) * 1000


def in_turns(checkouts: list[Path], turns: int, operations: int) -> list[Costs]:
    """Of each checkout, the least of all turns."""
    found: list[list[Costs]] = [[] for _ in checkouts]
    for _ in range(turns):
        for checkout, costs in zip(checkouts, found, strict=True):
            costs.append(_of(checkout, operations))
    return [{what: min(each[what] for each in costs) for what in costs[0]} for costs in found]


def _of(checkout: Path, operations: int) -> Costs:
    environment = os.environ | {"PYTHONPATH": f"{checkout / 'operator'}:{checkout}"}
    command = [sys.executable, "-m", "hack.bench.decide", "--once", "--operations", str(operations)]
    said = subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True, text=True).stdout
    return {what: Cost(*cost) for what, cost in json.loads(said).items()}


def table(named: dict[str, Costs]) -> str:
    """A line for each reconcile, a pair of columns for each checkout."""
    lines = [f"{'':24}" + "".join(f"{name:>24}" for name in named)]
    lines += [f"{'':24}" + f"{'calls':>12}{'ms':>12}" * len(named)]
    first = next(iter(named.values()))
    lines += [_line(what, [costs[what] for costs in named.values()]) for what in first]
    lines += [_line("the whole stop", [_whole(costs) for costs in named.values()])]
    return "\n".join(lines)


def _line(what: str, costs: list[Cost]) -> str:
    return f"{what:24}" + "".join(f"{cost.calls:12,}{cost.milliseconds:12.2f}" for cost in costs)


def _whole(costs: Costs) -> Cost:
    return Cost(sum(cost.calls for cost in costs.values()), sum(cost.milliseconds for cost in costs.values()))


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m hack.bench.decide", description=__doc__)
    parser.add_argument("--beside", type=Path, help="another checkout, to be measured in turns with this one")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--operations", type=int, default=0, help="how many the run has")
    parser.add_argument("--once", action="store_true", help="one turn of this checkout, as JSON")
    given = parser.parse_args()
    if given.once:
        print(json.dumps(measured(given.operations)))
        return
    named = {"here": HERE} | ({"beside": given.beside.resolve()} if given.beside else {})
    found = in_turns(list(named.values()), given.turns, given.operations)
    print(table(dict(zip(named, found, strict=True))))


if __name__ == "__main__":
    main()
