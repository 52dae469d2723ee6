"""Ten thousand datagrams a second from a neighbour: they cost little, get no answer, and drown no true stop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hack.cluster.api import Process
from hack.cluster.engine import current
from tests.cluster.push.conftest import HEARS, Told, moment
from tests.support import proof
from tests.support.lab import Execution, Lab
from tests.support.last_states import last_states
from tests.support.logs import wait_until_started
from tests.support.neighbour import PER_SECOND, Flood, Neighbour, neighbour
from tests.support.push import Datagram, stop_for, target
from tests.support.sight import STEADY_NODE

# Alone: such a flood fills a socket within milliseconds, and a launcher that other modules' work keeps from its
# processor for longer loses whatever comes then, a true stop too.
pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("datagrams_arrive", "release_operator")]

SECONDS = 3.0
TICKS = 100
"""Of the clock by which the kernel counts a process's time, in a second."""
LEAST_SENT = PER_SECOND * SECONDS / 2
"""What a busy machine sends at the least; with less nothing was tried."""
MICROSECONDS = {"garbage": 15.0, "well-formed, with a bad signature": 40.0}
"""What one of them may cost a launcher: to check a signature takes more than sixty, and to read a datagram five."""
SOON = 2.0
"""Seconds from the acceptance to the launcher's reading, in the middle of a flood."""
TRIES = 3
"""A flood fills a socket within milliseconds: where unit tests keep a launcher from its processor, one datagram may be
lost. A launcher that hears none in a flood is found out all the same."""


@dataclass(frozen=True)
class Flooded:
    """What became of a run that was stopped in the middle of a flood."""

    told: Told
    flood: Flood
    cpu: float
    """Seconds that the launcher took meanwhile."""

    @property
    def seconds(self) -> float:
        """From the acceptance to the launcher's reading."""
        return (moment(self.told.receipt["stop"]["at"]) - moment(self.told.command["acceptedAt"])).total_seconds()

    @property
    def heard(self) -> bool:
        """Whether a flood was there, and the stop was heard in the middle of it."""
        return self.flood.sent >= LEAST_SENT and self.told.way == "push" and self.seconds < SOON


@pytest.fixture(scope="module")
def sender(api: Any) -> Iterator[Neighbour]:
    with neighbour(api, STEADY_NODE) as made:
        yield made


@pytest.fixture(scope="module")
def all_flooded(place: Lab, sender: Neighbour) -> dict[str, Flooded]:
    """The last try of each kind; the first one that was heard is the last."""
    found = _try(place, sender, [*MICROSECONDS])
    for _ in range(TRIES - 1):
        found |= _try(place, sender, [kind for kind in found if not found[kind].heard])
    return found


def _try(place: Lab, sender: Neighbour, kinds: list[str]) -> dict[str, Flooded]:
    """One after the other; the first still cleans up when the second is stopped."""
    runs = {kind: place.start(HEARS) for kind in kinds}
    for execution in runs.values():
        wait_until_started(execution)
    with last_states(place) as kept:
        spent = {kind: _flooded(execution, sender, kind) for kind, execution in runs.items()}
        told = {kind: Told.of(execution, "Cancelled", kept) for kind, execution in runs.items()}
    assert not [execution for execution in runs.values() if proof.processes(execution.marker)]
    return {kind: Flooded(told[kind], *spent[kind]) for kind in runs}


def _flooded(execution: Execution, sender: Neighbour, kind: str) -> tuple[Flood, float]:
    to, run_id = target(execution), execution.get()["status"]["runId"]
    forged = Datagram.to(to, stop_for(run_id))
    parts = garbage(forged) if kind == "garbage" else [(forged.head, forged.body)]
    (launcher,) = (p for p in proof.processes(execution.marker) if "desist-launcher" in p.arguments[0])
    before = cpu(launcher)
    with sender.flood(to.address, to.port, parts, SECONDS) as flood:
        execution.stop("Cancel")
        execution.wait_for("Cancelling")
    spent = cpu(launcher) - before
    print(f"{kind}: {flood.sent} sent in {flood.seconds:.1f} s, {spent:.2f} s of the launcher's CPU")
    return flood, spent


@pytest.fixture(params=MICROSECONDS)
def flooded(all_flooded: dict[str, Flooded], request: pytest.FixtureRequest) -> tuple[str, Flooded]:
    kind: str = request.param
    return kind, all_flooded[kind]


def garbage(forged: Datagram) -> list[tuple[bytes, bytes]]:
    """Nothing, too short, too long, another pod's, another protocol's: with 64 bytes of chance in the middle each."""
    other = forged.having(pod_uid="0b2c1e5e-6f0f-4f3c-9a7e-3f1f5f6e7a01").head
    return [
        (b"", b""),
        (forged.head, b""),
        (forged.head, forged.body + b" " * 1200),
        (other, forged.body),
        (forged.having(magic=b"desist2\n").head, forged.body),
        (b"", b"x" * 900),
        (b"", json.dumps(forged.stop).encode()),
    ]


def cpu(process: Process) -> float:
    """Seconds of processor time that it has taken, as the node's kernel counts."""
    stat = current().docker("exec", process.node, "cat", f"/proc/{process.pid}/stat").rpartition(")")[2].split()
    return sum(int(ticks) for ticks in stat[11:13]) / TICKS


@pytest.mark.conformance("I6")
def test_it_costs_the_launcher_little(flooded: tuple[str, Flooded]) -> None:
    kind, found = flooded
    assert found.flood.sent >= LEAST_SENT, f"only {found.flood.sent} were sent"
    assert found.cpu / found.flood.sent * 1e6 <= MICROSECONDS[kind], f"{found.cpu} s for {found.flood.sent}"


@pytest.mark.conformance("I6")
def test_none_of_it_is_answered_or_obeyed(flooded: tuple[str, Flooded]) -> None:
    _, found = flooded
    assert found.flood.answered == 0
    assert found.told.receipt["stop"]["commandId"] == found.told.command["id"]
    assert found.told.times == 1
    assert "last" not in found.told.receipt


@pytest.mark.conformance("I6", "C18")
def test_a_true_stop_is_heard_in_the_middle_of_it_by_push(flooded: tuple[str, Flooded]) -> None:
    _, found = flooded
    assert found.told.way == "push"
    assert found.seconds < SOON
