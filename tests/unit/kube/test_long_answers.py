"""Long answers: lists that come in pages, and watches that come in pieces."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from desist.kube.client import Client
from desist.kube.errors import (
    Gone,
    ServerUnavailable,
)
from desist.kube.listing import pages
from desist.kube.options import ClientOptions
from desist.kube.resource import NODES, PODS, Query
from tests.unit.kube.server import Handler, Server, json_answer, status_answer, stream_answer

POD = PODS.at("p", "ns")
PATH = "/api/v1/namespaces/ns/pods/p"
CALM = ClientOptions(request_timeout=20, patience=0)


def page(items: list[int], more: str) -> Handler:
    return json_answer({"metadata": {"resourceVersion": "9", "continue": more}, "items": items})


async def test_a_list_comes_page_by_page_and_the_next_one_is_asked_for_when_it_is_wanted(server: Server) -> None:
    server.answers("/api/v1/nodes", page([1, 2], "t1"), page([3], "t2"), page([4], ""))
    found: list[int] = []
    async with Client(server.connection, CALM) as client:
        async for each in pages(client, NODES, Query(labels="a", limit=2)):
            found += [json.loads(bytes(item)) for item in each.items]
            assert each.resource_version == "9"
            assert len(server.asked) == {2: 1, 3: 2, 4: 3}[len(found)]
    assert found == [1, 2, 3, 4]
    assert [a.query.get("continue") for a in server.asked] == [None, "t1", "t2"]
    assert {(a.query["labelSelector"], a.query["limit"]) for a in server.asked} == {("a", "2")}


async def test_a_list_whose_pages_expire_is_the_callers_to_begin_again(server: Server) -> None:
    server.answers("/api/v1/nodes", page([1], "t"), status_answer(410, "Expired"))
    async with Client(server.connection, CALM) as client:
        with pytest.raises(Gone):
            _ = [each async for each in pages(client, NODES, Query(limit=1))]


@pytest.mark.parametrize(
    ("size", "cut"), [(10, 1), (10, 65_536), (70_000, 1000), (70_000, 65_536), (3_000_000, 1000), (3_000_000, 65_536)]
)
async def test_events_of_any_length_arrive_whole_however_they_are_cut(server: Server, size: int, cut: int) -> None:
    lines = b"".join(
        json.dumps({"type": "ADDED", "object": {"n": n, "x": "y" * size}}).encode() + b"\n" for n in range(2)
    )
    server.answers("/api/v1/nodes", fast_stream([lines[i : i + cut] for i in range(0, len(lines), cut)]))
    async with (
        Client(server.connection, CALM) as client,
        client.watch(NODES, Query(), {}, silence=5) as events,
    ):
        got = [json.loads(bytes(event.object)) async for event in events]
    assert [(each["n"], len(each["x"])) for each in got] == [(0, size), (1, size)]


def fast_stream(chunks: list[bytes]) -> Handler:
    async def handle(request: Any) -> Any:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        return response

    return handle


@pytest.mark.parametrize("then", ["hang", "break"])
async def test_a_watch_that_goes_silent_or_breaks_raises(server: Server, then: str) -> None:
    event = {"type": "ADDED", "object": {"n": 1}}
    server.answers("/api/v1/nodes", stream_answer(event, b'{"type": "MODI', then=then))
    seen: list[str] = []
    async with Client(server.connection, CALM) as client, asyncio.timeout(20):
        with pytest.raises(ServerUnavailable):
            async with client.watch(NODES, Query(), {}, silence=1) as events:
                async for each in events:
                    seen += [each.type]
    assert seen == ["ADDED"]
