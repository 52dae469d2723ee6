"""A pod of somebody else's namespace that sends datagrams to whom it likes, listens for answers, and lies.

Contract: `neighbour(api)` makes a namespace with one pod in it, which may send from addresses that are not its own
(containers have CAP_NET_RAW by default), and deletes it at the end. `send` gives what was answered; `flood` runs
beside whatever the block does, and says at its end how many were sent and answered. Programs go by `kubectl exec` with
their input on standard input: an argument of an exec is part of an address, and too short for a hundred datagrams.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client, watch

from hack.cluster.api import WORKLOAD, kubeconfig, tool
from tests.support.namespaces import make_namespace
from tests.support.sight import fresh_name

NAME = "neighbour"
SECONDS = 120
PER_SECOND = 10_000
SENDS = """
import json, select, socket, struct, sys, time
asked = json.load(sys.stdin)
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def spoofed(data, to, source):
    udp = struct.pack("!HHHH", source[1], to[1], 8 + len(data), 0) + data
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                     socket.inet_aton(source[0]), socket.inet_aton(to[0]))
    raw.sendto(ip + udp, (to[0], 0))
if asked["source"]:
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for text, address, port in asked["datagrams"]:
    data, to = bytes.fromhex(text), (address, port)
    spoofed(data, to, asked["source"]) if asked["source"] else own.sendto(data, to)
end, answers = time.monotonic() + asked["listen"], []
while len(answers) < asked["enough"] and (left := end - time.monotonic()) > 0:
    if select.select([own], [], [], left)[0]:
        data, sender = own.recvfrom(4096)
        answers.append([data.hex(), sender[0], sender[1]])
print(json.dumps(answers))
"""
"""Sends each datagram to its address, from `source` where that is given, and prints what comes back to itself."""

FLOODS = """
import json, os, socket, sys, time
asked = json.load(sys.stdin)
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.setblocking(False)
own.connect((asked["address"], asked["port"]))
kinds = [[bytes.fromhex(part) for part in parts] for parts in asked["parts"]]
print("flooding", flush=True)
began, sent, answered, refused = time.monotonic(), 0, 0, 0
while (spent := time.monotonic() - began) < asked["seconds"]:
    while sent < spent * asked["perSecond"]:
        head, tail = kinds[sent % len(kinds)]
        try:
            own.send(head + os.urandom(64) + tail)
        except OSError:
            refused += 1  # nobody there: as good as sent
        sent += 1
        if sent % 1000 == 0 and time.monotonic() - began > asked["seconds"]:
            break
    try:
        own.recv(4096)
        answered += 1
    except OSError:
        time.sleep(0.002)
print(json.dumps({"sent": sent, "answered": answered, "refused": refused, "seconds": time.monotonic() - began}))
"""
"""Sends `head`, 64 random bytes and `tail` again and again, at a rate."""


@dataclass(frozen=True)
class Answer:
    """What came back, and from where."""

    data: bytes
    address: str
    port: int

    @property
    def said(self) -> dict[str, Any]:
        """As a launcher writes it."""
        found: dict[str, Any] = json.loads(self.data)
        return found


@dataclass
class Flood:
    """What became of one; filled in at its end."""

    sent: int = 0
    answered: int = 0
    refused: int = 0
    seconds: float = 0.0
    begun: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Neighbour:
    """The pod."""

    namespace: str
    address: str

    def send(
        self,
        datagrams: Sequence[tuple[bytes, str, int]],
        listen: float = 0.5,
        source: tuple[str, int] | None = None,
        enough: int = 1_000_000,
    ) -> list[Answer]:
        """Send each to its address and port; gives what was answered to this pod within those seconds.

        With `enough` answers it listens no longer: where some are waited for, the seconds may be many.
        """
        sent = [(data.hex(), address, port) for data, address, port in datagrams]
        told = {"datagrams": sent, "listen": listen, "source": source, "enough": enough}
        answers = json.loads(self._run(SENDS, told))
        return [Answer(bytes.fromhex(data), address, port) for data, address, port in answers]

    @contextmanager
    def flood(
        self, address: str, port: int, parts: Sequence[tuple[bytes, bytes]], seconds: float = 3.0
    ) -> Iterator[Flood]:
        """Ten thousand a second for so long: the block begins when it has begun, and ends when it has ended."""
        kinds = [[head.hex(), tail.hex()] for head, tail in parts]
        told = {"address": address, "port": port, "parts": kinds, "seconds": seconds, "perSecond": PER_SECOND}
        flood = Flood()
        with ThreadPoolExecutor(1) as pool:
            flooded = pool.submit(self._floods, told, flood)
            flood.begun.wait(SECONDS)
            yield flood
        for name, value in flooded.result().items():
            setattr(flood, name, value)

    def _floods(self, told: dict[str, Any], flood: Flood) -> dict[str, Any]:
        try:
            with subprocess.Popen(
                self._command(FLOODS), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as running:
                assert running.stdin is not None and running.stdout is not None
                running.stdin.write(json.dumps(told))
                running.stdin.close()
                running.stdout.readline()
                flood.begun.set()
                found: dict[str, Any] = json.loads(running.stdout.read())
                return found
        finally:
            flood.begun.set()

    def _run(self, program: str, told: dict[str, Any]) -> str:
        command = self._command(program)
        done = subprocess.run(command, input=json.dumps(told), capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _command(self, program: str) -> list[str]:
        where = ("--kubeconfig", str(kubeconfig()), "--namespace", self.namespace)
        return [str(tool("kubectl")), *where, "exec", "--stdin", NAME, "--", "python3", "-uc", program]


@contextmanager
def neighbour(api: Any, node: str) -> Iterator[Neighbour]:
    """One on that node."""
    core: Any = client.CoreV1Api(api)
    name = fresh_name()
    make_namespace(core, name)
    try:
        core.create_namespaced_pod(name, _pod(node))
        yield Neighbour(name, wait_for_address(core, name, NAME))
    finally:
        core.delete_namespace(name)


def wait_for_address(core: Any, namespace: str, name: str) -> str:
    """The address of a pod of a test's own, once it runs."""
    stream: Any = watch.Watch().stream(
        core.list_namespaced_pod, namespace, field_selector=f"metadata.name={name}", timeout_seconds=SECONDS
    )
    for event in stream:
        pod = event["object"]
        if pod.status.phase == "Running" and pod.status.pod_ip:
            return str(pod.status.pod_ip)
    raise AssertionError(f"pod {name} did not run within {SECONDS} s")


def _pod(node: str) -> dict[str, Any]:
    container = {"name": NAME, "image": WORKLOAD, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "600"]}
    spec = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"metadata": {"name": NAME}, "spec": spec}
