"""`/livez` and `/readyz`: the truth about this process, in words, at once.

Contract: every part of the controller that can die or fall behind registers a check: a function that gives None where
all is well, else a reason in one line. `/livez` answers 503 with the reasons where a part is dead or a watch is
deaf (a restart is the cure); `/readyz` also where nothing can be promised yet or now: no CRDs, caches not filled, the
API server out of reach (a restart would cure nothing). Nothing is cached, and no check waits. Rejected: kopf's own
probe (one path only, answers that are cached for 10 s, a handler that raises hangs the request for a minute).
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

Check = Callable[[], str | None]
logger = logging.getLogger(__name__)


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
        self._health = health
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen; gives the port. Raises OSError where it is taken."""
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.SockSite(self._runner, _listening(self._host, self._port)).start()
        port = int(self._runner.addresses[0][1])
        logger.info("probes: http://127.0.0.1:%d/livez and /readyz", port)
        return port

    async def stop(self) -> None:
        """Close the socket."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        return _answer(self._health.dead())

    async def _readyz(self, _: web.Request) -> web.Response:
        return _answer(self._health.unready())


def _answer(reasons: list[str]) -> web.Response:
    if not reasons:
        return web.Response(text="ok\n")
    return web.Response(status=503, text="".join(f"{reason}\n" for reason in reasons))
