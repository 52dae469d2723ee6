"""A thin client of the Kubernetes API: one request, one answer, typed errors.

Contract: a call gives the decoded body or raises an `ApiError`; nothing else. What is repeated here is only what cannot
do harm, and only within `ClientOptions.patience`: reads after a 5xx or a broken connection, and any call after a 429
(the API server did nothing). A write whose answer was lost is the caller's: it is guarded by a name, a UID or a
resourceVersion, and the queue comes again. A call that admission may hold up can be given a time of its own
(`answer_within`, seconds for one try; longer while the API server is slow for all); it ends as `NoAnswer`. How one
request is sent is `transport`'s; concurrency and pace are the lanes'.
Rejected: the official client (127 MB, and more CPU a request: see decision 4), bodies as models (a caller
that needs two fields should not pay for two hundred).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import msgspec

from desist.kube.connection import Connection
from desist.kube.errors import ApiError, ServerUnavailable, TooManyRequests
from desist.kube.lanes import Budget, Lane, Passage
from desist.kube.options import ClientOptions, Deletion
from desist.kube.resource import Address, Query, Resource
from desist.kube.server_time import ServerTime
from desist.kube.transport import Request, Transport
from desist.kube.wire import NOT_AN_OBJECT, Page, WatchEvent, decoded

logger = logging.getLogger(__name__)
EVENTS_YIELD = 3.0
"""Seconds that Events leave the API server to stops at most: what lasts longer is no storm, but the usual load."""
MERGE_PATCH = "application/merge-patch+json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class _Call:
    """One request; what the tries of it have in common."""

    request: Request
    budget: Budget = Budget.START
    answer_within: float | None = None
    """Seconds for one try; None: the client's own."""
    passage: Passage = field(default_factory=Passage)

    @property
    def namespace(self) -> str:
        """Whose seats it takes in its lane; empty where it is of no namespace."""
        return self.request.path.partition("/namespaces/")[2].partition("/")[0]


class Client:
    """Calls one API server. Open it in the loop that uses it."""

    def __init__(self, connection: Connection, options: ClientOptions | None = None) -> None:
        self.options = options or ClientOptions()
        self._transport = Transport(connection, self.options)
        self._lanes = {
            Budget.STOP: Lane(self.options.stops),
            Budget.TELL: Lane(self.options.tells),
            Budget.START: Lane(self.options.starts),
            Budget.EVENT: Lane(self.options.events),
        }

    async def open(self) -> None:
        """Make the connection pool; nothing is sent. Raises ConnectionProblem where certificates cannot be used."""
        await self._transport.open()

    async def close(self) -> None:
        """Cut what is open."""
        await self._transport.close()

    async def __aenter__(self) -> Client:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def server_time(self) -> ServerTime:
        """The API server's own clock."""
        return self._transport.server_time

    def lane(self, budget: Budget) -> Lane:
        """The lane of that budget: whether it is busy."""
        return self._lanes[budget]

    async def read(self, path: str) -> bytes:
        """GET of any path, as `/version`; the raw body."""
        return await self._call(_Call(Request("GET", path)))

    async def get(
        self, address: Address, *, budget: Budget = Budget.START, metadata_only: bool = False
    ) -> dict[str, Any]:
        """The object as it is now, or its metadata alone. Raises NotFound."""
        headers = {"Accept": METADATA} if metadata_only else None
        return _object(await self._call(_Call(Request("GET", address.path(), headers=headers), budget)))

    async def list(self, resource: Resource, query: Query, *, budget: Budget = Budget.START) -> Page:
        """One page. Raises Gone where the continue token has expired."""
        headers = {"Accept": METADATA_LIST} if query.metadata_only else None
        request = Request("GET", resource.collection(query.namespace), query.parameters(), headers=headers)
        return Page.decode(await self._call(_Call(request, budget)))

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
        parameters = {"dryRun": "All"} if dry_run else {}
        request = Request("POST", resource.collection(namespace), parameters, _json(body))
        return _object(await self._call(_Call(request, budget, answer_within, passage or Passage())))

    async def patch(
        self,
        address: Address,
        patch: Mapping[str, Any],
        *,
        budget: Budget = Budget.START,
        answer_within: float | None = None,
    ) -> dict[str, Any]:
        """Merge this into the object; gives it as it is then. A metadata.resourceVersion in it is a precondition.

        Raises Conflict, NotFound, Invalid (another's UID without a version, too).
        """
        headers = {"Content-Type": MERGE_PATCH}
        request = Request("PATCH", address.path(), body=_json(patch), headers=headers)
        return _object(await self._call(_Call(request, budget, answer_within)))

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
        request = Request("PUT", address.path("status"), body=_json(body))
        return _object(await self._call(_Call(request, budget, answer_within, passage or Passage())))

    async def delete(
        self,
        address: Address,
        deletion: Deletion | None = None,
        *,
        budget: Budget = Budget.START,
        answer_within: float | None = None,
    ) -> dict[str, Any]:
        """Ask for the object's end; gives the object, or a Status. Raises NotFound, Conflict (preconditions)."""
        request = Request("DELETE", address.path(), body=_json((deletion or Deletion()).body()))
        return _object(await self._call(_Call(request, budget, answer_within)))

    @asynccontextmanager
    async def watch(
        self, resource: Resource, query: Query, parameters: Mapping[str, str], silence: float
    ) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        """A watch that was let in, as a context; inside, events until the server ends it.

        `silence`: seconds without a byte after which it is given up. Raises ApiError, inside too; an event of type
        ERROR is given, not raised.
        """
        asked = {**query.parameters(), "watch": "true", **parameters}
        request = Request("GET", resource.collection(query.namespace), asked)
        async with self._transport.stream(request, silence) as lines:
            yield _events(lines)

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
                logger.debug("%s %s: %s; again in %.1f s", call.request.method, call.request.path, error, wait)
            await asyncio.sleep(wait)
            delay *= 2

    def _wait_before_again(self, call: _Call, error: ApiError, delay: float) -> float | None:
        if isinstance(error, TooManyRequests):
            call.passage.sent = False
            wait = error.retry_after or delay
            self._lanes[call.budget].close_for(wait)
            return wait
        return max(error.retry_after or 0, delay * random.uniform(0.5, 1)) if call.request.method == "GET" else None

    async def _timed(self, call: _Call) -> bytes:
        """One try; its lane is told how long a success took."""
        answers, loop = self._lanes[call.budget].answers, asyncio.get_running_loop()
        longest, began = self.options.request_timeout, loop.time()
        within = longest if call.answer_within is None else answers.within(call.answer_within, longest, began)
        body = await self._transport.ask(call.request, within)
        answers.took(loop.time() - began, loop.time())
        return body


async def _events(lines: AsyncIterator[bytes]) -> AsyncIterator[WatchEvent]:
    async for line in lines:
        yield WatchEvent.decode(line)


def _json(body: object) -> bytes:
    return msgspec.json.encode(body)


def _object(body: bytes) -> dict[str, Any]:
    """Also a Status has metadata, as a DELETE may give it."""
    found = decoded(body, dict[str, Any])
    if not isinstance(found.get("metadata"), dict):
        raise ServerUnavailable(0, NOT_AN_OBJECT, "it has no metadata")
    return found
