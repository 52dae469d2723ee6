"""A storm's time, step by step: what the audit log, the programs and the watch say of each stop, put in a row.

Contract: pure. `spans` gives, for each stop, when each step began and ended, in seconds since the storm's first one.
Steps of the API server are from its audit log: from the arrival of a request to its answer, so that what lies between
two of them is somebody else's: the watch, the operator's queue, its decisions, its lanes. A stop of which the log has
not all of it (a refused write, say) gives what there is.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from datetime import datetime

from hack.bench.fanout_audit import BENCH, OPERATOR, Event
from hack.bench.latency.samples import Sample
from hack.bench.latency.writes import Names

Span = tuple[float, float]
REQUEST, ACCEPTANCE, MAILBOX, REPORT, END = (
    "the request",
    "acceptance written",
    "mailbox written",
    "end reported",
    "end written",
)
HANDLER, DEAD, SAID = "handler", "dead", "said final"
ORDER = (REQUEST, ACCEPTANCE, MAILBOX, HANDLER, DEAD, REPORT, END, SAID)
_OF: dict[str, Callable[[Event], bool]] = {
    REQUEST: lambda event: event["user"]["username"] == BENCH and _what(event) == "workflowexecutions",
    ACCEPTANCE: lambda event: event["user"]["username"] == OPERATOR and _what(event) == "workflowexecutions/status",
    MAILBOX: lambda event: event["user"]["username"] == OPERATOR and _what(event) == "pods",
    REPORT: lambda event: event["user"]["username"].startswith("system:node:") and _what(event) == "pods/status",
}


def spans(lines: Iterable[str], samples: list[Sample]) -> list[dict[str, Span]]:
    """For each stop, its steps. The end is the last status write, the report the first one after the death."""
    names, first = Names(samples), min(sample.requested for sample in samples)
    written: dict[str, list[tuple[str, Span]]] = {sample.name: [] for sample in samples}
    for event in map(json.loads, lines):
        sample = names.of(event["objectRef"].get("name", ""))
        step = next((step for step, fits in _OF.items() if fits(event)), None)
        if sample is not None and step is not None and event["responseStatus"]["code"] < 300:
            began, ended = (_seconds(event[key]) for key in ("requestReceivedTimestamp", "stageTimestamp"))
            after = sample.dead if step == REPORT else sample.requested - 0.001
            if began >= after:
                written[sample.name].append((step, (began - first, ended - first)))
    return [_in_a_row(sample, written[sample.name], first) for sample in samples]


def _in_a_row(sample: Sample, written: list[tuple[str, Span]], first: float) -> dict[str, Span]:
    found: dict[str, Span] = {}
    for step, span in sorted(written, key=lambda each: each[1]):
        found.setdefault(step, span)
    ends = [span for step, span in written if step == ACCEPTANCE]
    if len(ends) > 1:
        found[END] = max(ends)
    for step, moment in ((HANDLER, sample.heard), (DEAD, sample.dead), (SAID, sample.said)):
        if moment is not None:
            found[step] = (moment - first, moment - first)
    return found


def gaps(found: list[dict[str, Span]]) -> dict[str, list[float]]:
    """Between each step's end and the next one's beginning, of the stops that have both."""
    pairs = list(itertools.pairwise(ORDER))
    return {
        f"{one} → {two}": [each[two][0] - each[one][1] for each in found if {one, two} <= each.keys()]
        for one, two in pairs
    }


def took(found: list[dict[str, Span]]) -> dict[str, list[float]]:
    """How long the API server took for each request."""
    asked = (REQUEST, ACCEPTANCE, MAILBOX, REPORT, END)
    return {step: [each[step][1] - each[step][0] for each in found if step in each] for step in asked}


def reached(found: list[dict[str, Span]]) -> dict[str, list[float]]:
    """When each step was done, since the first request."""
    return {step: [each[step][1] for each in found if step in each] for step in ORDER}


def _what(event: Event) -> str:
    asked = event["objectRef"]
    return f"{asked['resource']}/{asked['subresource']}" if asked.get("subresource") else str(asked["resource"])


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
