"""The reflector against the real API server, with everything between them that can go wrong."""

from __future__ import annotations

import asyncio
import json

import pytest

from desist.kube.client import Client
from desist.kube.errors import Gone, error_from
from desist.kube.listing import Change
from desist.kube.liveness import Timing
from desist.kube.reflector import Reflector
from desist.kube.resource import NODES, PODS, Query, Source
from tests.cluster.kube.mirror import MAPS, QUICK, change, mirrored, put, remove
from tests.support.apiproxy import ApiProxy, Request
from tests.support.faults import EXPIRED, Answer, Fault

pytestmark = pytest.mark.side_by_side


def lists(proxy: ApiProxy) -> list[Request]:
    """Requests for a whole list, plain or streamed."""
    return [
        r for r in proxy.requests if r.method == "GET" and ("watch=" not in r.query or "sendInitialEvents" in r.query)
    ]


async def test_it_tells_what_is_there_and_then_every_change(direct: Client, namespace: str) -> None:
    await put(direct, namespace, old="1")
    async with mirrored(direct, namespace) as mirror:
        await mirror.wait_for("ADDED old 1")
        await put(direct, namespace, new="1")
        await change(direct, namespace, new="2")
        await remove(direct, namespace, "old")
        await mirror.wait_for("ADDED new 1", "MODIFIED new 1>2", "DELETED old 1")
        assert mirror.values == {"new": "2"}


async def test_a_name_that_is_used_again_is_another_object(direct: Client, namespace: str) -> None:
    await put(direct, namespace, a="1")
    async with mirrored(direct, namespace) as mirror:
        await mirror.wait_for("ADDED a 1")
        await remove(direct, namespace, "a")
        await put(direct, namespace, a="2")
        await mirror.wait_for("DELETED a 1", "ADDED a 2")


async def test_an_object_that_leaves_the_selection_looks_deleted_though_it_lives(
    direct: Client, namespace: str
) -> None:
    """The trap that the contract names: whoever needs proof of an end must ask for the object."""
    await put(direct, namespace, a="1")
    async with mirrored(direct, namespace) as mirror:
        await mirror.wait_for("ADDED a 1")
        await direct.patch(MAPS.at("a", namespace), {"metadata": {"labels": None}})
        await mirror.wait_for("DELETED a 1")
    assert (await direct.get(MAPS.at("a", namespace)))["data"] == {"v": "1"}


async def test_a_watch_that_is_cut_in_the_middle_goes_on_and_lists_nothing_again(
    direct: Client, proxied: Client, proxy: ApiProxy, namespace: str
) -> None:
    await put(direct, namespace, a="1", b="1")
    async with mirrored(proxied, namespace) as mirror:
        await mirror.wait_for("ADDED a 1", "ADDED b 1")
        for round_ in range(3):
            await asyncio.to_thread(proxy.wait_for_watches, 1, 30)
            assert proxy.cut() == 1
            await change(direct, namespace, a=f"{round_ + 2}")
            await mirror.wait_for(f"MODIFIED a {round_ + 1}>{round_ + 2}")
        await remove(direct, namespace, "b")
        await mirror.wait_for("DELETED b 1")
    assert len(lists(proxy)) == 1


@pytest.mark.parametrize("way", ["event", "status"])
async def test_after_a_410_objects_deleted_in_the_gap_are_told(
    direct: Client, proxied: Client, proxy: ApiProxy, namespace: str, way: str
) -> None:
    await put(direct, namespace, kept="1", changed="1", gone="1", replaced="1")
    async with mirrored(proxied, namespace) as mirror:
        await mirror.wait_for("ADDED kept 1", "ADDED changed 1", "ADDED gone 1", "ADDED replaced 1")
        await asyncio.to_thread(proxy.wait_for_watches, 1, 30)
        proxy.stall()
        await remove(direct, namespace, "gone", "replaced")
        await put(direct, namespace, replaced="2", fresh="1")
        await change(direct, namespace, changed="2")
        if way == "event":
            proxy.inject(EXPIRED)
        else:
            proxy.add(Fault(Answer(410), query="watch=true", times=1))
            proxy.cut()
        proxy.flow()
        await mirror.wait_for(
            "DELETED gone 1 missed",
            "DELETED replaced 1 missed",
            "ADDED replaced 2",
            "ADDED fresh 1",
            "MODIFIED changed 1>2",
        )
        assert mirror.values == {"kept": "1", "changed": "2", "replaced": "2", "fresh": "1"}
        await change(direct, namespace, kept="2")
        await mirror.wait_for("MODIFIED kept 1>2")


async def test_the_real_servers_410_is_the_one_that_the_reflector_knows(direct: Client, namespace: str) -> None:
    query = Query(namespace=namespace, resource_version="1")
    with pytest.raises(Gone):
        async with direct.watch(MAPS, query, {"timeoutSeconds": "5"}, silence=10) as events:
            async for event in events:
                if event.type == "ERROR":
                    raise error_from(0, event.object)


async def test_a_time_without_the_api_server_is_survived_told_to_probes_and_made_up_for(
    direct: Client, proxied: Client, proxy: ApiProxy, namespace: str
) -> None:
    await put(direct, namespace, a="1", b="1")
    now = asyncio.get_running_loop().time
    async with mirrored(proxied, namespace) as mirror:
        await mirror.wait_for("ADDED a 1", "ADDED b 1")
        asked = len(proxy.requests)
        proxy.down()
        await change(direct, namespace, a="2")
        await remove(direct, namespace, "b")
        await asyncio.sleep(3)  # the absence itself
        assert "nothing heard for" in (mirror.reflector.behind(now()) or "")
        assert mirror.reflector.stuck(now()) is None
        await asyncio.to_thread(proxy.wait_for_requests, lambda _: True, asked + 4, 30)
        assert len(proxy.requests) - asked <= 30
        proxy.up()
        await mirror.wait_for("MODIFIED a 1>2", "DELETED b 1")
        assert mirror.reflector.behind(now()) is None


async def test_a_half_open_watch_is_noticed(direct: Client, proxied: Client, proxy: ApiProxy, namespace: str) -> None:
    await put(direct, namespace, a="1")
    async with mirrored(proxied, namespace, Timing(watch=2, margin=1, backoff=0.05)) as mirror:
        await mirror.wait_for("ADDED a 1")
        await asyncio.to_thread(proxy.wait_for_watches, 1, 30)
        asked = len(proxy.requests)
        proxy.stall()
        await change(direct, namespace, a="2")
        await asyncio.to_thread(proxy.wait_for_requests, lambda _: True, asked + 1, 30)
        proxy.flow()
        await mirror.wait_for("MODIFIED a 1>2")


async def test_a_quiet_watch_is_renewed_by_the_server_and_nobody_is_alarmed(
    direct: Client, proxied: Client, proxy: ApiProxy, namespace: str
) -> None:
    await put(direct, namespace, a="1")
    # The renewals take longer than a silence may; a stall between two of them does not.
    async with mirrored(proxied, namespace, Timing(watch=2, margin=6)) as mirror:
        await mirror.wait_for("ADDED a 1")
        await asyncio.to_thread(proxy.wait_for_requests, lambda r: "watch=true" in r.query, 6, 40)
        assert mirror.reflector.behind(asyncio.get_running_loop().time()) is None
        await change(direct, namespace, a="2")
        await mirror.wait_for("MODIFIED a 1>2")
    assert len(lists(proxy)) == 1


async def test_two_reflectors_tell_the_same(direct: Client, proxied: Client, namespace: str) -> None:
    async with mirrored(direct, namespace) as one, mirrored(proxied, namespace) as other:
        for number in range(10):
            await put(direct, namespace, **{f"a{number}": "1"})
        for number in range(0, 10, 2):
            await remove(direct, namespace, f"a{number}")
        words = [f"ADDED a{n} 1" for n in range(10)] + [f"DELETED a{n} 1" for n in range(0, 10, 2)]
        await one.wait_for(*words)
        await other.wait_for(*words)
        assert one.values == other.values == {f"a{n}": "1" for n in range(1, 10, 2)}


async def test_this_server_streams_its_lists(proxied: Client, proxy: ApiProxy, namespace: str) -> None:
    async with mirrored(proxied, namespace):
        pass
    assert ["sendInitialEvents" in request.query for request in lists(proxy)] == [True]


async def test_a_server_that_cannot_stream_its_lists_is_listed_plainly(
    direct: Client, proxied: Client, proxy: ApiProxy, namespace: str
) -> None:
    proxy.add(Fault(Answer(422), query="sendInitialEvents"))
    await put(direct, namespace, a="1", b="1")
    async with mirrored(proxied, namespace, QUICK) as mirror:
        await mirror.wait_for("ADDED a 1", "ADDED b 1")
        await remove(direct, namespace, "a")
        await mirror.wait_for("DELETED a 1")
    assert ["sendInitialEvents" in request.query for request in lists(proxy)] == [True, False]


async def test_nodes_are_mirrored_too(direct: Client) -> None:
    names: set[str] = set()
    reflector = Reflector(direct, Source(NODES), bytes, lambda told: names.add(told.identity.name))
    task = asyncio.create_task(reflector.run())
    async with asyncio.timeout(30):
        await reflector.synced.wait()
    task.cancel()
    listed = json.loads(await direct.read("/api/v1/nodes"))
    assert names == {node["metadata"]["name"] for node in listed["items"]}


async def test_a_deleted_pods_last_state_comes_with_its_end(direct: Client, namespace: str) -> None:
    told: list[Change[dict[str, object]]] = []
    ended = asyncio.Event()

    def note(change: Change[dict[str, object]]) -> None:
        told.append(change)
        if change.kind.value == "DELETED":
            ended.set()

    pod = {
        "metadata": {"name": "gated"},
        "spec": {"schedulingGates": [{"name": "test/never"}], "containers": [{"name": "main", "image": "none"}]},
    }
    source = Source(PODS, Query(namespace=namespace))
    reflector = Reflector(direct, source, lambda raw: json.loads(bytes(raw))["metadata"], note)
    task = asyncio.create_task(reflector.run())
    async with asyncio.timeout(30):
        await reflector.synced.wait()
        await direct.create(PODS, pod, namespace=namespace)
        await direct.patch(PODS.at("gated", namespace), {"metadata": {"annotations": {"last": "word"}}})
        await direct.delete(PODS.at("gated", namespace))
        await ended.wait()
    task.cancel()
    last = told[-1]
    assert last.seen
    assert last.new is not None
    assert last.new["annotations"] == {"last": "word"}
