"""`/livez` and `/readyz`: the truth about this process, in words, at once.

Contract: every part of the controller that can die or fall behind registers a check: a function that gives None where
all is well, else a reason in one line. `/livez` answers 503 with the reasons where a part is dead or a watch is
deaf (a restart is the cure); `/readyz` also where nothing can be promised yet or now: no CRDs, caches not filled, the
API server out of reach (a restart would cure nothing). Nothing is cached, and no check waits. One request a connection,
in CONNECTIONS of them at once: one more closes the oldest, so whoever holds connections open keeps nobody from asking;
one that has not asked within HEAD_SECONDS is closed. Rejected: kopf's own probe (one path only, answers that are cached
for 10 s, a handler that raises hangs the request for a minute); aiohttp's server (waits for ever for a first request,
and takes any number of them); closing the newest of too many (that would be the kubelet's).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

Check = Callable[[], str | None]
logger = logging.getLogger(__name__)

CONNECTIONS = 32
"""Connections that are served at once."""
HEAD_SECONDS = 5.0
"""Seconds from a connection's begin within which it has asked, and has taken its answer."""
HEAD_BYTES = 8192
"""The longest request with its headers."""
WORDS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
Answer = tuple[int, str]


@dataclass(slots=True)
class Health:
    """The checks that the parts have registered."""

    live: list[Check] = field(default_factory=list)
    ready: list[Check] = field(default_factory=list)
    """Beside those of `live`."""

    def dead(self) -> list[str]:
        """Why the process should be restarted; empty: it should not."""
        return _reasons(self.live)

    def unready(self) -> list[str]:
        """Why it cannot do its work now; empty: it can."""
        return [*self.dead(), *_reasons(self.ready)]


def _reasons(checks: list[Check]) -> list[str]:
    return [reason for check in checks if (reason := check()) is not None]


def _listening(host: str, port: int) -> socket.socket:
    # Left to itself, asyncio makes `::` deaf to IPv4, and that is what most kubelets speak.
    if host != "::":
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    if socket.has_dualstack_ipv6():
        return socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


class ProbeServer:
    """Serves the two paths until it is stopped."""

    def __init__(self, health: Health, host: str, port: int) -> None:
        self._paths = {"/livez": health.dead, "/readyz": health.unready}
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        # In the order in which they came.
        self._open: dict[asyncio.StreamWriter, None] = {}

    async def start(self) -> int:
        """Listen; gives the port. Raises OSError where it is taken."""
        listening = _listening(self._host, self._port)
        self._server = await asyncio.start_server(self._serve, sock=listening, limit=HEAD_BYTES, backlog=CONNECTIONS)
        port = int(listening.getsockname()[1])
        logger.info("probes: http://127.0.0.1:%d/livez and /readyz", port)
        return port

    async def stop(self) -> None:
        """Close the socket, and what is open."""
        if self._server is not None:
            self._server.close()
            for writer in self._open:
                writer.transport.abort()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while len(self._open) >= CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()
        self._open[writer] = None
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                await self._answer(reader, writer)
        except (OSError, TimeoutError):
            pass
        finally:
            self._open.pop(writer, None)
            # Not close(): that would wait for a reader who never reads.
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.LimitOverrunError:
                head = b""
            writer.write(_response(*self._judged(head)))
            writer.write_eof()
            await writer.drain()
            # The other side's end: an abort before it has read all would take the answer away.
            while await reader.read(HEAD_BYTES):
                pass

    def _judged(self, head: bytes) -> Answer:
        words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return 400, "this is no HTTP request\n"
        if words[0] != "GET":
            return 405, "only GET is served\n"
        check = self._paths.get(words[1].partition("?")[0])
        if check is None:
            return 404, "there are /livez and /readyz\n"
        reasons = check()
        return (503, "".join(f"{reason}\n" for reason in reasons)) if reasons else (200, "ok\n")


def _response(status: int, text: str) -> bytes:
    body = text.encode(errors="replace")
    return (
        f"HTTP/1.1 {status} {WORDS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
