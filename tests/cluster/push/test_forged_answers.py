"""Whoever answers for another pod says nothing to the operator: no repeat is spared, and history does not say it.

The victim's datagrams are dropped on its node, so that whatever is answered for it is a lie. Strangers guess nonces,
also under the victim's own address; and a run of somebody else's, whose pod sees its own datagrams on their way,
answers its own nonce in the victim's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes import watch

from desist.api.meta import STOP_ANNOTATION
from tests.cluster.push.conftest import HEARS, Told, entries, moment
from tests.support import programs, proof
from tests.support.inside import inside
from tests.support.lab import Execution, Lab, template
from tests.support.last_states import last_states
from tests.support.logs import wait_for_log, wait_until_started
from tests.support.neighbour import Neighbour, neighbour
from tests.support.operator_socket import operator_address
from tests.support.packets import dropped
from tests.support.push import Target, answer_for, target
from tests.support.sight import HOSTNAME, STEADY_NODE

pytestmark = pytest.mark.usefixtures("datagrams_arrive", "release_operator")

GUESSES = 300
LIAR = """
import json, signal, socket, struct, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
seen = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
print("started", flush=True)
while True:
    packet = seen.recv(65535)
    size = (packet[0] & 15) * 4
    source, mine = packet[12:16], packet[16:20]
    if packet[9] != 17 or packet[size + 8:size + 16] != b"desist1\\n":
        continue
    asker, port = struct.unpack("!HH", packet[size:size + 4])
    lie = json.load(open("/tmp/lie"))
    lie["nonce"] = json.loads(packet[size + 8 + 88:])["nonce"]
    data = json.dumps(lie, separators=(",", ":")).encode()
    udp = struct.pack("!HHHH", port, asker, 8 + len(data), 0) + data
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, mine, source)
    for _ in range(5):
        raw.sendto(ip + udp, (socket.inet_ntoa(source), 0))
    print("lied", flush=True)
"""
"""Sees the datagrams that its own pod gets, and answers each with what /tmp/lie says."""


@dataclass(frozen=True)
class Lies:
    """What became of the victim."""

    told: Told
    before_its_end: list[dict[str, Any]]
    """The status each time that it was seen before the process was reported ended."""
    repeated: dict[str, Any]
    lost: int
    """Datagrams to it that the node has dropped."""


@pytest.fixture(scope="module")
def lies(api: Any, place: Lab) -> Iterator[Lies]:
    marker = f"mark-liar-{place.name}"
    liar = place.create({"workflowSpec": {"template": template(programs.command(LIAR, marker))}}, marker)
    victim = _start(place)
    for execution in (liar, victim):
        wait_until_started(execution)
    to = target(victim)
    with neighbour(api, STEADY_NODE) as stranger, dropped([to]) as rule, last_states(place) as kept:
        victim.stop("Cancel")
        command = victim.wait_for("Cancelling").object["status"]["commands"][0]
        _tell(liar, answer_for(to, command["id"], command["sequence"]))
        liar.stop("Cancel")
        _guess(api, stranger, to, command)
        wait_for_log(liar, "lied")
        repeated = _repeat(victim)
        told = Told.of(victim, "Cancelled", kept)
        # From what was recorded: on a busy machine the lies take longer than the victim lives.
        before = [seen.object["status"] for seen in victim.history() if "endTime" not in seen.object["status"]]
        lost = rule.count(to)
    yield Lies(told, before, repeated, lost)
    liar.stop("Kill", gracePeriodSeconds=1)
    liar.wait_for("Cancelled")
    assert proof.gone_for_good(liar.marker)


def _start(lab: Lab) -> Execution:
    marker = f"mark-victim-{lab.name}"
    made: dict[str, Any] = template(programs.command(HEARS, marker), nodeSelector={HOSTNAME: STEADY_NODE})
    return lab.create({"workflowSpec": {"template": made}}, marker)


def _tell(liar: Execution, lie: bytes) -> None:
    """What it is to answer in the victim's name."""
    write = ["sh", "-c", f"cat >/tmp/lie <<'LIE'\n{lie.decode()}\nLIE"]
    inside(liar.lab, liar.pods()[0].metadata.name, write)


def _guess(api: Any, stranger: Neighbour, to: Target, command: dict[str, Any]) -> None:
    """Nonces that nobody has told it, from its own address and from the victim's."""
    address, ports = operator_address(api)
    assert ports, "the operator has no socket"
    for source in (None, (to.address, to.port)):
        for port in ports:
            guesses = [answer_for(to, command["id"], command["sequence"]) for _ in range(GUESSES)]
            stranger.send([(guess, address, port) for guess in guesses], 0.1, source)


def _repeat(victim: Execution) -> dict[str, Any]:
    """The victim's mailbox once it has been posted again."""
    events: Any = watch.Watch().stream(
        victim.lab.core.list_namespaced_pod,
        victim.lab.name,
        label_selector=f"desist.dev/execution-uid={victim.uid}",
        timeout_seconds=60,
    )
    for event in events:
        text = (event["object"].metadata.annotations or {}).get(STOP_ANNOTATION)
        if text and "repeatedAt" in text:
            found: dict[str, Any] = json.loads(text)
            return found
    raise AssertionError("the mailbox was not repeated: somebody was believed")


@pytest.mark.conformance("I6")
def test_the_mailbox_is_repeated_as_if_nobody_had_answered(lies: Lies) -> None:
    assert lies.lost >= 1, "the victim's datagrams came through"
    assert lies.told.way == "mailbox"
    waited = moment(lies.repeated["repeatedAt"]) - moment(lies.repeated["postedAt"])
    assert 3 <= waited.total_seconds() < 20


@pytest.mark.conformance("I6")
def test_history_says_nothing_of_it_until_the_launchers_own_receipt_is_there(lies: Lies) -> None:
    assert lies.before_its_end[-1]["phase"] == "Cancelling"
    assert not any(entries(status, "CancellationReceived") for status in lies.before_its_end)
    (received,) = entries(lies.told.status, "CancellationReceived")
    # The launcher's own time, which milliseconds make comparable; an answer's would be the operator's.
    assert moment(received["time"]) == moment(lies.told.receipt["stop"]["at"])


@pytest.mark.conformance("I6", "C18")
def test_the_victim_ends_as_it_would_have(lies: Lies) -> None:
    assert lies.told.times == 1
    assert lies.told.status["processes"][0]["exitCode"] == 0
