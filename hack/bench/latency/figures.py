"""Figures of samples: how long each step took, by side, as median, 99th percentile and maximum.

Contract: pure. One at a time, a step counts from the stop's own request; in a storm from its first request, for whoever
asks last waits as well. The 99th percentile of fewer than a hundred is the maximum.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from hack.bench.latency.samples import STORM, Record, Sample

HANDLER, HANDLER_TO_DEAD, DEAD, FINAL = (
    "request to handler",
    "handler to dead",
    "request to dead",
    "request to final word",
)
STEPS: dict[str, Callable[[Sample, float], float | None]] = {
    HANDLER: lambda stop, since: None if stop.heard is None else stop.heard - since,
    HANDLER_TO_DEAD: lambda stop, _: None if stop.heard is None else stop.dead - stop.heard,
    DEAD: lambda stop, since: stop.dead - since,
    FINAL: lambda stop, since: stop.said - since,
}


@dataclass(frozen=True, slots=True)
class Spread:
    """Of several durations, in seconds."""

    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Raises ValueError where there are none."""
        if not values:
            raise ValueError("no values")
        ordered = sorted(values)
        p95, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.95, 0.99))
        return cls(statistics.median(ordered), p95, p99, ordered[-1])


def durations(record: Record, side: str, case: str, mode: str, step: str) -> list[float]:
    """One step of all stops of a kind; those that never came to it are left out."""
    stops = record.of(side, case, mode)
    since = {stop.turn: min(each.requested for each in stops if each.turn == stop.turn) for stop in stops}
    zero: Callable[[Sample], float] = lambda stop: since[stop.turn] if case == STORM else stop.requested  # noqa: E731
    found = (STEPS[step](stop, zero(stop)) for stop in stops)
    return [each for each in found if each is not None]


def spread(record: Record, side: str, case: str, mode: str, step: str) -> Spread | None:
    """The same as a spread; None where there is nothing."""
    values = durations(record, side, case, mode, step)
    return Spread.of(values) if values else None


def early(stops: list[Sample]) -> int:
    """How often the final word was said while a process lived."""
    return sum(stop.alive > 0 for stop in stops)
