"""What anybody on the pod network may send to a launcher: it obeys nothing of it, and does not even answer.

Each attack asks for a Force: a launcher that obeyed it would kill its program at once. The same datagram under the true
key, from the same neighbour, is obeyed: so it is the launcher that refuses, and not the network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from nacl.signing import SigningKey

from tests.cluster.push.conftest import HEARS, Told, moment
from tests.support import programs, proof
from tests.support.lab import Execution, Lab, template
from tests.support.last_states import LastStates, last_states
from tests.support.logs import log_of, wait_until_started
from tests.support.neighbour import Neighbour, neighbour
from tests.support.operator_socket import operator_address
from tests.support.packets import Way, relayed
from tests.support.proof import workflow_processes
from tests.support.push import MAGIC, Datagram, Keys, Target, stop_for, target
from tests.support.receipts import receipt
from tests.support.sight import HOSTNAME, STEADY_NODE

pytestmark = pytest.mark.usefixtures("datagrams_arrive", "release_operator")


@dataclass(frozen=True)
class World:
    """A victim, another run, and the neighbour."""

    victim: Execution
    to: Target
    other: Execution
    other_to: Target
    key: SigningKey
    sender: Neighbour

    @property
    def forced(self) -> Datagram:
        """A Force of the victim's run, which lacks nothing but a signature."""
        return Datagram.to(self.to, stop_for(run_id(self.victim)))


@pytest.fixture(scope="module")
def world(api: Any, place: Lab) -> Iterator[World]:
    with neighbour(api, STEADY_NODE) as sender:
        victim, other = start(place), start(place)
        for execution in (victim, other):
            wait_until_started(execution)
        to = target(victim)
        yield World(victim, to, other, target(other), Keys.of_release(place.core).of(to), sender)


def start(lab: Lab, source: str = HEARS) -> Execution:
    marker = f"mark-{len(lab.executions)}-{lab.name}"
    made: dict[str, Any] = template(programs.command(source, marker), nodeSelector={HOSTNAME: STEADY_NODE})
    return lab.create({"workflowSpec": {"template": made}}, marker)


def run_id(execution: Execution) -> str:
    found: str = execution.get()["status"]["runId"]
    return found


def of_another_pod(world: World) -> Datagram:
    return Datagram.to(world.other_to, stop_for(run_id(world.other)))


def with_another_head(world: World) -> bytes:
    """What was signed for another pod, behind this one's UID."""
    return world.forced.head + of_another_pod(world).signed(world.key)[len(world.forced.head) :]


def malformed(**changes: Any) -> Callable[[World], bytes]:
    return lambda world: Datagram.to(world.to, stop_for(run_id(world.victim), **changes)).signed(world.key)


ATTACKS: dict[str, Callable[[World], bytes]] = {
    "another key": lambda world: world.forced.signed(SigningKey.generate()),
    "no signature": lambda world: world.forced.unsigned(),
    "another pod's": lambda world: of_another_pod(world).signed(world.key),
    "another pod's, with this one's UID before it": with_another_head,
    "an older run's, to this pod": malformed(runId="01K0ZJ5S9N8D4C3B2A1QRSTVWX"),
    "an older pod's of the same run": lambda world: world.forced.having(
        pod_uid="0b2c1e5e-6f0f-4f3c-9a7e-3f1f5f6e7a01"
    ).signed(world.key),
    "another protocol's": lambda world: world.forced.having(magic=b"desist2\n").signed(world.key),
    "cut": lambda world: world.forced.signed(world.key)[:-1],
    "with something behind it": lambda world: world.forced.signed(world.key) + b" ",
    "changed": lambda world: world.forced.signed(world.key).replace(b'"Force"', b'"Kill" '),
    "too long": malformed(reason="x" * 1000),
    "an unknown mode": malformed(mode="Ask"),
    "no sequence": malformed(sequence=None),
    "a nonce that is none": lambda world: world.forced.having(nonce="x" * 400).signed(world.key),
    "nothing": lambda world: b"",
    "the magic alone": lambda world: MAGIC,
    "garbage": lambda world: os.urandom(1200),
}


@pytest.mark.conformance("I6")
@pytest.mark.parametrize("name", ATTACKS)
def test_it_is_neither_obeyed_nor_answered(name: str, world: World) -> None:
    data = ATTACKS[name](world)
    assert world.sender.send([(data, world.to.address, world.to.port)], listen=0.2) == []
    assert workflow_processes(world.victim.marker)
    assert "heard" not in log_of(world.victim)


@pytest.mark.conformance("I6")
def test_who_takes_on_the_operators_address_has_not_got_its_key(api: Any, world: World) -> None:
    address, ports = operator_address(api)
    forged = [world.forced.signed(SigningKey.generate()), world.forced.unsigned(), of_another_pod(world).unsigned()]
    for port in ports:
        world.sender.send([(data, world.to.address, world.to.port) for data in forged], 0.2, (address, port))
    assert workflow_processes(world.victim.marker)
    assert "heard" not in log_of(world.victim)


@pytest.mark.conformance("I6", "C18")
def test_after_all_that_a_true_stop_is_told_by_push(place: Lab, world: World) -> None:
    with last_states(place) as kept:
        world.victim.stop("Cancel")
        found = Told.of(world.victim, "Cancelled", kept)
        assert found.times == 1
        assert "last" not in found.receipt
        if found.way != "push":
            found = _another(place, world, kept)
    assert (found.way, found.times) == ("push", 1)
    assert found.receipt["stop"]["commandId"] == found.command["id"]
    assert "last" not in found.receipt


def _another(place: Lab, world: World, kept: LastStates) -> Told:
    """One more that was attacked so: a launcher that a busy node gives no processor may find the mailbox first."""
    victim = start(place)
    wait_until_started(victim)
    again = replace(world, victim=victim, to=target(victim))
    sent = [(attack(again), again.to.address, again.to.port) for attack in ATTACKS.values()]
    assert again.sender.send(sent, listen=0.2) == []
    victim.stop("Cancel")
    return Told.of(victim, "Cancelled", kept)


def test_the_same_under_the_true_key_is_obeyed_and_answered(place: Lab, world: World) -> None:
    """What the attacks lack is the key alone. Whoever has it may send from anywhere; it is in one Secret."""
    sent = of_another_pod(world)
    with last_states(place) as kept:
        data = [(sent.signed(world.key), world.other_to.address, world.other_to.port)]
        answers = world.sender.send(data, listen=20.0, enough=1)
        pod = kept.of(world.other)
    assert [answer.said["nonce"] for answer in answers] == [sent.nonce]
    assert answers[0].said["podUid"] == world.other_to.uid
    assert (answers[0].address, answers[0].port) == (world.other_to.address, world.other_to.port)
    assert len(answers[0].data) <= len(sent.signed(world.key))
    assert receipt(pod)["stop"]["by"] == "push"
    world.other.stop("Kill", gracePeriodSeconds=1)
    proof.wait_until_gone(world.other.marker)


GRACE = 5


@pytest.mark.conformance("I6")
def test_what_the_operator_has_sent_is_worth_nothing_a_second_time(place: Lab, world: World) -> None:
    """Both datagrams of a Cancel and a Kill, seen on their way and sent again: no signal, no later deadline."""
    execution = start(place, programs.DEAF)
    wait_until_started(execution)
    to = target(execution)
    with relayed(place, [(to, Way())]) as relay, last_states(place) as kept:
        execution.stop("Cancel")
        relay.wait_for(to, 1)
        execution.stop("Kill", gracePeriodSeconds=GRACE)
        seen = relay.wait_for(to, 2)
        answers = [answer for _ in range(3) for answer in _replayed(world.sender, seen, to)]
        execution.wait_for("Cancelled")
        pod, log = kept.of(execution), log_of(execution)
    said = receipt(pod)
    assert answers, "a launcher that is not reached proves nothing"
    assert log.count("heard") == 1
    assert [said[name]["sequence"] for name in ("stop", "last")] == [1, 2]
    assert 0 <= seconds(said["last"]["at"], said["deadline"]) - GRACE < 0.5
    assert proof.gone_for_good(execution.marker)


def _replayed(sender: Neighbour, seen: list[bytes], to: Target) -> list[Any]:
    """Once more, some part of the grace later; on a busy node the launcher takes its time to answer."""
    return list(sender.send([(data, to.address, to.port) for data in seen], listen=2.0, enough=len(seen)))


def seconds(earlier: str, later: str) -> float:
    """From one time to another."""
    return (moment(later) - moment(earlier)).total_seconds()
