"""What was promised, and whether it was kept: a table of limits, each of them a ratio within one run.

Contract: pure. What is judged is Desist with push; where the release has none, Desist by mailbox alone, and each line
says so. A limit whose figures are missing is not judged, which is not the same as kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hack.bench.latency.figures import DEAD, HANDLER, Spread, early, spread
from hack.bench.latency.samples import CANCEL, FORCE, IDLE, JOB, MAILBOX, PUSH, STARTED, STORM, Record


@dataclass(frozen=True, slots=True)
class Judged:
    """One limit, and what was found."""

    promise: str
    limit: float
    found: float | None
    """None: not measured."""

    def __str__(self) -> str:
        if self.found is None:
            return f"  not measured      {self.promise} (at most {self.limit:g})"
        short = self.found - self.limit
        verdict = "PASS" if short <= 0 else f"short by {short:.2f}"
        return f"  {verdict:<18}{self.promise}: {self.found:.2f} (at most {self.limit:g})"


def judged(record: Record) -> list[Judged]:
    """All of them."""
    return list(_all(record, PUSH if PUSH in record.sides else MAILBOX))


def _all(record: Record, side: str) -> Iterator[Judged]:
    ours, job = (spread(record, each, IDLE, CANCEL, HANDLER) for each in (side, JOB))
    yield _ratio(f"{side}, one at a time: handler, p50, by the Job's", 1.0, ours, job, "p50")
    yield _ratio(f"{side}, one at a time: handler, p99, by the Job's", 2.0, ours, job, "p99")
    forced = spread(record, side, IDLE, FORCE, DEAD)
    yield _ratio(f"{side}, Force: dead, p50, by the handler's under Cancel", 1.2, forced, ours, "p50")
    stormed, jobs = (spread(record, each, STORM, CANCEL, HANDLER) for each in (side, JOB))
    yield _ratio(f"{side}, all at once: last handler by the Job's last", 1.0, stormed, jobs, "max")
    yield _ratio(f"{side}, all at once: handler, p50, by the Job's", 0.7, stormed, jobs, "p50")
    started = spread(record, side, STARTED, CANCEL, HANDLER)
    yield _ratio(f"{side}, just started: handler, p95, by that of idle ones", 2.0, started, ours, "p95")
    for each in (PUSH, MAILBOX):
        stops = [stop for stop in record.samples if stop.side == each]
        yield Judged(f"{each}: said final while a process lived", 0, float(early(stops)) if stops else None)


def _ratio(promise: str, limit: float, ours: Spread | None, theirs: Spread | None, which: str) -> Judged:
    if ours is None or theirs is None:
        return Judged(promise, limit, None)
    return Judged(promise, limit, getattr(ours, which) / max(getattr(theirs, which), 0.001))
