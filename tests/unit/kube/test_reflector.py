"""The reflector against a scripted server: each way in which a list or a watch can go wrong, and `diff` by a table."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from desist.kube.client import Client
from desist.kube.listing import Change, Entry, diff
from desist.kube.liveness import Timing
from desist.kube.reflector import Reflector
from desist.kube.resource import NODES, Source
from desist.kube.wire import Identity
from tests.unit.kube.mirrored import (
    CALM,
    ENDED,
    FAST,
    NO_STREAMS,
    PATH,
    Told,
    bookmark,
    error,
    event,
    listed,
    mirror,
    node,
    parse,
)
from tests.unit.kube.server import Handler, Server, broken, json_answer, late, silent, status_answer, stream_answer


@pytest.mark.parametrize(
    ("kept", "found", "words"),
    [
        ({}, {}, []),
        ({}, {"a": 1}, ["+a1"]),
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["~a1>2"]),
        ({"a": 1}, {}, ["-a?"]),
        ({"a": 1, "b": 1}, {"c": 3, "b": 2}, ["-a?", "+c3", "~b1>2"]),
    ],
)
async def test_a_diff_says_what_makes_the_store_what_was_listed(
    kept: dict[str, int], found: dict[str, int], words: list[str]
) -> None:
    def entries(versions: dict[str, int]) -> dict[str, Entry[str]]:
        return {uid: Entry(Identity("n", uid, "", str(v)), str(v)) for uid, v in versions.items()}

    told = Told()
    for change in diff(entries(kept), entries(found)):
        assert not change.seen
        told(change)
    assert told.words == words


async def test_it_lists_once_and_follows_the_watch_from_there(server: Server) -> None:
    server.answers(
        PATH,
        NO_STREAMS,
        listed(5, node("a", 3)),
        stream_answer(event("MODIFIED", "a", 6), event("ADDED", "b", 7), event("DELETED", "a", 8), then="hang"),
    )
    async with mirror(server) as (reflector, told):
        await told.wait_for("+a3", "~a3>6", "+b7", "-a8")
        assert {uid: entry.record for uid, entry in reflector.store.items()} == {"b": "7"}
        assert reflector.synced.is_set()
    assert server.asked[2].query["resourceVersion"] == "5"
    assert server.asked[2].query["allowWatchBookmarks"] == "true"
    assert {asked.query["labelSelector"] for asked in server.asked} == {"a=b"}


async def test_a_list_is_streamed_where_the_server_can(server: Server) -> None:
    server.answers(
        PATH,
        stream_answer(event("ADDED", "a", 3), event("ADDED", "b", 4), ENDED, event("DELETED", "a", 11), then="hang"),
    )
    async with mirror(server) as (reflector, told):
        await told.wait_for("+a3", "+b4", "-a11")
        assert reflector.synced.is_set()
        assert reflector.streamed
    assert server.asked[0].query["sendInitialEvents"] == "true"
    assert "resourceVersion" not in server.asked[0].query


async def test_nothing_is_told_of_a_streamed_list_that_breaks_off_and_the_next_one_is_plain(server: Server) -> None:
    server.answers(
        PATH,
        stream_answer(event("ADDED", "a", 3), then="break"),
        listed(5, node("a", 3), node("b", 4)),
        stream_answer(then="hang"),
    )
    async with mirror(server) as (reflector, told):
        await told.wait_for("+a3", "+b4")
        assert not reflector.streamed


async def test_a_server_that_never_ends_the_streamed_list_gets_a_plain_one(server: Server) -> None:
    server.answers(PATH, stream_answer(event("ADDED", "a", 3), then="hang"), listed(5, node("a", 3)), silent)
    async with mirror(server, FAST) as (_, told):
        await told.wait_for("+a3")
    assert "sendInitialEvents" not in server.asked[1].query


@pytest.mark.parametrize("then", ["hang", "end"])
async def test_a_server_that_has_never_ended_a_streamed_list_is_asked_for_no_second_one(
    server: Server, then: str
) -> None:
    """It would cost each later list as long as a watch lasts, in which nothing is told."""

    blank = [b"\n"] * 150  # each takes a hundredth of a second
    stream = stream_answer(*blank, then="end") if then == "end" else stream_answer(then="hang")

    async def endless(request: web.Request) -> web.StreamResponse:
        if "sendInitialEvents" in request.query:
            return await stream(request)
        return await (status_answer(410) if "watch" in request.query else lists.pop(0))(request)

    lists = [listed(5, node("a", 3)), listed(9, node("a", 7)), *[listed(9, node("a", 7))] * 1000]
    server.answers(PATH, endless)
    async with mirror(server, Timing(watch=1, margin=0.2, backoff=0.01, backoff_max=0.05)) as (_, told):
        await told.wait_for("+a3", "~a3>7")
        await server.wait_for(10)
    assert sum("sendInitialEvents" in asked.query for asked in server.asked) == 1


@pytest.mark.parametrize(
    "too_old",
    [stream_answer(error(410, "Expired"), then="hang"), status_answer(410, "Expired")],
    ids=["event", "status"],
)
async def test_after_a_410_what_was_deleted_in_the_gap_is_found(server: Server, too_old: Handler) -> None:
    server.answers(
        PATH,
        NO_STREAMS,
        listed(5, node("a", 3), node("b", 4), node("c", 5)),
        too_old,
        listed(20, node("b", 12), node("c", 5), node("d", 15)),
        stream_answer(then="hang"),
    )
    async with mirror(server) as (reflector, told):
        await told.wait_for("+a3", "+b4", "+c5", "-a?", "~b4>12", "+d15")
        assert set(reflector.store) == {"b", "c", "d"}


@pytest.mark.parametrize("end", ["end", "break", "hang"])
@pytest.mark.parametrize(("last", "version"), [(bookmark(9), "9"), (b"\n", "6")], ids=["bookmark", "event"])
async def test_a_watch_that_ends_breaks_or_goes_silent_is_continued_where_it_was(
    server: Server, end: str, last: dict[str, Any] | bytes, version: str
) -> None:
    server.answers(
        PATH,
        NO_STREAMS,
        listed(5, node("a", 3)),
        stream_answer(event("MODIFIED", "a", 6), last, b'{"type":"MODI', then=end),
        stream_answer(event("MODIFIED", "a", 12), then="hang"),
    )
    async with mirror(server, FAST if end == "hang" else CALM) as (_, told):
        await told.wait_for("+a3", "~a3>6", "~a6>12")
    assert server.asked[3].query["resourceVersion"] == version


@pytest.mark.parametrize(
    "fault",
    [
        broken,
        silent,
        *(status_answer(code) for code in (400, 401, 403, 404, 429, 500, 503)),
        json_answer({"no": "list"}),
        json_answer([]),
    ],
)
async def test_no_answer_to_a_list_ends_it(server: Server, fault: Handler) -> None:
    server.answers(PATH, NO_STREAMS, fault, fault, listed(5, node("a", 3)), stream_answer(then="hang"))
    async with mirror(server, FAST if fault is silent else CALM) as (_, told):
        await told.wait_for("+a3")


@pytest.mark.parametrize(
    "fault",
    [
        broken,
        silent,
        *(status_answer(code) for code in (401, 403, 404, 429, 500, 503)),
        stream_answer(b"nonsense\n"),
        stream_answer(error(500, "InternalError")),
        stream_answer({"type": "ADDED"}),
        stream_answer({"type": "ADDED", "object": {"metadata": {}}}),
    ],
)
async def test_no_answer_to_a_watch_ends_it(server: Server, fault: Handler) -> None:
    server.answers(
        PATH,
        NO_STREAMS,
        listed(5, node("a", 3)),
        fault,
        stream_answer(event("MODIFIED", "a", 6), then="hang"),
        listed(6, node("a", 6)),
        stream_answer(then="hang"),
    )
    async with mirror(server, FAST) as (_, told):
        await told.wait_for("+a3", "~a3>6")


async def test_objects_that_are_not_ours_or_not_readable_stop_nobody(server: Server) -> None:
    server.answers(
        PATH,
        NO_STREAMS,
        listed(5, node("a", 3), node("x", 4, foreign=1), node("y", 5, bad=1)),
        stream_answer(
            event("MODIFIED", "x", 6, foreign=1),
            event("MODIFIED", "y", 7, bad=1),
            event("MODIFIED", "a", 8, bad=1),
            event("DELETED", "x", 9, foreign=1),
            event("MODIFIED", "a", 10),
            then="hang",
        ),
    )
    async with mirror(server) as (_, told):
        await told.wait_for("+a3", "~a3>3", "~a3>10")


async def test_an_object_that_is_not_ours_any_more_is_gone_without_a_seen_end(server: Server) -> None:
    server.answers(
        PATH, NO_STREAMS, listed(5, node("a", 3)), stream_answer(event("MODIFIED", "a", 6, foreign=1), then="hang")
    )
    async with mirror(server) as (reflector, told):
        await told.wait_for("+a3", "-a?")
        assert not reflector.store


async def test_a_handler_that_fails_stops_nothing(server: Server) -> None:
    server.answers(PATH, NO_STREAMS, listed(5, node("a", 3), node("b", 4)), stream_answer(then="hang"))
    seen: list[str] = []

    def fails(change: Change[str]) -> None:
        seen.append(change.identity.uid)
        raise RuntimeError("a bug")

    async with Client(server.connection) as client:
        reflector = Reflector(client, Source(NODES), parse, fails, CALM)
        task = asyncio.create_task(reflector.run())
        async with asyncio.timeout(20):
            await reflector.synced.wait()
        task.cancel()
    assert seen == ["a", "b"]


async def test_asked_to_list_anew_it_leaves_a_silent_watch_and_tells_of_everything(server: Server) -> None:
    server.answers(
        PATH,
        NO_STREAMS,
        listed(20, node("a", 3), node("b", 18), node("c", 19)),
        stream_answer(then="hang"),
        listed(7, node("a", 3), node("b", 6)),
        stream_answer(event("MODIFIED", "b", 8), then="hang"),
    )
    async with mirror(server, Timing(watch=60)) as (reflector, told):
        await told.wait_for("+a3", "+b18", "+c19")
        await server.wait_for(3)
        reflector.anew()
        reflector.anew()
        await told.wait_for("+a3", "+b18", "+c19", "-c?", "~a3>3", "~b18>6", "~b6>8")
        assert reflector.stuck(asyncio.get_running_loop().time()) is None


async def test_asked_to_list_anew_while_it_waits_after_a_failure_it_lists_when_it_is_due(server: Server) -> None:
    server.answers(PATH, NO_STREAMS, listed(20, node("a", 19)), status_answer(503), listed(7, node("a", 6)), silent)
    async with mirror(server) as (reflector, told):
        await told.wait_for("+a19")
        await server.wait_for(3)
        reflector.anew()
        await told.wait_for("+a19", "~a19>6")


async def test_anew_counts_though_the_watch_brings_something_more_and_ends_before_it_is_cut(server: Server) -> None:
    events = b"".join(json.dumps(event("MODIFIED", "a", version)).encode() + b"\n" for version in (6, 7))

    async def at_once(_: web.Request) -> web.StreamResponse:
        return web.Response(body=events)

    server.answers(PATH, NO_STREAMS, listed(5, node("a", 3)), at_once, listed(9, node("a", 7), node("b", 2)), silent)
    told = Told()

    def tell(change: Change[str]) -> None:
        told(change)
        if change.new == "6":
            reflector.anew()

    async with Client(server.connection) as client:
        reflector = Reflector(client, Source(NODES), parse, tell, CALM)
        task = asyncio.create_task(reflector.run())
        await server.wait_for(5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert told.words == ["+a3", "~a3>6", "~a6>7", "+b2"]


async def test_asked_to_list_again_it_tells_what_is_new_and_lets_a_list_that_is_under_way_come_to_its_end(
    server: Server,
) -> None:
    server.answers(
        PATH,
        NO_STREAMS,
        listed(20, node("a", 3), node("b", 4), node("c", 5)),
        stream_answer(bookmark(30), then="hang"),
        late(0.5, listed(31, node("a", 3), node("b", 25))),
        silent,
    )
    async with mirror(server, Timing(watch=60)) as (reflector, told):
        await server.wait_for(3)
        reflector.relist()
        await server.wait_for(4)
        reflector.relist()
        await told.wait_for("+a3", "+b4", "+c5", "-c?", "~b4>25")
        await server.wait_for(5)
    assert len(server.asked) == 5
