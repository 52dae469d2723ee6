"""What the tests of push send and lead astray: the same bytes as the contract's, and programs that do what they say."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from hack import nightly
from tests.support.neighbour import FLOODS, SENDS
from tests.support.operator_socket import ports
from tests.support.packets import RELAYS, Way
from tests.support.push import Datagram, Target, answer_for, key_id, parsed

CONTRACT = Path(__file__).parents[2] / "contract" / "push"
POD: dict[str, Any] = json.loads((CONTRACT / "pod.json").read_text())
KEY = SigningKey(bytes.fromhex(POD["seed"]))
MADE = [example for example in json.loads((CONTRACT / "index.json").read_text()) if example["from"]]
HERE = "127.0.0.1"
Flow = tuple[socket.socket, int]


@pytest.mark.parametrize("example", MADE, ids=lambda example: example["file"])
def test_a_datagram_of_the_tests_is_the_contracts(example: dict[str, Any]) -> None:
    data = bytes.fromhex((CONTRACT / example["file"]).read_text())
    made = Datagram(POD["podUid"], example["read"]["stop"], example["read"]["nonce"])
    assert parsed(data) == made
    assert made.signed(KEY) == data
    assert key_id(KEY) == POD["keyId"]


def test_an_answer_of_the_tests_has_what_the_contracts_has(target: Any) -> None:
    written = next(each for each in json.loads((CONTRACT / "answers.json").read_text()) if each["written"])
    made = json.loads(answer_for(target, "01KB0Q8Z9T4N7V2M5X1C3R6W8D", 1))
    assert made.keys() == written["read"].keys()
    assert {name: type(value) for name, value in made.items()} == {
        name: type(value) for name, value in written["read"].items()
    }


@pytest.fixture
def target() -> Any:
    return Target("space", "pod", POD["podUid"], "node", HERE, 7633, POD["keyId"])


def test_the_kernels_table_names_the_ports() -> None:
    table = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  105: 00000000:9C41 00000000:0000 07 00000000:00000000 00:00000000 00000000 65532        0 41 2 0000000000000000 0
  221: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 42 2 0000000000000000 0
"""
    assert ports(table) == [53, 40001]


def test_the_nightly_rules_name_the_charts_port_on_the_way_in_and_out() -> None:
    text = nightly.rules(nightly.port())
    assert re.findall(r"hook (\w+) .* udp dport 7633 counter name dropped drop", text) == ["prerouting", "output"]
    assert text.count("{") == text.count("}")


@contextmanager
def launchers(number: int) -> Iterator[list[Flow]]:
    """Sockets in the place of launchers, and their ports."""
    with ExitStack() as held:
        made = [held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(number)]
        for each in made:
            each.bind((HERE, 0))
            each.settimeout(10)
        yield [(each, each.getsockname()[1]) for each in made]


def sends(datagrams: list[tuple[bytes, int]], listen: float = 0.3, enough: int = 100) -> list[tuple[bytes, int]]:
    sent = [(data.hex(), HERE, port) for data, port in datagrams]
    asked = {"datagrams": sent, "listen": listen, "source": None, "enough": enough}
    done = subprocess.run(
        [sys.executable, "-uc", SENDS], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    return [(bytes.fromhex(data), port) for data, _, port in json.loads(done.stdout)]


@contextmanager
def relaying(ways: list[Way], flows: list[Flow]) -> Iterator[tuple[list[int], list[bytes]]]:
    """A relay's ports, and what it has said to have got, when it has ended."""
    fronts = [port for _, port in _free(len(ways))]
    routes = [
        {"port": front, "address": HERE, "to": to, **asdict(way)}
        for front, (_, to), way in zip(fronts, flows, ways, strict=True)
    ]
    seen: list[bytes] = []
    with subprocess.Popen([sys.executable, "-uc", RELAYS, json.dumps(routes)], stdout=subprocess.PIPE) as relay:
        assert relay.stdout is not None
        assert relay.stdout.readline() == b"relaying\n"
        try:
            yield fronts, seen
        finally:
            relay.kill()
            seen += [bytes.fromhex(json.loads(line)["data"]) for line in relay.stdout.read().splitlines()]


def _free(number: int) -> list[Flow]:
    with launchers(number) as made:
        return made


def test_a_sender_that_has_enough_answers_listens_no_longer() -> None:
    with launchers(1) as flows, ThreadPoolExecutor(1) as pool:
        launcher, port = flows[0]
        sent = pool.submit(sends, [(b"hello", port)], 60.0, 1)
        _, asker = launcher.recvfrom(100)
        launcher.sendto(b"answer", asker)
        assert sent.result(40) == [(b"answer", port)]


def test_a_relay_leads_on_repeats_and_cuts() -> None:
    ways = [Way(), Way(times=2), Way(cut=3)]
    with launchers(3) as flows, relaying(ways, flows) as (fronts, seen):
        sends([(f"hello{number}".encode(), front) for number, front in enumerate(fronts)], 0)
        assert [flow.recv(100) for flow, _ in flows] == [b"hello0", b"hello1", b"hel"]
        assert flows[1][0].recv(100) == b"hello1"
    assert seen == [b"hello0", b"hello1", b"hello2"]


def test_a_relay_brings_the_answer_back() -> None:
    with launchers(1) as flows, relaying([Way()], flows) as (fronts, _):
        launcher, _ = flows[0]
        with launchers(1) as askers:
            asker, _ = askers[0]
            asker.sendto(b"hello", (HERE, fronts[0]))
            data, relay = launcher.recvfrom(100)
            launcher.sendto(b"answer to " + data, relay)
            assert asker.recvfrom(100) == (b"answer to hello", (HERE, fronts[0]))


def test_a_flood_sends_what_it_is_told_at_its_rate() -> None:
    with launchers(1) as flows:
        launcher, port = flows[0]
        asked = {"address": HERE, "port": port, "parts": [["aa", "bb"]], "seconds": 0.2, "perSecond": 1000}
        done = subprocess.run(
            [sys.executable, "-uc", FLOODS], input=json.dumps(asked), capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("flooding\n")
        said = json.loads(done.stdout.splitlines()[1])
        first = launcher.recv(1000)
    assert (len(first), first[:1], first[-1:]) == (66, b"\xaa", b"\xbb")
    assert 0 < said["sent"] <= 201
    assert said["answered"] == 0
