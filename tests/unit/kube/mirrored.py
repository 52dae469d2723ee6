"""A reflector in front of the fake server, and what it told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from desist.kube.client import Client
from desist.kube.listing import Change, ChangeKind
from desist.kube.liveness import Timing
from desist.kube.options import ClientOptions
from desist.kube.reflector import Reflector
from desist.kube.resource import NODES, Query, Source
from tests.unit.kube.server import Handler, Server, json_answer, status_answer

PATH = "/api/v1/nodes"
CALM = Timing(watch=20, margin=0, backoff=0.01, backoff_max=0.05, patience=0.2)
FAST = Timing(watch=1, margin=-0.5, backoff=0.01, backoff_max=0.05, patience=0.2)
"""Only where nothing comes: a busy machine may be half a second late with what does."""
NO_STREAMS = status_answer(422, "Invalid")
ENDED = {
    "type": "BOOKMARK",
    "object": {"metadata": {"resourceVersion": "10", "annotations": {"k8s.io/initial-events-end": "true"}}},
}


def node(uid: str, version: int, **more: Any) -> dict[str, Any]:
    return {"metadata": {"uid": uid, "name": f"n-{uid}", "resourceVersion": str(version)}, **more}


def event(kind: str, uid: str, version: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "object": node(uid, version, **more)}


def bookmark(version: int) -> dict[str, Any]:
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}


def error(code: int, reason: str) -> dict[str, Any]:
    return {"type": "ERROR", "object": {"kind": "Status", "code": code, "reason": reason, "message": "told"}}


def listed(version: int, *nodes: dict[str, Any]) -> Handler:
    return json_answer({"metadata": {"resourceVersion": str(version)}, "items": list(nodes)})


def parse(raw: bytes) -> str | None:
    """A record is the object's version; `foreign` objects are not ours, `bad` ones cannot be read."""
    body = json.loads(bytes(raw))
    if "bad" in body:
        raise ValueError("unreadable")
    return None if "foreign" in body else str(body["metadata"]["resourceVersion"])


class Told:
    """Changes, as short words: `+a1` added, `~a1>2` modified, `-a2` deleted (`-a?` where the end was not seen)."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._news = asyncio.Condition()

    def __call__(self, change: Change[str]) -> None:
        uid = change.identity.uid
        match change.kind:
            case ChangeKind.ADDED:
                self.words.append(f"+{uid}{change.new}")
            case ChangeKind.MODIFIED:
                self.words.append(f"~{uid}{change.old}>{change.new}")
            case ChangeKind.DELETED:
                self.words.append(f"-{uid}{change.new if change.seen else '?'}")
        self._wake = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def wait_for(self, *words: str) -> None:
        """Until exactly these were told."""
        async with self._news:
            try:
                async with asyncio.timeout(20):
                    await self._news.wait_for(lambda: len(self.words) >= len(words))
            except TimeoutError:
                pass
        assert self.words == list(words)


@asynccontextmanager
async def mirror(server: Server, timing: Timing = CALM) -> AsyncIterator[tuple[Reflector[str], Told]]:
    """A list may take as long as a watch may be silent."""
    told = Told()
    async with Client(server.connection, ClientOptions(patience=0, request_timeout=timing.silence)) as client:
        reflector = Reflector(client, Source(NODES, Query(labels="a=b")), parse, told, timing)
        task = asyncio.create_task(reflector.run())
        yield reflector, told
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
