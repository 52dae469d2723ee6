"""Rules on a node for the datagrams that come to its pods: dropped, or led through a relay that changes them.

Contract: `dropped(targets)`, `by_mailbox_alone(executions)` and `relayed(lab, ways)` hold while the block runs, for
these pods' ports alone, and say what they met: `Dropped.count`, `Relay.seen`. All targets of one call are on one node.
A pod must not have been pushed to before it is relayed: the kernel leads a flow that it knows as it did.
Rejected: netem, which not every kernel has; nft's `dup`, which can repeat but neither delay nor cut.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from hack.cluster.api import WORKLOAD
from hack.cluster.engine import current
from hack.image.release import push_is_off
from tests.support.lab import Execution, Lab
from tests.support.logs import wait_for_line
from tests.support.neighbour import wait_for_address
from tests.support.push import Target, target

RELAY = "relay"
FIRST_PORT = 20000
SECONDS = 60
RELAYS = """
import heapq, json, select, socket, sys, time
fronts, backs, waiting, number = {}, {}, [], 0
for route in json.loads(sys.argv[1]):
    front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    front.bind(("0.0.0.0", route["port"]))
    back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    back.connect((route["address"], route["to"]))
    fronts[front], backs[back] = (route, back), [front, None]
print("relaying", flush=True)
while True:
    left = max(0, waiting[0][0] - time.monotonic()) if waiting else None
    for ready in select.select([*fronts, *backs], [], [], left)[0]:
        try:
            data, sender = ready.recvfrom(65535)
        except ConnectionError:
            continue
        if ready in backs:
            front, asker = backs[ready]
            if asker:
                front.sendto(data, asker)
            continue
        route, back = fronts[ready]
        backs[back][1], due = sender, time.monotonic() + route["delay"]
        print(json.dumps({"to": route["address"], "data": data.hex()}), flush=True)
        for number in range(number + 1, number + 1 + route["times"]):
            heapq.heappush(waiting, (due, number, back, data[:len(data) - route["cut"]]))
            due += 0.4
    while waiting and waiting[0][0] <= time.monotonic():
        try:
            waiting[0][2].send(waiting[0][3])
        except ConnectionError:
            pass
        heapq.heappop(waiting)
"""
"""For each route, what comes to its port goes on to its address later, shorter and more often; answers go back."""


@dataclass(frozen=True)
class Way:
    """What becomes of the datagrams to one pod."""

    delay: float = 0.0
    times: int = 1
    """How often, 0.4 s apart: two signals at once are one."""
    cut: int = 0
    """Bytes that are taken from the end."""


@dataclass(frozen=True)
class Dropped:
    """The rule that drops."""

    node: str
    table: str

    def count(self, target: Target) -> int:
        """How many to this pod have met it."""
        return next(packets for address, packets in self._counters() if address == target.address)

    def _counters(self) -> Iterator[tuple[str, int]]:
        listed = json.loads(current().docker("exec", self.node, "nft", "-j", "list", "table", "ip", self.table))
        for rule in (each["rule"] for each in listed["nftables"] if "rule" in each):
            address = next(part["match"]["right"] for part in rule["expr"] if _is_address(part))
            yield address, next(part["counter"]["packets"] for part in rule["expr"] if "counter" in part)


def _is_address(part: dict[str, Any]) -> bool:
    field: dict[str, Any] = part.get("match", {}).get("left", {}).get("payload", {})
    return field.get("field") == "daddr"


@contextmanager
def dropped(targets: Sequence[Target]) -> Iterator[Dropped]:
    """No datagram reaches these launchers."""
    (node,) = {target.node for target in targets}
    table = f"desist-drop-{targets[0].uid[:8]}"
    rules = [f"ip daddr {target.address} udp dport {target.port} counter drop" for target in targets]
    with _table(node, table, "type filter hook prerouting priority raw", rules):
        yield Dropped(node, table)


@contextmanager
def by_mailbox_alone(executions: Iterable[Execution]) -> Iterator[None]:
    """No datagram reaches these runs' launchers; where push is switched off, none is sent."""
    if push_is_off():
        yield
        return
    with dropped([target(execution) for execution in executions]):
        yield


@dataclass(frozen=True)
class Relay:
    """The pod that they are led through."""

    lab: Lab

    def seen(self, target: Target) -> list[bytes]:
        """What came for this pod, as it came, in order."""
        text: str = self.lab.core.read_namespaced_pod_log(RELAY, self.lab.name)
        noted = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [bytes.fromhex(each["data"]) for each in noted if each["to"] == target.address]

    def wait_for(self, target: Target, number: int) -> list[bytes]:
        """The same, as soon as there are so many."""
        end = time.monotonic() + SECONDS
        while len(found := self.seen(target)) < number:
            assert time.monotonic() < end, f"{number} datagrams to {target.pod} were not seen, but {found}"
            time.sleep(0.1)  # the log of a pod that is told of often is cheap to read
        return found


@contextmanager
def relayed(lab: Lab, ways: Sequence[tuple[Target, Way]]) -> Iterator[Relay]:
    """What is sent to each of these launchers goes its way."""
    (node,) = {target.node for target, _ in ways}
    routes = [
        {"port": FIRST_PORT + number, "address": target.address, "to": target.port, **asdict(way)}
        for number, (target, way) in enumerate(ways)
    ]
    lab.core.create_namespaced_pod(lab.name, _pod(node, routes))
    try:
        address = wait_for_address(lab.core, lab.name, RELAY)
        wait_for_line(lab, RELAY, RELAY, "relaying")
        rules = [
            f"ip saddr != {address} ip daddr {target.address} udp dport {target.port} dnat to {address}:{route['port']}"
            for (target, _), route in zip(ways, routes, strict=True)
        ]
        # Before kube-proxy's own: the first chain that leads a flow has led it.
        with _table(node, f"desist-lead-{ways[0][0].uid[:8]}", "type nat hook prerouting priority -110", rules):
            yield Relay(lab)
    finally:
        lab.core.delete_namespaced_pod(RELAY, lab.name, grace_period_seconds=0)


@contextmanager
def _table(node: str, name: str, hook: str, rules: Sequence[str]) -> Iterator[None]:
    engine = current()
    lines = [f"table ip {name} {{", "chain here {", f"{hook}; policy accept;", *rules, "}", "}"]
    engine.docker(
        "exec", "--interactive", node, "nft", "-f", "-", how=engine.how(stdin="\n".join(lines) + "\n", seconds=20)
    )
    try:
        yield
    finally:
        engine.docker("exec", node, "nft", "delete", "table", "ip", name)


def _pod(node: str, routes: list[dict[str, Any]]) -> dict[str, Any]:
    container = {
        "name": RELAY,
        "image": WORKLOAD,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-uc", RELAYS, json.dumps(routes)],
    }
    spec = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"metadata": {"name": RELAY}, "spec": spec}
