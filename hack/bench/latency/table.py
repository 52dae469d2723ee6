"""The one table: a block for each way of stopping, a column for each side, and what was promised beside it.

Contract: pure: the text of a record, at most 120 wide. Times are milliseconds, as median, 99th percentile, maximum; the
line below a step divides them by the Job's of the same run. A side that was not measured has no column, and a line says
why.
"""

from __future__ import annotations

from collections.abc import Iterator

from hack.bench.latency.budgets import judged
from hack.bench.latency.figures import DEAD, HANDLER, STEPS, Spread, early, spread
from hack.bench.latency.samples import CANCEL, FORCE, IDLE, JOB, KILL, MAILBOX, POD, PUSH, STARTED, STORM, Record
from hack.bench.latency.writes import KINDS

LABEL, COLUMN = 24, 24
TITLES = {PUSH: "Desist, push", MAILBOX: "Desist, mailbox alone", JOB: "Job, suspend", POD: "pod, DELETE"}
BLOCKS = {
    (IDLE, CANCEL): "Cancel, one a second, each has run for a while",
    (STARTED, CANCEL): "Cancel, as soon as it runs",
    (STORM, CANCEL): "Cancel, all at once, counted from the first request",
    (IDLE, FORCE): "Force, one a second (the pod: DELETE with grace 1)",
    (IDLE, KILL): "Kill of an unresponsive process, grace 5, one a second (Job, pod: grace 5)",
}
COMPARED = (HANDLER, DEAD)


def table(record: Record) -> str:
    """All of it."""
    parts = [_head(record), *_blocks(record), _writes(record), _promises(record)]
    return "\n\n".join("\n".join(part) for part in parts)


def _head(record: Record) -> list[str]:
    measured = record.measured
    lines = [f"{measured.began}, commit {measured.commit}, {measured.cores} cores for cluster, operator and clients"]
    if not measured.push:
        lines.append("Desist, push: absent, the installed release has none")
    lines += [f"left out, for lack of time: {part}" for part in measured.left_out]
    return lines


def _blocks(record: Record) -> Iterator[list[str]]:
    for (case, mode), title in BLOCKS.items():
        if any(record.of(side, case, mode) for side in record.sides):
            yield _block(record, case, mode, title)


def _block(record: Record, case: str, mode: str, title: str) -> list[str]:
    lines = [title, _row("  milliseconds", [TITLES[side] for side in record.sides])]
    numbers = [len(record.of(side, case, mode)) for side in record.sides]
    lines.append(_row("", [f"{number} stops" if number else "nothing like it" for number in numbers]))
    lines.append(_row("", [_three("p50", "p99", "max") if number else "" for number in numbers]))
    for step in STEPS:
        spreads = {side: spread(record, side, case, mode, step) for side in record.sides}
        if any(spreads.values()):
            lines.append(_row(f"  {step}", [_times(each) for each in spreads.values()]))
            job = spreads.get(JOB)
            if step in COMPARED and job is not None:
                lines.append(_row("    by the Job's", [_ratios(each, job) for each in spreads.values()]))
    said = [(early(stops), len(stops)) for stops in (record.of(side, case, mode) for side in record.sides)]
    lines.append(_row("  final while it lived", [f"{some} of {all_}" if all_ else "" for some, all_ in said]))
    return lines


def _row(label: str, cells: list[str]) -> str:
    return (f"{label:<{LABEL}}" + "".join(f"{cell:>{COLUMN}}" for cell in cells)).rstrip()


def _three(*cells: str) -> str:
    return "".join(f"{cell:>7}" for cell in cells)


def _times(found: Spread | None) -> str:
    return "" if found is None else _three(*(_milliseconds(each) for each in (found.p50, found.p99, found.max)))


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}" if abs(seconds) < 0.01 else f"{seconds * 1000:.0f}"


def _ratios(found: Spread | None, job: Spread) -> str:
    if found is None:
        return ""
    pairs = ((found.p50, job.p50), (found.p99, job.p99), (found.max, job.max))
    return _three(*(f"{ours / max(theirs, 0.001):.2f}" for ours, theirs in pairs))


def _writes(record: Record) -> list[str]:
    """For each side and block, the mean of each kind; what is never written is not named."""
    lines = ["writes to the API server a stop (cluster: by everybody but Desist)"]
    for case, mode in BLOCKS:
        for side in record.sides:
            stops = [record.writes[stop.name] for stop in record.of(side, case, mode) if stop.name in record.writes]
            if stops:
                means = {kind: sum(each.get(kind, 0) for each in stops) / len(stops) for kind in KINDS}
                told = ", ".join(f"{kind} {mean:.2f}" for kind, mean in means.items() if mean)
                lines.append(f"  {mode + ', ' + case:<18}{TITLES[side]:<24}{told}")
    return lines


def _promises(record: Record) -> list[str]:
    return ["promised, and found in this run", *map(str, judged(record))]
