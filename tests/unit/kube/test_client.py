"""What the client sends, what it makes of answers, and what it repeats."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from desist.kube.client import Client, ClientOptions, Deletion, PatchKind
from desist.kube.connection import Connection, FileToken, FixedToken
from desist.kube.errors import (
    LONGEST_WAIT,
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    ServerUnavailable,
    TooManyRequests,
    Unauthorized,
    error_from,
)
from desist.kube.lanes import Allowance, Budget
from desist.kube.listing import pages
from desist.kube.resource import NODES, PODS, Query, Resource
from tests.unit.kube.server import Handler, Server, broken, json_answer, silent, status_answer, stream_answer

POD = PODS.at("p", "ns")
PATH = "/api/v1/namespaces/ns/pods/p"
QUICK = ClientOptions(request_timeout=0.3, patience=0)


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "BadRequest", BadRequest),
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Expired", Gone),
        (418, "Teapot", ApiError),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", ServerUnavailable),
        (503, "ServiceUnavailable", ServerUnavailable),
    ],
)
async def test_a_failure_is_of_the_type_that_its_status_means(
    server: Server, status: int, reason: str, kind: type[ApiError]
) -> None:
    server.answers(PATH, status_answer(status, reason))
    async with Client(server.connection, QUICK) as client:
        with pytest.raises(ApiError) as caught:
            await client.get(POD)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.reason, caught.value.message) == (status, reason, f"told {status}")


@pytest.mark.parametrize("fault", [broken, silent])
async def test_no_answer_is_unavailable_with_status_0(server: Server, fault: Handler) -> None:
    server.answers(PATH, fault)
    async with Client(server.connection, QUICK) as client:
        with pytest.raises(ServerUnavailable) as caught:
            await client.get(POD)
    assert caught.value.status == 0


async def test_nobody_listening_is_unavailable() -> None:
    async with Client(Connection("http://127.0.0.1:1"), QUICK) as client:
        with pytest.raises(ServerUnavailable):
            await client.get(POD)


async def test_a_body_that_no_api_server_wrote_is_told_as_it_is(server: Server) -> None:
    async def gateway(_: object) -> Any:
        return web.Response(status=502, text="<html>bad gateway</html>")

    server.answers(PATH, gateway)
    async with Client(server.connection, QUICK) as client:
        with pytest.raises(ServerUnavailable, match="bad gateway"):
            await client.get(POD)


async def test_requests_are_what_kubernetes_wants(server: Server) -> None:
    paths = (PATH, f"{PATH}/status", "/api/v1/namespaces/ns/pods", "/api/v1/nodes")
    for path in paths:
        server.answers(path, json_answer({"metadata": {"resourceVersion": "1"}, "items": []}))
    async with Client(server.connection, QUICK) as client:
        await client.create(PODS, {"a": 1}, namespace="ns", dry_run=True)
        await client.patch(POD, {"b": 2})
        await client.patch(POD, [{"op": "test"}], kind=PatchKind.JSON)
        await client.replace_status(POD, {"c": 3})
        await client.delete(POD, Deletion(grace_seconds=0, uid="u", resource_version="7", propagation="Background"))
        await client.list(NODES, Query(labels="a=b,c", fields="d=e", limit=5, metadata_only=True))
    got = [(a.method, a.path, dict(a.query), a.headers.get("Content-Type"), a.body) for a in server.asked]
    assert got[:5] == [
        ("POST", "/api/v1/namespaces/ns/pods", {"dryRun": "All"}, "application/json", {"a": 1}),
        ("PATCH", PATH, {}, "application/merge-patch+json", {"b": 2}),
        ("PATCH", PATH, {}, "application/json-patch+json", [{"op": "test"}]),
        ("PUT", f"{PATH}/status", {}, "application/json", {"c": 3}),
        (
            "DELETE",
            PATH,
            {},
            "application/json",
            {
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "gracePeriodSeconds": 0,
                "preconditions": {"uid": "u", "resourceVersion": "7"},
                "propagationPolicy": "Background",
            },
        ),
    ]
    assert got[5][:3] == ("GET", "/api/v1/nodes", {"labelSelector": "a=b,c", "fieldSelector": "d=e", "limit": "5"})
    assert "PartialObjectMetadataList" in server.asked[5].headers["Accept"]


async def test_a_delete_without_wishes_leaves_everything_to_the_object(server: Server) -> None:
    server.answers(PATH, json_answer({}))
    async with Client(server.connection, QUICK) as client:
        await client.delete(POD)
    assert server.asked[0].body == {"apiVersion": "v1", "kind": "DeleteOptions"}


@dataclass
class Rotated:
    """A token that is another one when it is read anew."""

    renewals: list[bool] = field(default_factory=list)

    async def __call__(self, renew: bool) -> str:
        self.renewals.append(renew)
        return "new" if renew else "old"


async def test_after_a_401_the_token_is_read_anew_once(server: Server) -> None:
    server.answers(PATH, status_answer(401), json_answer({"fine": True}))
    token = Rotated()
    async with Client(Connection(server.url, token=token), QUICK) as client:
        assert await client.get(POD) == {"fine": True}
    assert [a.headers["Authorization"] for a in server.asked] == ["Bearer old", "Bearer new"]


async def test_a_second_401_is_told(server: Server) -> None:
    server.answers(PATH, status_answer(401))
    async with Client(Connection(server.url, token=FixedToken("t")), QUICK) as client:
        with pytest.raises(Unauthorized):
            await client.get(POD)
    assert len(server.asked) == 2


async def test_a_token_file_that_is_not_there_is_told_as_unauthorized(server: Server, tmp_path: Path) -> None:
    async with Client(Connection(server.url, token=FileToken(tmp_path / "token")), QUICK) as client:
        with pytest.raises(Unauthorized, match="cannot read"):
            await client.get(POD)


async def test_a_watch_logs_in_again_too(server: Server) -> None:
    server.answers("/api/v1/nodes", status_answer(401), stream_answer())
    token = Rotated()
    async with (
        Client(Connection(server.url, token=token), QUICK) as client,
        client.watch(NODES, Query(), {}, silence=1) as events,
    ):
        assert [event async for event in events] == []
    assert token.renewals == [False, True]


async def test_basic_credentials_are_sent(server: Server) -> None:
    server.answers(PATH, json_answer({}))
    async with Client(Connection(server.url, basic=("me", "secret")), QUICK) as client:
        await client.get(POD)
    assert server.asked[0].headers["Authorization"] == "Basic bWU6c2VjcmV0"


CALLS = {
    "get": lambda client: client.get(POD),
    "create": lambda client: client.create(PODS, {}, namespace="ns"),
    "patch": lambda client: client.patch(POD, {}),
    "replace_status": lambda client: client.replace_status(POD, {}),
    "delete": lambda client: client.delete(POD),
}
PATHS = (PATH, f"{PATH}/status", "/api/v1/namespaces/ns/pods")


@pytest.mark.parametrize(
    ("call", "fault", "repeated"),
    [
        ("get", status_answer(503), True),
        ("get", broken, True),
        ("get", status_answer(429), True),
        ("get", status_answer(404), False),
        ("create", status_answer(503), False),
        ("create", broken, False),
        ("create", status_answer(429), True),
        ("patch", status_answer(500), False),
        ("patch", broken, False),
        ("patch", status_answer(429), True),
        ("replace_status", status_answer(504), False),
        ("replace_status", status_answer(409), False),
        ("replace_status", status_answer(429), True),
        ("delete", status_answer(503), False),
        ("delete", status_answer(429), True),
    ],
)
async def test_only_what_cannot_do_harm_is_repeated(server: Server, call: str, fault: Handler, repeated: bool) -> None:
    for path in PATHS:
        server.answers(path, fault, json_answer({"fine": True}))
    async with Client(server.connection, ClientOptions(patience=2)) as client:
        if repeated:
            assert await CALLS[call](client) == {"fine": True}
        else:
            with pytest.raises(ApiError):
                await CALLS[call](client)
    if fault is not broken:  # aiohttp itself repeats a read on a connection that broke
        assert len(server.asked) == 1 + repeated


async def test_retry_after_is_obeyed(server: Server) -> None:
    server.answers(PATH, status_answer(429, headers={"Retry-After": "1"}), json_answer({"fine": True}))
    async with Client(server.connection, ClientOptions(patience=2)) as client:
        began = asyncio.get_running_loop().time()
        await client.get(POD)
        assert asyncio.get_running_loop().time() - began >= 1


async def test_a_lane_that_was_told_to_wait_waits_whole_and_the_other_goes_on(server: Server) -> None:
    other = "/api/v1/namespaces/ns/pods/q"
    server.answers(PATH, status_answer(429, headers={"Retry-After": "1"}), json_answer({}))
    server.answers(other, json_answer({}))
    async with Client(server.connection, ClientOptions(patience=2)) as client:
        now = asyncio.get_running_loop().time
        told = asyncio.create_task(client.get(POD))
        await server.wait_for(1)
        await asyncio.sleep(0.1)
        began = now()
        await client.patch(PODS.at("q", "ns"), {}, budget=Budget.STOP)
        assert now() - began < 0.5
        await client.get(PODS.at("q", "ns"))
        assert now() - began > 0.7
        await told


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"headers": {"Retry-After": "0"}}, None),
        ({"headers": {"Retry-After": "7"}}, 7),
        ({"headers": {"Retry-After": "86400"}}, LONGEST_WAIT),
        ({"details": {"retryAfterSeconds": 8}}, 8),
        ({"details": {"retryAfterSeconds": 600}}, LONGEST_WAIT),
        ({}, None),
    ],
)
def test_a_server_gets_the_wait_that_it_asks_for_but_no_more_than_half_a_minute(
    told: dict[str, dict[str, Any]], seconds: float | None
) -> None:
    body = json.dumps({"code": 503, "details": told.get("details")}).encode()
    assert error_from(503, body, told.get("headers", {}).get("Retry-After")).retry_after == seconds


async def test_a_wait_longer_than_the_patience_is_the_callers(server: Server) -> None:
    server.answers(PATH, status_answer(429, headers={"Retry-After": "30"}))
    async with Client(server.connection, ClientOptions(patience=2)) as client:
        with pytest.raises(TooManyRequests) as caught:
            await client.get(POD)
    assert caught.value.retry_after == 30


async def test_starts_that_are_told_to_wait_and_starts_that_hang_hold_up_no_stop(server: Server) -> None:
    server.answers("/api/v1/namespaces/ns/pods", silent)
    server.answers(PATH, json_answer({"fine": True}))
    options = ClientOptions(starts=Allowance(at_a_time=2, a_second=100, burst=100), request_timeout=30)
    async with Client(server.connection, options) as client, asyncio.timeout(5):
        starts = [asyncio.create_task(client.create(PODS, {}, namespace="ns")) for _ in range(5)]
        await server.wait_for(2)
        client._lanes[Budget.START].close_for(60)
        assert await client.patch(POD, {}, budget=Budget.STOP) == {"fine": True}
        assert [a.method for a in server.asked] == ["POST", "POST", "PATCH"]
        for task in starts:
            task.cancel()
        await asyncio.gather(*starts, return_exceptions=True)


def page(items: list[int], more: str) -> Handler:
    return json_answer({"metadata": {"resourceVersion": "9", "continue": more}, "items": items})


async def test_a_list_comes_page_by_page_and_the_next_one_is_asked_for_when_it_is_wanted(server: Server) -> None:
    server.answers("/api/v1/nodes", page([1, 2], "t1"), page([3], "t2"), page([4], ""))
    found: list[int] = []
    async with Client(server.connection, QUICK) as client:
        async for each in pages(client, NODES, Query(labels="a", limit=2)):
            found += [json.loads(bytes(item)) for item in each.items]
            assert each.resource_version == "9"
            assert len(server.asked) == {2: 1, 3: 2, 4: 3}[len(found)]
    assert found == [1, 2, 3, 4]
    assert [a.query.get("continue") for a in server.asked] == [None, "t1", "t2"]
    assert {(a.query["labelSelector"], a.query["limit"]) for a in server.asked} == {("a", "2")}


async def test_a_list_whose_pages_expire_is_the_callers_to_begin_again(server: Server) -> None:
    server.answers("/api/v1/nodes", page([1], "t"), status_answer(410, "Expired"))
    async with Client(server.connection, QUICK) as client:
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
        Client(server.connection, QUICK) as client,
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
    async with Client(server.connection, QUICK) as client, asyncio.timeout(5):
        with pytest.raises(ServerUnavailable):
            async with client.watch(NODES, Query(), {}, silence=0.3) as events:
                async for each in events:
                    seen += [each.type]
    assert seen == ["ADDED"]


@pytest.mark.parametrize(
    ("resource", "namespace", "path"),
    [
        (PODS, "", "/api/v1/pods"),
        (PODS, "a", "/api/v1/namespaces/a/pods"),
        (PODS, "../x", "/api/v1/namespaces/..%2Fx/pods"),
        (NODES, "a", "/api/v1/nodes"),
        (Resource("g.io", "v1beta1", "things"), "a", "/apis/g.io/v1beta1/namespaces/a/things"),
    ],
)
def test_paths_name_the_collection_and_nothing_else(resource: Resource, namespace: str, path: str) -> None:
    assert resource.collection(namespace) == path


@pytest.mark.parametrize(("resource", "name", "namespace"), [(PODS, "p", ""), (PODS, "", "ns"), (NODES, "", "")])
def test_an_address_that_would_name_a_whole_collection_is_refused(
    resource: Resource, name: str, namespace: str
) -> None:
    with pytest.raises(ValueError, match="needs a name"):
        resource.at(name, namespace)


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await Client(replace(Connection("http://127.0.0.1:1"))).get(POD)
