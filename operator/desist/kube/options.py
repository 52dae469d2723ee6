"""What a client and its calls can be told: how many requests at a time, for how long, and how to delete.

Contract: values. Times are in seconds. How many at a time, and a second, is by what requests are for (`lanes.Budget`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from desist.kube.lanes import Allowance

STOPS = Allowance(at_a_time=40, a_second=400, burst=400)
"""As many as there are places for urgent reconciles with the usual number of workers: none of them waits for a seat."""
TELLS = STOPS
STARTS = Allowance(at_a_time=16, a_second=200, burst=200)
EVENTS = Allowance(at_a_time=4, a_second=100, burst=100)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Times in seconds."""

    request_timeout: float = 15.0
    """For one try of one request; a watch has its own bounds."""
    connect_timeout: float = 5.0
    patience: float = 2.0
    """How long one call may go on trying; 0: one try."""
    stops: Allowance = STOPS
    tells: Allowance = TELLS
    starts: Allowance = STARTS
    events: Allowance = EVENTS
    user_agent: str = "desist"


@dataclass(frozen=True, slots=True)
class Deletion:
    """How to delete, and what."""

    grace_seconds: int | None = None
    """None: the object's own."""
    uid: str = ""
    """Only this one, whoever bears the name; else Conflict."""
    resource_version: str = ""
    """Only in this state; else Conflict."""

    def body(self) -> dict[str, Any]:
        """As DeleteOptions."""
        guards = {"uid": self.uid, "resourceVersion": self.resource_version}
        options = {
            "gracePeriodSeconds": self.grace_seconds,
            "preconditions": {name: value for name, value in guards.items() if value} or None,
        }
        wanted = {name: value for name, value in options.items() if value is not None}
        return {"apiVersion": "v1", "kind": "DeleteOptions", **wanted}
