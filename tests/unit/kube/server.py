"""A scripted API server on the loopback: says what it is told to say, and writes down what it was asked.

server.answers("/version", json_answer({"major": "1"}), status_answer(503))   # in this order; the last one stays
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from desist.kube.connection import Connection

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Asked:
    """One request that came in."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass
class Server:
    """The server; `async with` it."""

    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    _script: dict[str, list[Handler]] = field(default_factory=dict)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def answers(self, path: str, *handlers: Handler) -> None:
        """What it says there: one after the other, the last one for ever."""
        self._script[path] = list(handlers)

    @property
    def connection(self) -> Connection:
        return Connection(self.url)

    async def wait_for(self, count: int) -> None:
        """Until so many requests have come in."""
        async with self._news, asyncio.timeout(10):
            await self._news.wait_for(lambda: len(self.asked) >= count)

    async def __aenter__(self) -> Server:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        self.asked.append(
            Asked(request.method, request.path, dict(request.query), dict(request.headers), json.loads(text or "null"))
        )
        async with self._news:
            self._news.notify_all()
        script = self._script.get(request.path)
        if not script:
            return await status_answer(404)(request)
        return await (script.pop(0) if len(script) > 1 else script[0])(request)


def json_answer(body: object) -> Handler:
    """200 with this body."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.json_response(body)

    return handle


def late(seconds: float, then: Handler) -> Handler:
    """The same answer, so much later."""

    async def handle(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await then(request)

    return handle


def status_answer(code: int, reason: str = "Any", headers: Mapping[str, str] | None = None, name: str = "p") -> Handler:
    """A failure, as the API server words it; `name`: of the object, empty where it knows none."""

    async def handle(_: web.Request) -> web.StreamResponse:
        details = {"name": name} if name else {}
        told = {"kind": "Status", "reason": reason, "message": f"told {code}", "code": code, "details": details}
        return web.json_response(told, status=code, headers=headers)

    return handle


def page_answer(code: int) -> Handler:
    """A page of something that stands between, as a proxy or a load balancer."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(text=f"<h1>{code}</h1>", status=code, content_type="text/html")

    return handle


page_not_found = page_answer(404)
"""What a load balancer says that knows no such way."""


async def broken(request: web.Request) -> web.StreamResponse:
    """The connection breaks instead of an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def silent(_: web.Request) -> web.StreamResponse:
    """No answer, for ever."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def stream_answer(*chunks: bytes | Mapping[str, Any], then: str = "end") -> Handler:
    """200 with these chunks (events are made lines), then `end`, `hang` or `break`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode() + b"\n")
            await asyncio.sleep(0.01)
        if then == "hang":
            await asyncio.Event().wait()
        if then == "break" and request.transport is not None:
            request.transport.abort()
        return response

    return handle
