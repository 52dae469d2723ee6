"""A thin client of the Kubernetes API: one request, one answer, typed errors.

Contract: a call gives the decoded body or raises an `ApiError`; nothing else. What is repeated here is only what cannot
do harm, and only within `ClientOptions.patience`: reads after a 5xx or a broken connection, and any call after a 429
(the API server did nothing) or after one 401 (the token is read anew). A write whose answer was lost is the caller's:
it is guarded by a name, a UID or a resourceVersion, and the queue comes again. A call that admission may hold up can
be given a time of its own (`answer_within`, seconds for one try; longer while the API server is slow for all); it ends
as `NoAnswer`. (Below us, aiohttp sends a
GET, PUT or DELETE once more where a kept connection breaks: one more reason for the guards.) Concurrency and pace are
the lanes'.
Rejected: the official client (127 MB, and more CPU a request: see decision 4), bodies as models (a caller
that needs two fields should not pay for two hundred).
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import aiohttp
import msgspec

from desist.kube.connection import Connection, ConnectionProblem, TokenSource
from desist.kube.errors import ApiError, NoAnswer, ServerUnavailable, TooManyRequests, Unauthorized, error_from
from desist.kube.lanes import Budget, Lane, Passage
from desist.kube.options import ClientOptions, Deletion
from desist.kube.resource import Address, Query, Resource
from desist.kube.server_time import ServerTime
from desist.kube.wire import Page, WatchEvent, keepalive_socket, lines

logger = logging.getLogger(__name__)
EVENTS_YIELD = 3.0
"""Seconds that Events leave the API server to stops at most: what lasts longer is no storm, but the usual load."""
MERGE_PATCH = "application/merge-patch+json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class _Call:
    """One request; what the tries of it have in common."""

    method: str
    path: str
    parameters: Mapping[str, str]
    body: bytes | None = None
    headers: Mapping[str, str] | None = None
    budget: Budget = Budget.START
    answer_within: float | None = None
    """Seconds for one try; None: the client's own."""
    passage: Passage = field(default_factory=Passage)

    @property
    def namespace(self) -> str:
        """Whose seats it takes in its lane; empty where it is of no namespace."""
        return self.path.partition("/namespaces/")[2].partition("/")[0]


class Client:
    """Calls one API server. Open it in the loop that uses it."""

    def __init__(self, connection: Connection, options: ClientOptions | None = None) -> None:
        self.connection = connection
        self.options = options or ClientOptions()
        self._lanes = {
            Budget.STOP: Lane(self.options.stops),
            Budget.TELL: Lane(self.options.tells),
            Budget.START: Lane(self.options.starts),
            Budget.EVENT: Lane(self.options.events),
        }
        self._session: aiohttp.ClientSession | None = None
        self.server_time = ServerTime()

    async def open(self) -> None:
        """Make the connection pool; nothing is sent. Raises ConnectionProblem where certificates cannot be used."""
        secure = self.connection.server.startswith("https:")
        tls: ssl.SSLContext | bool = self.connection.ssl_context() if secure else False
        # limit=0: the lanes bound requests, and a pool that watches fill up would block them.
        connector = aiohttp.TCPConnector(
            ssl=tls, limit=0, keepalive_timeout=60, socket_factory=keepalive_socket, ttl_dns_cache=60
        )
        # The environment's proxies are ignored: the way to the API server must not depend on them.
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": self.options.user_agent, "Accept": "application/json"},
            auto_decompress=True,
            trust_env=False,
        )

    async def close(self) -> None:
        """Cut what is open."""
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Client:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def lane(self, budget: Budget) -> Lane:
        """The lane of that budget: whether it is busy."""
        return self._lanes[budget]

    async def read(self, path: str, parameters: Mapping[str, str] | None = None) -> bytes:
        """GET of any path, as `/version`; the raw body."""
        return await self._call(_Call("GET", path, parameters or {}))

    async def get(
        self, address: Address, *, budget: Budget = Budget.START, metadata_only: bool = False
    ) -> dict[str, Any]:
        """The object as it is now, or its metadata alone. Raises NotFound."""
        headers = {"Accept": METADATA} if metadata_only else None
        return _object(await self._call(_Call("GET", address.path(), {}, headers=headers, budget=budget)))

    async def list(self, resource: Resource, query: Query, *, budget: Budget = Budget.START) -> Page:
        """One page. Raises Gone where the continue token has expired."""
        headers = {"Accept": METADATA_LIST} if query.metadata_only else None
        path = resource.collection(query.namespace)
        return Page.decode(await self._call(_Call("GET", path, query.parameters(), headers=headers, budget=budget)))

    async def create(
        self,
        resource: Resource,
        body: Mapping[str, Any],
        *,
        namespace: str = "",
        dry_run: bool = False,
        budget: Budget = Budget.START,
        answer_within: float | None = None,
        passage: Passage | None = None,
    ) -> dict[str, Any]:
        """Create the object; with `dry_run` only ask whether it could be. Raises AlreadyExists, Invalid, Forbidden."""
        path, parameters = resource.collection(namespace), {"dryRun": "All"} if dry_run else {}
        way = passage or Passage()
        call = _Call("POST", path, parameters, _json(body), None, budget, answer_within, way)
        return _object(await self._call(call))

    async def patch(
        self,
        address: Address,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
        budget: Budget = Budget.START,
        answer_within: float | None = None,
    ) -> dict[str, Any]:
        """Merge this into the object; gives it as it is then. A metadata.resourceVersion in it is a precondition.

        Raises Conflict, NotFound, Invalid (another's UID without a version, too).
        """
        headers = {"Content-Type": MERGE_PATCH}
        call = _Call("PATCH", address.path(subresource), {}, _json(patch), headers, budget, answer_within)
        return _object(await self._call(call))

    async def replace_status(
        self,
        address: Address,
        body: Mapping[str, Any],
        *,
        budget: Budget = Budget.START,
        answer_within: float | None = None,
        passage: Passage | None = None,
    ) -> dict[str, Any]:
        """Replace the status under the resourceVersion in `body`. Raises Conflict, NotFound, Invalid."""
        way = passage or Passage()
        call = _Call("PUT", address.path("status"), {}, _json(body), None, budget, answer_within, way)
        return _object(await self._call(call))

    async def delete(
        self,
        address: Address,
        deletion: Deletion | None = None,
        *,
        budget: Budget = Budget.START,
        answer_within: float | None = None,
    ) -> dict[str, Any]:
        """Ask for the object's end; gives the object, or a Status. Raises NotFound, Conflict (preconditions)."""
        body = _json((deletion or Deletion()).body())
        call = _Call("DELETE", address.path(), {}, body, budget=budget, answer_within=answer_within)
        return _object(await self._call(call))

    @asynccontextmanager
    async def watch(
        self, resource: Resource, query: Query, parameters: Mapping[str, str], silence: float
    ) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        """A watch that was let in, as a context; inside, events until the server ends it.

        `silence`: seconds without a byte after which it is given up. Raises ApiError, inside too; an event of type
        ERROR is given, not raised.
        """
        asked = {**query.parameters(), "watch": "true", **parameters}
        call = _Call("GET", resource.collection(query.namespace), asked)
        bounds = aiohttp.ClientTimeout(total=None, sock_connect=self.options.connect_timeout, sock_read=silence)
        try:
            async with await self._admitted(call, bounds) as response:
                yield _events(response)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    async def _call(self, call: _Call) -> bytes:
        """The call within its lane, tried again as the contract says."""
        loop = asyncio.get_running_loop()
        if call.budget is Budget.EVENT:
            await self.lane(Budget.STOP).calm(EVENTS_YIELD)
            await self.lane(Budget.TELL).calm(EVENTS_YIELD)
        deadline = loop.time() + self.options.patience
        delay = 0.1
        while True:
            try:
                async with self._lanes[call.budget].enter(call.namespace):
                    call.passage.sent = True
                    return await self._timed(call)
            except (TooManyRequests, ServerUnavailable) as error:
                wait = self._wait_before_again(call, error, delay)
                if wait is None or loop.time() + wait > deadline:
                    raise
                logger.debug("%s %s: %s; again in %.1f s", call.method, call.path, error, wait)
            await asyncio.sleep(wait)
            delay *= 2

    def _wait_before_again(self, call: _Call, error: ApiError, delay: float) -> float | None:
        if isinstance(error, TooManyRequests):
            call.passage.sent = False
            wait = error.retry_after or delay
            self._lanes[call.budget].close_for(wait)
            return wait
        return max(error.retry_after or 0, delay * random.uniform(0.5, 1)) if call.method == "GET" else None

    async def _timed(self, call: _Call) -> bytes:
        """One try; its lane is told how long a success took."""
        answers, loop = self._lanes[call.budget].answers, asyncio.get_running_loop()
        longest, began = self.options.request_timeout, loop.time()
        within = longest if call.answer_within is None else answers.within(call.answer_within, longest, began)
        body = await self._try(call, within)
        answers.took(loop.time() - began, loop.time())
        return body

    async def _try(self, call: _Call, within: float) -> bytes:
        bounds = aiohttp.ClientTimeout(total=within, sock_connect=self.options.connect_timeout)
        try:
            async with await self._admitted(call, bounds) as response:
                return await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    async def _admitted(self, call: _Call, bounds: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """As `_send`; after a 401 once more with a token that was read anew."""
        try:
            return await self._send(call, bounds, renew=False)
        except Unauthorized:
            if self.connection.token is None:
                raise
            return await self._send(call, bounds, renew=True)

    async def _send(self, call: _Call, bounds: aiohttp.ClientTimeout, renew: bool) -> aiohttp.ClientResponse:
        """The response of a success, unread. Raises ApiError, and aiohttp's errors where there is no answer."""
        if self._session is None:
            raise RuntimeError("the client is not open")
        response = await self._session.request(
            call.method,
            self.connection.server + call.path,
            params=call.parameters,
            data=call.body,
            headers=await self._headers(call, renew),
            timeout=bounds,
            allow_redirects=False,
            server_hostname=self.connection.server_name or None,
        )
        if response.status < 300:
            self.server_time.told(response.headers.get("Date"))
            return response
        async with response:
            raise error_from(response.status, await response.read(), response.headers.get("Retry-After"))

    async def _headers(self, call: _Call, renew: bool) -> dict[str, str]:
        headers = {"Content-Type": "application/json"} if call.body is not None else {}
        headers.update(call.headers or {})
        if self.connection.token is not None:
            headers["Authorization"] = f"Bearer {await _token(self.connection.token, renew)}"
        elif self.connection.basic is not None:
            headers["Authorization"] = f"Basic {b64encode(':'.join(self.connection.basic).encode()).decode()}"
        return headers


async def _token(source: TokenSource, renew: bool) -> str:
    try:
        return await source(renew)
    except ConnectionProblem as error:
        raise Unauthorized(0, "NoToken", str(error)) from error


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[WatchEvent]:
    async for line in lines(response.content):
        yield WatchEvent.decode(line)


def _unavailable(error: Exception) -> ServerUnavailable:
    unanswered = isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError)
    kind = NoAnswer if unanswered else ServerUnavailable
    return kind(0, type(error).__name__, str(error) or "no answer in time")


def _json(body: object) -> bytes:
    return msgspec.json.encode(body)


def _object(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=dict[str, Any])
