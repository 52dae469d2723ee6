"""UDP out and in, for IPv4 and IPv6, without ever waiting and without being kept busy by whoever sends.

Contract: `send` hands one datagram to the kernel or raises OSError (no route, no buffer, no such family) at once;
nothing is kept to be sent later. What comes in goes to `heard`, at most BATCH of it in PAUSE seconds: what a flood
brings beyond that the kernel drops, and the loop has its time for other things. Two sockets, each with a free port of
its own: a machine without IPv6 has one of them.
Rejected: asyncio's datagram transport (it keeps what cannot be sent, without a bound, and wakes the loop for every
datagram that comes), one socket for both families (where IPv6 is switched off in the kernel there is none).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable

logger = logging.getLogger(__name__)
LONGEST = 1200
"""Bytes; a longer one is none of ours."""
BATCH = 32
PAUSE = 0.01
"""Seconds."""
FAMILIES = {4: (socket.AF_INET, "0.0.0.0"), 6: (socket.AF_INET6, "::")}


class Datagrams:
    """The sockets. Open and close them in the loop that uses them."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard
        self._sockets: dict[int, socket.socket] = {}

    def open(self) -> None:
        """Make the sockets; a family that this machine lacks is left out."""
        for version, (family, anywhere) in FAMILIES.items():
            try:
                self._sockets[version] = _bound(family, anywhere)
            except OSError as error:
                logger.info("no UDP by IPv%d: %s", version, error)
        for made in self._sockets.values():
            self._listen(made)

    def close(self) -> None:
        """Close the sockets."""
        for made in self._sockets.values():
            asyncio.get_running_loop().remove_reader(made)
            made.close()
        self._sockets.clear()

    def send(self, data: bytes, address: str, port: int) -> None:
        """Send it. Raises OSError, and ValueError where that is no address."""
        version = ipaddress.ip_address(address).version
        made = self._sockets.get(version)
        if made is None:
            raise OSError(f"there is no socket for IPv{version}")
        made.sendto(data, (address, port))

    def _listen(self, made: socket.socket) -> None:
        if made in self._sockets.values():
            asyncio.get_running_loop().add_reader(made, self._read, made)

    def _read(self, made: socket.socket) -> None:
        for _ in range(BATCH):
            try:
                data = made.recv(LONGEST + 1)
            except OSError:
                return
            if len(data) <= LONGEST:
                self._heard(data)
        loop = asyncio.get_running_loop()
        loop.remove_reader(made)
        loop.call_later(PAUSE, self._listen, made)


def _bound(family: int, anywhere: str) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((anywhere, 0))
    except OSError:
        made.close()
        raise
    return made
