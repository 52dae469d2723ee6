"""A posting is repeated where the process lives on: a busy kubelet may have missed the first one."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from kubernetes import watch

from desist.api.meta import STOP_ANNOTATION
from tests.support import programs, proof
from tests.support.lab import Execution
from tests.support.logs import wait_for_log, wait_until_started
from tests.support.receipts import receipt

pytestmark = pytest.mark.usefixtures("release_operator")

LAST_REPEAT = 25
"""Seconds after a posting; the first repeat comes after 5."""


def mailboxes(execution: Execution, repeats: int, seconds: int = 90) -> list[dict[str, Any]]:
    """What the pod's mailbox has held, in order, until so many repeats were seen."""
    seen: list[dict[str, Any]] = []
    stream: Any = watch.Watch().stream(
        execution.lab.core.list_namespaced_pod,
        execution.lab.name,
        label_selector=f"desist.dev/execution-uid={execution.uid}",
        timeout_seconds=seconds,
    )
    for event in stream:
        text = (event["object"].metadata.annotations or {}).get(STOP_ANNOTATION)
        if text and (not seen or seen[-1] != json.loads(text)):
            seen.append(json.loads(text))
        if sum("repeatedAt" in held for held in seen) == repeats:
            return seen
    raise AssertionError(f"{repeats} repeats were not seen within {seconds} s: {seen}")


def after(held: dict[str, Any]) -> float:
    """Seconds from the posting to its repeat."""
    moments = [datetime.fromisoformat(held[name]) for name in ("postedAt", "repeatedAt")]
    return (moments[1] - moments[0]).total_seconds()


def test_a_stop_that_lasts_is_posted_twice_more_and_signalled_once(lab: Any) -> None:
    execution = lab.start(programs.DEAF)
    wait_until_started(execution)
    execution.stop("Cancel")
    wait_for_log(execution, "heard, and ignored")
    first, *repeats = mailboxes(execution, 2)
    assert [{name: v for name, v in held.items() if name != "repeatedAt"} for held in repeats] == [first, first]
    assert [LAST_REPEAT > after(repeats[0]) >= 5, after(repeats[1]) >= LAST_REPEAT] == [True, True]
    execution.stop("Kill", gracePeriodSeconds=1)
    execution.wait_for("Cancelled")
    (pod,) = execution.pods()
    log = execution.lab.core.read_namespaced_pod_log(pod.metadata.name, execution.lab.name)
    assert log.count("heard, and ignored") == 1
    assert (receipt(pod)["stop"]["sequence"], receipt(pod)["last"]["sequence"]) == (1, 2)
    assert proof.gone_for_good(execution.marker)
