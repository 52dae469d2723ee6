"""What the client sends, and what it makes of answers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from desist.kube.client import Client
from desist.kube.connection import Connection, FileToken, FixedToken
from desist.kube.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NoAnswer,
    NotFound,
    NotServed,
    NotTheServer,
    ServerUnavailable,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    error_from,
)
from desist.kube.lanes import CROWD, Allowance, Budget
from desist.kube.options import ClientOptions, Deletion
from desist.kube.resource import NODES, PODS, Query, Resource
from tests.unit.kube.server import (
    Handler,
    Server,
    broken,
    json_answer,
    late,
    page_answer,
    page_not_found,
    silent,
    status_answer,
    stream_answer,
)

POD = PODS.at("p", "ns")
PATH = "/api/v1/namespaces/ns/pods/p"
FINE = {"metadata": {"name": "p"}}
CALM = ClientOptions(request_timeout=20, patience=0)
QUICK = ClientOptions(request_timeout=0.3, patience=0)
"""Only where there is no answer: a busy machine may be as late with one."""


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
        (413, "RequestEntityTooLarge", TooLarge),
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
    async with Client(server.connection, CALM) as client:
        with pytest.raises(ApiError) as caught:
            await client.get(POD)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.reason, caught.value.message) == (status, reason, f"told {status}")


@pytest.mark.parametrize(
    "answer",
    [status_answer(404, "NotFound", name=""), page_not_found],
    ids=["the API server knows no such kind", "a page of a load balancer"],
)
async def test_a_404_that_names_no_object_does_not_say_that_one_is_not_there(server: Server, answer: Handler) -> None:
    for path in (PATH, f"{PATH}/status"):
        server.answers(path, answer)
    async with Client(server.connection, CALM) as client:
        for call in (client.get(POD), client.patch(POD, {}), client.replace_status(POD, {}), client.delete(POD)):
            with pytest.raises(NotServed):
                await call


@pytest.mark.parametrize("code", [302, 400, 403, 405, 409, 410, 422])
async def test_a_refusal_that_the_api_server_has_not_worded_says_nothing_of_the_object(
    server: Server, code: int
) -> None:
    server.answers(PATH, page_answer(code))
    async with Client(server.connection, CALM) as client:
        for call in (client.get(POD), client.patch(POD, {}), client.delete(POD)):
            with pytest.raises(NotTheServer):
                await call


@pytest.mark.parametrize(("code", "kind"), [(401, Unauthorized), (413, TooLarge), (429, TooManyRequests)])
async def test_what_anybody_may_say_counts_whoever_says_it(server: Server, code: int, kind: type[ApiError]) -> None:
    server.answers(PATH, page_answer(code))
    async with Client(server.connection, CALM) as client:
        with pytest.raises(kind):
            await client.patch(POD, {})


@pytest.mark.parametrize("answer", [page_answer(200), json_answer([]), json_answer({"status": "ok"})])
async def test_a_success_that_is_no_object_is_an_api_error_like_any_other(server: Server, answer: Handler) -> None:
    server.answers(PATH, answer)
    async with Client(server.connection, CALM) as client:
        for call in (client.get(POD), client.patch(POD, {}), client.delete(POD)):
            with pytest.raises(ServerUnavailable):
                await call


@pytest.mark.parametrize(
    "body", [{"kind": "Status", "metadata": {}, "status": "Failure", "code": 404}, {"metadata": {}, "items": []}]
)
async def test_a_list_without_a_version_does_not_say_that_nothing_is_there(server: Server, body: object) -> None:
    server.answers("/api/v1/nodes", json_answer(body))
    async with Client(server.connection, CALM) as client:
        with pytest.raises(ServerUnavailable):
            await client.list(NODES, Query())


@pytest.mark.parametrize(
    "words",
    ["etcdserver: request is too large", "rpc error: trying to send message larger than max (3000000 vs. 2097152)"],
)
def test_what_the_store_finds_too_large_is_so_though_the_api_server_calls_it_its_own_fault(words: str) -> None:
    told = json.dumps({"kind": "Status", "code": 500, "message": words}).encode()
    assert type(error_from(500, told)) is TooLarge


@pytest.mark.parametrize("fault", [broken, silent])
async def test_no_answer_is_unavailable_with_status_0(server: Server, fault: Handler) -> None:
    server.answers(PATH, fault)
    async with Client(server.connection, QUICK) as client:
        with pytest.raises(ServerUnavailable) as caught:
            await client.get(POD)
    assert caught.value.status == 0


@pytest.mark.parametrize("create", [True, False])
async def test_a_call_with_a_time_of_its_own_ends_as_no_answer_when_it_is_over(server: Server, create: bool) -> None:
    server.answers("/api/v1/namespaces/ns/pods", silent)
    server.answers(PATH, silent)
    async with Client(server.connection, ClientOptions(request_timeout=60, patience=0)) as client, asyncio.timeout(20):
        with pytest.raises(NoAnswer):
            if create:
                await client.create(PODS, {}, namespace="ns", dry_run=True, answer_within=0.1)
            else:
                await client.patch(POD, {}, answer_within=0.1)


async def test_a_server_that_is_slow_for_all_gets_longer_than_one_that_was_quick(server: Server) -> None:
    server.answers(PATH, *[late(0.2, json_answer(FINE))] * 40, late(0.3, json_answer(FINE)), silent)
    async with Client(server.connection, ClientOptions(request_timeout=60, patience=0)) as client, asyncio.timeout(30):
        await asyncio.gather(*(client.get(POD) for _ in range(40)))
        await client.patch(POD, {}, answer_within=0.1)
        with pytest.raises(NoAnswer):
            await client.patch(POD, {}, answer_within=0.1)


async def test_calls_that_hang_in_one_namespace_let_one_in_another_through(server: Server) -> None:
    server.answers(PATH, silent)
    server.answers("/api/v1/namespaces/other/pods/p", json_answer(FINE))
    options = ClientOptions(request_timeout=60, patience=0, tells=Allowance(at_a_time=4, a_second=1000, burst=100))
    async with Client(server.connection, options) as client, asyncio.timeout(20):
        hang = asyncio.gather(*(client.patch(POD, {}, budget=Budget.TELL) for _ in range(9)))
        await asyncio.sleep(0)
        await client.patch(PODS.at("p", "other"), {}, budget=Budget.TELL)
        hang.cancel()


async def test_an_event_waits_while_stops_are_written(server: Server) -> None:
    server.answers(PATH, late(0.25, json_answer(FINE)))
    server.answers("/api/v1/namespaces/ns/pods", json_answer(FINE))
    done = []
    async with Client(server.connection) as client, asyncio.timeout(20):
        stops = asyncio.gather(*(client.patch(POD, {}, budget=Budget.TELL) for _ in range(CROWD)))
        stops.add_done_callback(lambda _: done.append("stops"))
        await server.wait_for(CROWD)
        await client.create(PODS, {}, namespace="ns", budget=Budget.EVENT)
        done.append("event")
    assert done == ["stops", "event"]


async def test_a_broken_connection_is_not_taken_for_a_server_that_does_not_answer(server: Server) -> None:
    server.answers(PATH, broken)
    async with Client(server.connection, CALM) as client:
        with pytest.raises(ServerUnavailable) as caught:
            await client.get(POD)
    assert not isinstance(caught.value, NoAnswer)


async def test_nobody_listening_is_unavailable() -> None:
    async with Client(Connection("http://127.0.0.1:1"), CALM) as client:
        with pytest.raises(ServerUnavailable):
            await client.get(POD)


async def test_a_body_that_no_api_server_wrote_is_told_as_it_is(server: Server) -> None:
    async def gateway(_: object) -> Any:
        return web.Response(status=502, text="<html>bad gateway</html>")

    server.answers(PATH, gateway)
    async with Client(server.connection, CALM) as client:
        with pytest.raises(ServerUnavailable, match="bad gateway"):
            await client.get(POD)


async def test_requests_are_what_kubernetes_wants(server: Server) -> None:
    paths = (PATH, f"{PATH}/status", "/api/v1/namespaces/ns/pods", "/api/v1/nodes")
    for path in paths:
        server.answers(path, json_answer({"metadata": {"resourceVersion": "1"}, "items": []}))
    async with Client(server.connection, CALM) as client:
        await client.create(PODS, {"a": 1}, namespace="ns", dry_run=True)
        await client.patch(POD, {"b": 2})
        await client.replace_status(POD, {"c": 3})
        await client.delete(POD, Deletion(grace_seconds=0, uid="u", resource_version="7"))
        await client.list(NODES, Query(labels="a=b,c", limit=5, metadata_only=True))
    got = [(a.method, a.path, dict(a.query), a.headers.get("Content-Type"), a.body) for a in server.asked]
    assert got[:4] == [
        ("POST", "/api/v1/namespaces/ns/pods", {"dryRun": "All"}, "application/json", {"a": 1}),
        ("PATCH", PATH, {}, "application/merge-patch+json", {"b": 2}),
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
            },
        ),
    ]
    assert got[4][:3] == ("GET", "/api/v1/nodes", {"labelSelector": "a=b,c", "limit": "5"})
    assert "PartialObjectMetadataList" in server.asked[4].headers["Accept"]


async def test_a_delete_without_wishes_leaves_everything_to_the_object(server: Server) -> None:
    server.answers(PATH, json_answer(FINE))
    async with Client(server.connection, CALM) as client:
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
    server.answers(PATH, status_answer(401), json_answer(FINE))
    token = Rotated()
    async with Client(Connection(server.url, token=token), CALM) as client:
        assert await client.get(POD) == FINE
    assert [a.headers["Authorization"] for a in server.asked] == ["Bearer old", "Bearer new"]


async def test_a_second_401_is_told(server: Server) -> None:
    server.answers(PATH, status_answer(401))
    async with Client(Connection(server.url, token=FixedToken("t")), CALM) as client:
        with pytest.raises(Unauthorized):
            await client.get(POD)
    assert len(server.asked) == 2


async def test_a_token_file_that_is_not_there_is_told_as_unauthorized(server: Server, tmp_path: Path) -> None:
    async with Client(Connection(server.url, token=FileToken(tmp_path / "token")), CALM) as client:
        with pytest.raises(Unauthorized, match="cannot read"):
            await client.get(POD)


async def test_a_watch_logs_in_again_too(server: Server) -> None:
    server.answers("/api/v1/nodes", status_answer(401), stream_answer())
    token = Rotated()
    async with (
        Client(Connection(server.url, token=token), CALM) as client,
        client.watch(NODES, Query(), {}, silence=1) as events,
    ):
        assert [event async for event in events] == []
    assert token.renewals == [False, True]


async def test_basic_credentials_are_sent(server: Server) -> None:
    server.answers(PATH, json_answer(FINE))
    async with Client(Connection(server.url, basic=("me", "secret")), CALM) as client:
        await client.get(POD)
    assert server.asked[0].headers["Authorization"] == "Basic bWU6c2VjcmV0"


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
