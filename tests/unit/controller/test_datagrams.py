"""Real sockets on the loopback: what is sent arrives, what comes back is heard, and a flood takes little time."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator

import pytest

from desist.controller.datagrams import BATCH, PAUSE, Datagrams


def pod(family: int, address: str) -> socket.socket:
    """Somebody who takes datagrams and can answer."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind((address, 0))
    made.settimeout(20)
    return made


@pytest.fixture
def v4() -> Iterator[socket.socket]:
    with pod(socket.AF_INET, "127.0.0.1") as made:
        yield made


async def heard_of(heard: list[bytes], count: int) -> None:
    async with asyncio.timeout(20):
        while len(heard) < count:  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
async def test_a_datagram_goes_to_either_family_and_its_answer_is_heard(family: int, address: str) -> None:
    heard: list[bytes] = []
    out = Datagrams(heard.append)
    out.open()
    try:
        with pod(family, address) as other:
            out.send(b"stop", address, other.getsockname()[1])
            data, sender = other.recvfrom(2000)
            assert data == b"stop"
            other.sendto(b"told", sender)
            await heard_of(heard, 1)
    finally:
        out.close()
    assert heard == [b"told"]


async def test_a_machine_without_ipv6_has_the_other(monkeypatch: pytest.MonkeyPatch, v4: socket.socket) -> None:
    made = socket.socket

    def without(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError("Address family not supported by protocol")
        return made(family, kind)

    monkeypatch.setattr(socket, "socket", without)
    out = Datagrams(lambda data: None)
    out.open()
    try:
        out.send(b"stop", "127.0.0.1", v4.getsockname()[1])
        with pytest.raises(OSError, match="no socket for IPv6"):
            out.send(b"stop", "::1", 7633)
    finally:
        out.close()
    assert v4.recv(100) == b"stop"


@pytest.mark.parametrize("address", ["", "pod.example", "10.0.0.1/8"])
async def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="does not appear"):
        Datagrams(lambda data: None).send(b"stop", address, 7633)


async def test_where_there_is_no_route_it_says_so_at_once() -> None:
    out = Datagrams(lambda data: None)
    out.open()
    try:
        # A broadcast address, which no socket may send to unasked.
        with pytest.raises(OSError, match="Permission denied"):
            out.send(b"stop", "255.255.255.255", 7633)
    finally:
        out.close()


async def test_what_is_longer_than_any_answer_is_not_heard(v4: socket.socket) -> None:
    heard: list[bytes] = []
    out = Datagrams(heard.append)
    out.open()
    try:
        out.send(b"stop", "127.0.0.1", v4.getsockname()[1])
        _, sender = v4.recvfrom(100)
        for data in (b"x" * 1201, b"y" * 1200):
            v4.sendto(data, sender)
        await heard_of(heard, 1)
    finally:
        out.close()
    assert heard == [b"y" * 1200]


async def test_a_flood_is_heard_at_a_bounded_pace_and_the_loop_goes_on(v4: socket.socket) -> None:
    heard: list[bytes] = []
    out = Datagrams(heard.append)
    out.open()
    turns, seconds = 0, 0.5
    try:
        out.send(b"stop", "127.0.0.1", v4.getsockname()[1])
        _, sender = v4.recvfrom(100)
        v4.setblocking(False)
        end = time.monotonic() + seconds
        garbage = os.urandom(300)
        while time.monotonic() < end:
            for _ in range(100):
                v4.sendto(garbage, sender)
            turns += 1
            await asyncio.sleep(0)
        assert turns > 5
        assert BATCH < len(heard) <= BATCH * (seconds / PAUSE + 2)
        while heard:  # until nothing of it is left in the socket
            heard.clear()
            await asyncio.sleep(0.2)
        v4.sendto(b"told", sender)
        await heard_of(heard, 1)
    finally:
        out.close()
    assert heard == [b"told"]


async def test_nothing_is_left_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    out = Datagrams(lambda data: None)
    out.open()
    out.close()
    # Files of other tests may be closed meanwhile, when somebody collects garbage.
    assert set(os.listdir("/proc/self/fd")) <= before
