"""Runs that are told by push, or by mailbox where datagrams do not get through."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from desist.api.meta import STOP_ANNOTATION
from hack.image.release import push_is_off
from hack.nightly import DROPPED, VARIABLE
from tests.support.lab import Execution, Lab
from tests.support.last_states import LastStates
from tests.support.logs import log_left
from tests.support.receipts import receipt
from tests.support.spaces import shared

LINGERS = 8
TRIES = 40
PAUSE = 0.25
"""Seconds between them: a launcher that gets no processor for a while answers late."""
HEARS = f"""
import signal, sys, time
heard = []
def stop(number, frame):
    heard.append(time.monotonic())
    print("heard", flush=True)
signal.signal(signal.SIGTERM, stop)
print("started", flush=True)
while not heard or time.monotonic() < heard[0] + {LINGERS}:
    time.sleep(0.1)
"""
"""Says how often it is told, and ends with code 0 some seconds after the first time: later than a first repeat, also
where the operator is some seconds late with that."""


@pytest.fixture(scope="module")
def place(api: Any, crds: None, release_operator: Any, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A namespace that the module's tests share, under the installed release."""
    with shared(request, api) as lab:
        yield lab


@pytest.fixture(scope="module")
def datagrams_arrive() -> None:
    """What is about push itself is not tried where a run has every datagram dropped, or push switched off."""
    if os.environ.get(VARIABLE) == DROPPED:
        pytest.skip("every datagram is dropped on the nodes")
    if push_is_off():
        pytest.skip("push is switched off")


@dataclass(frozen=True)
class Told:
    """What became of a run that was stopped once."""

    status: dict[str, Any]
    mailbox: dict[str, Any]
    receipt: dict[str, Any]
    log: str | None
    """None: its pod is not there any more, as where a busy kubelet was late and the backstop deleted it."""

    @classmethod
    def of(cls, execution: Execution, end: str, kept: LastStates) -> Told:
        """As soon as it has ended so."""
        status = execution.wait_for(end).object["status"]
        log = log_left(execution)
        return cls.in_pod(status, kept.of(execution), log)

    @classmethod
    def in_pod(cls, status: dict[str, Any], pod: Any, log: str | None) -> Told:
        """In this pod, which has ended."""
        return cls(status, json.loads(pod.metadata.annotations[STOP_ANNOTATION]), receipt(pod), log)

    @property
    def way(self) -> str:
        """By which the launcher was told first."""
        said: str = self.receipt["stop"]["by"]
        return said

    @property
    def command(self) -> dict[str, Any]:
        """The only one."""
        (found,) = self.status["commands"]
        return dict(found)

    @property
    def times(self) -> int | None:
        """How often the program was signalled; None: nobody can tell any more."""
        return None if self.log is None else self.log.count("heard")


def moment(text: str) -> datetime:
    """A time of status, of a mailbox or of a receipt."""
    return datetime.fromisoformat(text)


def noted(execution: Execution) -> dict[str, Any]:
    """The status of a cancelled run that says that its stop was received.

    That rides on a write that is made anyway: here on that of the same request, made again.
    """
    execution.wait_for("Cancelling")
    for number in range(TRIES):
        execution.stop("Cancel", requestId=f"again-{number}")
        known = number + 1
        held = execution.wait_for(lambda held, known=known: len(held["status"].get("commands", ())) > known)  # type: ignore[misc]
        if entries(held.object["status"], "CancellationReceived"):
            return dict(held.object["status"])
        time.sleep(PAUSE)  # nothing is written when the answer comes
    raise AssertionError(f"history does not say that it was received: {held.object['status']['history']}")


def entries(status: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The history's entries of that type."""
    return [entry for entry in status.get("history", ()) if entry["type"] == kind]
