"""The API server's own clock is known to the second from its last answer on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from desist.kube.client import Client
from desist.kube.resource import PODS, Query
from desist.kube.server_time import ServerTime
from tests.unit.kube.server import Server, json_answer

NOW = datetime(2026, 5, 1, 12, 0, 7, tzinfo=UTC)


def test_it_goes_on_from_what_was_told_last() -> None:
    seconds = [100.0]
    server_time = ServerTime(lambda: seconds[0])
    assert server_time() is None
    server_time.told(format_datetime(NOW, usegmt=True))
    seconds[0] = 130.5
    assert server_time() == NOW + timedelta(seconds=30.5)
    server_time.told("Fri, 01 May 2026 12:10:00 GMT")
    assert server_time() == datetime(2026, 5, 1, 12, 10, tzinfo=UTC)
    seconds[0] = 131.0
    server_time.told("Fri, 01 May 2026 12:10:00 GMT")
    assert server_time() == datetime(2026, 5, 1, 12, 10, tzinfo=UTC), "the same second, told half a second later"


@pytest.mark.parametrize("header", [None, "", "soon", "Fri, 99 May 2026 12:10:00 GMT"])
def test_what_cannot_be_read_says_nothing(header: str | None) -> None:
    server_time = ServerTime(lambda: 0.0)
    server_time.told(header)
    assert server_time() is None


async def test_each_answer_tells_it(server: Server) -> None:
    async def dated(request: web.Request) -> web.StreamResponse:
        answer = await json_answer({"metadata": {"resourceVersion": "5"}, "items": []})(request)
        answer.headers["Date"] = format_datetime(NOW, usegmt=True)
        return answer

    server.answers("/api/v1/pods", dated)
    async with Client(server.connection) as client:
        await client.list(PODS, Query())
        told = client.server_time()
    assert told is not None and NOW <= told < NOW + timedelta(seconds=5)


async def test_a_field_selector_and_the_wish_for_metadata_alone_are_sent(server: Server) -> None:
    server.answers("/api/v1/pods", json_answer({"metadata": {"resourceVersion": "5"}, "items": []}))
    server.answers("/api/v1/namespaces/ns/pods/p", json_answer({"metadata": {"name": "p"}}))
    async with Client(server.connection) as client:
        await client.list(PODS, Query(fields="spec.nodeName=worker"))
        await client.get(PODS.at("p", "ns"), metadata_only=True)
        await client.get(PODS.at("p", "ns"))
    assert server.asked[0].query == {"fieldSelector": "spec.nodeName=worker"}
    accepts = [asked.headers["Accept"] for asked in server.asked[1:]]
    assert accepts == ["application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", "application/json"]
