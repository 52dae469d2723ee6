"""One request to the API server, and its answer: the connection pool, who we are, and typed errors, on aiohttp.

Contract: one try. `ask` gives the body of a success or raises an `ApiError`; `stream` gives the lines of an answer that
stays open, and what breaks inside its context leaves that as an `ApiError`, too. No answer in time is `NoAnswer`, a
connection that breaks `ServerUnavailable`. After a 401 the token is read anew, and the request is sent once more. Each
success tells `server_time`. Where the server's certificate is not one of our authorities', they are read anew, and the
next request has them. What is tried again, and how many requests go out at a time, is the client's.
Trap: aiohttp sends a GET, PUT or DELETE once more where a kept connection breaks, and tells nobody: one more reason why
writes are guarded by a name, a UID or a resourceVersion.
"""

from __future__ import annotations

import logging
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from desist.kube.connection import Connection, ConnectionProblem, TokenSource
from desist.kube.errors import NoAnswer, ServerUnavailable, Unauthorized, error_from
from desist.kube.options import ClientOptions
from desist.kube.server_time import ServerTime
from desist.kube.wire import keepalive_socket, lines

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    method: str
    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] | None = None


class Transport:
    """The way to one API server. Open it in the loop that uses it."""

    def __init__(self, connection: Connection, options: ClientOptions) -> None:
        self._connection = connection
        self._options = options
        self._session: aiohttp.ClientSession | None = None
        # Not False: that lets any certificate pass, also where a URL is not as we took it to be.
        self._tls: ssl.SSLContext | bool = True
        self.server_time = ServerTime()

    async def open(self) -> None:
        """Make the connection pool; nothing is sent. Raises ConnectionProblem where certificates cannot be used."""
        if self._connection.server.lower().startswith("https:"):
            self._tls = self._connection.ssl_context()
        # limit=0: the lanes bound requests, and a pool that watches fill up would block them.
        connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=60, socket_factory=keepalive_socket, ttl_dns_cache=60
        )
        # The environment's proxies are ignored: the way to the API server must not depend on them.
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": self._options.user_agent, "Accept": "application/json"},
            auto_decompress=True,
            trust_env=False,
        )

    async def close(self) -> None:
        """Cut what is open."""
        if self._session is not None:
            await self._session.close()

    async def ask(self, request: Request, within: float) -> bytes:
        """The body of the answer; `within`: seconds for all of it."""
        bounds = aiohttp.ClientTimeout(total=within, sock_connect=self._options.connect_timeout)
        try:
            async with await self._admitted(request, bounds) as response:
                return await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    @asynccontextmanager
    async def stream(self, request: Request, silence: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """An answer that was let in, line by line; `silence`: seconds without a byte after which it is given up."""
        bounds = aiohttp.ClientTimeout(total=None, sock_connect=self._options.connect_timeout, sock_read=silence)
        try:
            async with await self._admitted(request, bounds) as response:
                yield lines(response.content)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    async def _admitted(self, request: Request, bounds: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """As `_send`; after a 401 once more with a token that was read anew."""
        try:
            return await self._send(request, bounds, renew=False)
        except Unauthorized:
            if self._connection.token is None:
                raise
            return await self._send(request, bounds, renew=True)

    async def _send(self, request: Request, bounds: aiohttp.ClientTimeout, renew: bool) -> aiohttp.ClientResponse:
        """The response of a success, unread. Raises ApiError, and aiohttp's errors where there is no answer."""
        if self._session is None:
            raise RuntimeError("the client is not open")
        try:
            response = await self._session.request(
                request.method,
                self._connection.server + request.path,
                params=request.parameters,
                data=request.body,
                headers=await self._headers(request, renew),
                timeout=bounds,
                allow_redirects=False,
                ssl=self._tls,  # not the connector's: it may be another one by now
                server_hostname=self._connection.server_name or None,
            )
        except aiohttp.ClientConnectorCertificateError:
            self._trust_anew()
            raise
        if response.status < 300:
            self.server_time.told(response.headers.get("Date"))
            return response
        async with response:
            raise error_from(response.status, await response.read(), response.headers.get("Retry-After"))

    def _trust_anew(self) -> None:
        """The cluster's authorities may have been replaced. Connections that are open stay."""
        try:
            connection = self._connection.trusting_anew()
            if connection.ca == self._connection.ca:
                return
            self._tls = connection.ssl_context()
        except ConnectionProblem as error:
            logger.warning("the authorities of the API server's certificate cannot be read anew: %s", error)
            return
        self._connection = connection
        logger.info("the authorities of the API server's certificate were read anew")

    async def _headers(self, request: Request, renew: bool) -> dict[str, str]:
        headers = {"Content-Type": "application/json"} if request.body is not None else {}
        headers.update(request.headers or {})
        if self._connection.token is not None:
            headers["Authorization"] = f"Bearer {await _token(self._connection.token, renew)}"
        elif self._connection.basic is not None:
            headers["Authorization"] = f"Basic {b64encode(':'.join(self._connection.basic).encode()).decode()}"
        return headers


async def _token(source: TokenSource, renew: bool) -> str:
    try:
        return await source(renew)
    except ConnectionProblem as error:
        raise Unauthorized(0, "NoToken", str(error)) from error


def _unavailable(error: Exception) -> ServerUnavailable:
    unanswered = isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError)
    kind = NoAnswer if unanswered else ServerUnavailable
    return kind(0, type(error).__name__, str(error) or "no answer in time")
