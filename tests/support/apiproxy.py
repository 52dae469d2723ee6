"""A reverse proxy between a client and the API server that breaks things on purpose.

Clients talk plain HTTP to a port on the loopback (`server`, or the kubeconfig that `kubeconfig` writes); the proxy has
the credentials and forwards. It runs on a thread of its own, so that tests with and without an event loop can use it:

    with ApiProxy(Connection.from_kubeconfig(path)) as proxy:
        proxy.cut()                      # every open watch breaks off in the middle of a line
        proxy.stall(); proxy.flow()      # half-open: connections stay, nothing comes through
        proxy.down(); proxy.up()         # as if there were no API server
        proxy.inject(EXPIRED)            # an event of the proxy's own into every open watch
        proxy.add(Fault(Answer(410), query="watch=true", times=1))
        proxy.add(Fault(Lose(), method="POST", path="/pods", times=1))   # done, but the answer is lost
        proxy.wait_for_watches(2, seconds=10)

What a fault may be, and which requests it matches, is in `faults`; the first one that matches counts.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, assert_never

import aiohttp
import yaml
from aiohttp import web

from desist.kube.connection import Connection
from tests.support.faults import Answer, Delay, Drop, Fault, Lose
from tests.support.sight import Sight

NOT_FORWARDED = {"host", "authorization", "connection", "accept-encoding", "content-length", "transfer-encoding"}
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One request that came in."""

    method: str
    path: str
    query: str


class ApiProxy:
    """The proxy; a context manager. With a `Sight` it lets through only what that leaves of lists and watches."""

    def __init__(self, upstream: Connection, sight: Sight | None = None) -> None:
        self.requests: list[Request] = []
        self.server = ""
        self._upstream = upstream
        self._sight = sight
        self._faults: list[Fault] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="apiproxy", daemon=True)
        self._watches: dict[web.StreamResponse, web.Request] = {}
        self._changed = threading.Condition()

    def __enter__(self) -> ApiProxy:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig that leads here."""
        entry = {"cluster": {"server": self.server}, "name": "proxy"}
        context = {"context": {"cluster": "proxy", "user": "proxy"}, "name": "proxy"}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [entry],
            "contexts": [context],
            "users": [{"name": "proxy", "user": {"token": "the-proxy-has-its-own"}}],
            "current-context": "proxy",
        }
        path.write_text(yaml.safe_dump(content))
        return path

    def add(self, fault: Fault) -> Fault:
        """From now on."""
        self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        self._faults.remove(fault)

    def cut(self, path: str = "") -> int:
        """Break every open watch whose path contains `path`; gives how many."""
        return self._call(self._cut(path))

    def stall(self) -> None:
        """Let nothing through any more, in either direction, and keep every connection."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def flow(self) -> None:
        """The end of `stall`."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def down(self) -> None:
        """Break everything, and every new connection."""
        self._down = self.add(Fault(Drop()))
        self.cut()

    def up(self) -> None:
        """The end of `down`."""
        self.remove(self._down)

    def inject(self, event: Mapping[str, Any], path: str = "") -> int:
        """Send an event into every open watch whose path contains `path`; gives how many."""
        return self._call(self._inject(json.dumps(event).encode() + b"\n", path))

    def watches(self, path: str = "") -> int:
        """Open watches."""
        return sum(path in request.path for request in list(self._watches.values()))

    def wait_for_watches(self, count: int, seconds: float, path: str = "") -> None:
        """Until at least that many watches are open. Raises TimeoutError."""
        self._wait(lambda: self.watches(path) >= count, seconds, f"{count} watches")

    def wait_for_requests(self, matches: Callable[[Request], bool], count: int, seconds: float) -> None:
        """Until that many matching requests have come in. Raises TimeoutError."""
        self._wait(lambda: sum(map(matches, list(self.requests))) >= count, seconds, f"{count} requests")

    def _wait(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        with self._changed:
            while not done():
                if not self._changed.wait(max(0.0, end - time.monotonic())) and not done():
                    raise TimeoutError(f"no {what} within {seconds} s")

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=30)

    async def _start(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        tls = self._upstream.ssl_context() if self._upstream.server.startswith("https") else False
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, limit=0), auto_decompress=False)
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.server = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        self._flowing.set()
        await self._cut("")
        await self._runner.cleanup()
        delayed = asyncio.all_tasks() - {asyncio.current_task()}
        for task in delayed:
            task.cancel()
        await asyncio.gather(*delayed, return_exceptions=True)
        await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        with self._changed:
            self.requests.append(Request(request.method, request.path, request.query_string))
            self._changed.notify_all()
        await self._flowing.wait()
        fault = next((f for f in self._faults if f.matches(request)), None)
        if fault is not None and fault.times is not None:
            fault.times -= 1
        match fault.what if fault is not None else None:
            case None:
                return await self._forward(request)
            case Answer() as answer:
                return web.Response(
                    status=answer.status, body=answer.body(), headers=answer.headers, content_type="application/json"
                )
            case Drop():
                return _broken(request)
            case Lose():
                async with await self._ask(request) as lost:
                    await lost.read()
                return _broken(request)
            case Delay(seconds):
                await asyncio.sleep(seconds)
                return await self._forward(request)
            case unknown:
                assert_never(unknown)

    async def _ask(self, request: web.Request) -> aiohttp.ClientResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in NOT_FORWARDED}
        # The API server compresses large lists for whoever does not say no, and aiohttp asks for it unless told.
        headers["Accept-Encoding"] = "identity"
        if self._upstream.token is not None:
            headers["Authorization"] = f"Bearer {await self._upstream.token(False)}"
        elif self._upstream.basic is not None:
            name_and_password = ":".join(self._upstream.basic).encode()
            headers["Authorization"] = f"Basic {base64.b64encode(name_and_password).decode()}"
        return await self._session.request(
            request.method,
            self._upstream.server + request.path_qs,
            headers=headers,
            data=await request.read() or None,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
        )

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        async with await self._ask(request) as answer:
            kind = answer.headers.get("Content-Type", "application/json")
            if "watch=true" in request.query_string and answer.status == 200:
                return await self._stream(request, answer, kind)
            headers = {name: answer.headers[name] for name in ("Retry-After",) if name in answer.headers}
            body = await answer.read()
            if self._sight and request.method == "GET" and answer.status == 200 and kind.startswith("application/json"):
                body = self._sight.of_list(body)
            await self._flowing.wait()
            return web.Response(status=answer.status, body=body, headers={**headers, "Content-Type": kind})

    async def _stream(self, request: web.Request, answer: aiohttp.ClientResponse, kind: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        response.enable_chunked_encoding()
        await response.prepare(request)
        self._note_watch(response, request)
        rest = b""
        try:
            async for chunk in answer.content.iter_any():
                await self._flowing.wait()
                whole, newline, rest = (rest + chunk).rpartition(b"\n")
                # Whole lines only: an injected event must not land inside another.
                if newline:
                    lines = whole + newline
                    await response.write(self._sight.of_events(lines) if self._sight else lines)
        except ConnectionError:
            pass  # the client has gone, or the watch was cut: both end it here
        finally:
            self._note_watch(response, None)
        return response

    def _note_watch(self, response: web.StreamResponse, request: web.Request | None) -> None:
        with self._changed:
            if request is not None:
                self._watches[response] = request
            else:
                self._watches.pop(response, None)
            self._changed.notify_all()

    async def _cut(self, path: str) -> int:
        cut = [(response, request) for response, request in self._watches.items() if path in request.path]
        for response, request in cut:
            # Its task ends with the next word from the API server: until then it would count as open.
            self._note_watch(response, None)
            if request.transport is not None:
                with suppress(ConnectionError):  # the client was faster
                    await response.write(b'{"type":"MODIFIED","object":{"metad')
                request.transport.abort()
        return len(cut)

    async def _inject(self, line: bytes, path: str) -> int:
        into = [response for response, request in self._watches.items() if path in request.path]
        for response in into:
            await response.write(line)
        return len(into)


def _broken(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)
