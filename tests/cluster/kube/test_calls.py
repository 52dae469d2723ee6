"""The client against the real API server: what its answers are, and what is true after an answer that was lost."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from desist.kube.client import Client
from desist.kube.connection import Connection, FixedToken
from desist.kube.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotServed,
    ServerUnavailable,
    Unauthorized,
)
from desist.kube.listing import pages
from desist.kube.options import ClientOptions, Deletion
from desist.kube.resource import PODS, Query, Resource
from desist.kube.wire import identity
from tests.cluster.kube.mirror import MAPS, put
from tests.support.apiproxy import ApiProxy
from tests.support.faults import Answer, Fault, Lose

pytestmark = pytest.mark.side_by_side

Call = Callable[[Client, str, dict[str, Any]], Awaitable[object]]


def body(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


REFUSALS: dict[str, tuple[Call, type[ApiError]]] = {
    "a create of a name that is taken": (lambda c, ns, _: c.create(MAPS, body("a"), namespace=ns), AlreadyExists),
    "a create with a wrong name": (lambda c, ns, _: c.create(MAPS, body("A_"), namespace=ns), Invalid),
    "a create that is no object of the kind": (
        lambda c, ns, _: c.create(MAPS, {"metadata": {"name": "x"}, "data": {"n": 1}}, namespace=ns),
        BadRequest,
    ),
    "a create in a namespace that is not there": (
        lambda c, _, __: c.create(MAPS, body("x"), namespace="never"),
        NotFound,
    ),
    "a patch of an object that is not there": (lambda c, ns, _: c.patch(MAPS.at("b", ns), {}), NotFound),
    "a patch under an old version": (
        lambda c, ns, _: c.patch(MAPS.at("a", ns), {"metadata": {"resourceVersion": "1"}, "data": {"x": "y"}}),
        Conflict,
    ),
    "a patch under another's UID and version": (
        lambda c, ns, _: c.patch(
            MAPS.at("a", ns), {"metadata": {"uid": "other", "resourceVersion": "1"}, "data": {"x": "y"}}
        ),
        Conflict,
    ),
    "a patch under another's UID alone": (
        lambda c, ns, _: c.patch(MAPS.at("a", ns), {"metadata": {"uid": "other"}, "data": {"x": "y"}}),
        Invalid,
    ),
    "a delete of another's UID": (lambda c, ns, _: c.delete(MAPS.at("a", ns), Deletion(uid="other")), Conflict),
    "a delete under an old version": (
        lambda c, ns, made: c.delete(MAPS.at("a", ns), Deletion(uid=made["metadata"]["uid"], resource_version="1")),
        Conflict,
    ),
    "a kind that is not served": (lambda c, ns, _: c.list(Resource("no.io", "v1", "things"), Query()), NotServed),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_the_servers_refusals_have_their_type(direct: Client, namespace: str, case: str) -> None:
    made = await direct.create(MAPS, body("a", v="1"), namespace=namespace)
    call, kind = REFUSALS[case]
    with pytest.raises(ApiError) as caught:
        await call(direct, namespace, made)
    assert type(caught.value) is kind, caught.value
    kept = await direct.get(MAPS.at("a", namespace))
    assert kept["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_an_object_is_made_changed_and_deleted(direct: Client, namespace: str) -> None:
    made = await direct.create(MAPS, body("a", v="1"), namespace=namespace)
    metadata = made["metadata"]
    guard = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    patched = await direct.patch(MAPS.at("a", namespace), {"metadata": guard, "data": {"v": "2"}})
    assert patched["data"] == {"v": "2"}
    version = patched["metadata"]["resourceVersion"]
    await direct.delete(MAPS.at("a", namespace), Deletion(uid=metadata["uid"], resource_version=version))
    with pytest.raises(NotFound):
        await direct.get(MAPS.at("a", namespace))


async def test_a_dry_run_says_what_would_be_and_makes_nothing(direct: Client, namespace: str) -> None:
    assert (await direct.create(MAPS, body("a"), namespace=namespace, dry_run=True))["metadata"]["uid"]
    with pytest.raises(NotFound):
        await direct.get(MAPS.at("a", namespace))


async def test_status_is_replaced_under_the_version_that_was_judged(direct: Client, namespace: str) -> None:
    pod = {
        "metadata": {"name": "gated"},
        "spec": {"schedulingGates": [{"name": "test/never"}], "containers": [{"name": "main", "image": "none"}]},
    }
    made = await direct.create(PODS, pod, namespace=namespace)
    made["status"]["message"] = "judged"
    written = await direct.replace_status(PODS.at("gated", namespace), made)
    assert written["status"]["message"] == "judged"
    with pytest.raises(Conflict):
        await direct.replace_status(PODS.at("gated", namespace), made)


async def test_a_long_list_comes_whole_and_metadata_come_alone(direct: Client, namespace: str) -> None:
    await put(direct, namespace, **{f"m{number}": "x" * 1000 for number in range(25)})
    query = Query(namespace=namespace, labels="kube-test", limit=10)
    whole = [each async for each in pages(direct, MAPS, query)]
    assert [len(each.items) for each in whole] == [10, 10, 5]
    assert len({each.resource_version for each in whole}) == 1
    found = {identity(item) for each in whole for item in each.items}
    assert {each.name for each in found} == {f"m{number}" for number in range(25)}
    (alone,) = [each async for each in pages(direct, MAPS, replace(query, limit=0, metadata_only=True))]
    assert {identity(item) for item in alone.items} == found
    assert all("data" not in json.loads(bytes(item)) for item in alone.items)


async def test_who_may_not_is_told_apart_from_who_is_not_known(
    direct: Client, connection: Connection, namespace: str
) -> None:
    accounts = Resource("", "v1", "serviceaccounts")
    await direct.create(accounts, {"metadata": {"name": "nobody"}}, namespace=namespace)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    tokens = Resource("", "v1", "serviceaccounts/nobody/token")
    answer = await direct.create(tokens, request, namespace=namespace)
    for token, kind in ((answer["status"]["token"], Forbidden), ("made-up", Unauthorized)):
        known = Connection(connection.server, ca=connection.ca, token=FixedToken(token))
        async with Client(known) as client:
            with pytest.raises(kind):
                await client.get(MAPS.at("kube-root-ca.crt", namespace))


async def test_a_write_whose_answer_is_lost_is_told_as_unknown_and_can_be_repeated(
    proxied: Client, proxy: ApiProxy, namespace: str
) -> None:
    proxy.add(Fault(Lose(), method="POST", times=1))
    with pytest.raises(ServerUnavailable):
        await proxied.create(MAPS, body("a", v="1"), namespace=namespace)
    with pytest.raises(AlreadyExists):
        await proxied.create(MAPS, body("a", v="1"), namespace=namespace)


async def test_a_guarded_delete_that_was_done_and_lost_hits_nobody_else_when_it_is_repeated(
    proxied: Client, proxy: ApiProxy, namespace: str
) -> None:
    made = await proxied.create(MAPS, body("a", v="1"), namespace=namespace)
    guarded = Deletion(uid=made["metadata"]["uid"])
    proxy.add(Fault(Lose(), method="DELETE", times=1))
    # On a kept connection aiohttp repeats a DELETE by itself, and that one finds nothing.
    with pytest.raises((ServerUnavailable, NotFound)):
        await proxied.delete(MAPS.at("a", namespace), guarded)
    await proxied.create(MAPS, body("a", v="2"), namespace=namespace)
    with pytest.raises(Conflict):
        await proxied.delete(MAPS.at("a", namespace), guarded)
    assert (await proxied.get(MAPS.at("a", namespace)))["data"] == {"v": "2"}


async def test_a_busy_server_is_asked_again_when_it_said(proxy: ApiProxy, namespace: str) -> None:
    proxy.add(Fault(Answer(429, {"Retry-After": "1"}), method="POST", times=1))
    async with Client(Connection(proxy.server), ClientOptions(patience=3)) as client:
        assert await client.create(MAPS, body("a"), namespace=namespace)
    assert len([request for request in proxy.requests if request.method == "POST"]) == 2


async def test_what_is_no_object_is_read_as_it_is(direct: Client) -> None:
    assert json.loads(await direct.read("/version"))["major"] == "1"
    assert await direct.read("/livez") == b"ok"
