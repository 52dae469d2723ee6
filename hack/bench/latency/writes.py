"""What each stop wrote to the API server, from its audit log, and how many Events were made of it.

Contract: a write counts for the stop whose object it names, or a pod of whose it names, if it was answered after the
request. Kinds are those of `fanout_audit`: `execution` and `pods` are the operator's, `refused` were in vain, `cluster`
is everybody else's (kubelets, the Job controller). Events are not in the log (they would drown it): `events` are the
operator's own, counted as objects.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from desist.kube.client import Client
from desist.kube.resource import EVENTS, Query
from hack.bench.fanout_audit import Event, kind_of, moment
from hack.bench.latency.samples import Sample

KINDS = ("execution", "pods", "other", "refused", "events", "cluster")
CONTROLLER = "desist.dev/"
"""What the operator's name in its Events begins with."""


class Names:
    """Which stop an object's name belongs to: its own, or its pod's."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = {each.name: each for each in samples}

    def of(self, name: str) -> Sample | None:
        """Names of samples have four parts between hyphens; a pod's has more."""
        return self._samples.get("-".join(name.split("-")[:4]))


def counted(lines: Iterable[str], namespace: str, samples: Iterable[Sample]) -> dict[str, Counter[str]]:
    """By the name of each stop, the writes of each kind in these lines of the audit log."""
    names, found = Names(samples), dict[str, Counter[str]]()
    for event in map(json.loads, lines):
        kind = kind_of(event, namespace)
        sample = names.of(event["objectRef"].get("name", ""))
        if kind is not None and sample is not None and moment(event) >= sample.requested:
            found.setdefault(sample.name, Counter())[kind] += 1
    return found


async def events(client: Client, namespace: str) -> list[Event]:
    """All Events of the namespace."""
    page = await client.list(EVENTS, Query(namespace))
    return [json.loads(bytes(item)) for item in page.items]


def with_events(
    found: dict[str, Counter[str]], events: Iterable[Event], samples: Iterable[Sample]
) -> dict[str, Counter[str]]:
    """The same with the operator's Events that tell of a stop, which is what came after the request."""
    names = Names(samples)
    for event in events:
        sample = names.of(event.get("regarding", {}).get("name", ""))
        ours = event.get("reportingController", "").startswith(CONTROLLER)
        if ours and sample is not None and moment({"stageTimestamp": event["eventTime"]}) >= sample.requested:
            found.setdefault(sample.name, Counter())["events"] += 1
    return found
