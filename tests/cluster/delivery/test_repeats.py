"""A posting is repeated where the process lives on and has not answered: a busy kubelet may have missed the first."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from kubernetes import watch

from desist.api.meta import STOP_ANNOTATION
from tests.support import proof
from tests.support.lab import Execution, Lab
from tests.support.logs import log_of, wait_until_started
from tests.support.packets import by_mailbox_alone
from tests.support.receipts import receipt

pytestmark = pytest.mark.usefixtures("release_operator")

FIRST, SECOND = 3, 20
"""Seconds from a posting to its repeats."""
TAKES_ITS_TIME = """
import signal, sys, time
heard = []
def stop(number, frame):
    heard.append(time.monotonic())
    print("heard", flush=True)
signal.signal(signal.SIGTERM, stop)
print("started", flush=True)
while not heard or time.monotonic() < heard[0] + 32:
    time.sleep(0.5)
"""


def mailboxes(execution: Execution, since: str, repeats: int, seconds: int = 90) -> list[dict[str, Any]]:
    """What the pod's mailbox has held since that resourceVersion, in order, until so many repeats were seen."""
    seen: list[dict[str, Any]] = []
    stream: Any = watch.Watch().stream(
        execution.lab.core.list_namespaced_pod,
        execution.lab.name,
        label_selector=f"desist.dev/execution-uid={execution.uid}",
        resource_version=since,
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


def test_a_stop_that_lasts_is_posted_again_and_read_once(lab: Lab) -> None:
    execution = lab.start(TAKES_ITS_TIME)
    wait_until_started(execution)
    since = execution.pods()[0].metadata.resource_version
    with by_mailbox_alone([execution]):
        execution.stop("Cancel")
        first, *repeats = mailboxes(execution, since, 2)
    assert [{name: v for name, v in held.items() if name != "repeatedAt"} for held in repeats] == [first, first]
    assert FIRST <= after(repeats[0]) < SECOND <= after(repeats[1])
    execution.wait_for("Cancelled")
    assert log_of(execution).count("heard") == 1
    told = receipt(execution.pods()[0])
    assert told["stop"]["sequence"] == 1
    assert "last" not in told, "a repeat was read as a new stop"
    assert proof.gone_for_good(execution.marker)
