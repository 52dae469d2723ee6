"""The reflector against a scripted server: each way in which a list or a watch can go wrong, and `diff` by a table."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from desist.kube.client import Client, ClientOptions
from desist.kube.listing import Change, ChangeKind, Entry, diff
from desist.kube.reflector import Reflector, Source, Timing
from desist.kube.resource import NODES, Query
from desist.kube.wire import Identity
from tests.unit.kube.server import Handler, Server, broken, json_answer, silent, status_answer, stream_answer

PATH = "/api/v1/nodes"
FAST = Timing(watch=1, margin=-0.5, backoff=0.01, backoff_max=0.05, patience=0.2)
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
                async with asyncio.timeout(5):
                    await self._news.wait_for(lambda: len(self.words) >= len(words))
            except TimeoutError:
                pass
        assert self.words == list(words)


@asynccontextmanager
async def mirror(server: Server, timing: Timing = FAST) -> AsyncIterator[tuple[Reflector[str], Told]]:
    told = Told()
    async with Client(server.connection, ClientOptions(patience=0, request_timeout=0.5)) as client:
        reflector = Reflector(client, Source(NODES, Query(labels="a=b")), parse, told, timing)
        task = asyncio.create_task(reflector.run())
        yield reflector, told
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


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
    async with mirror(server) as (_, told):
        await told.wait_for("+a3")
    assert "sendInitialEvents" not in server.asked[1].query


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
    async with mirror(server) as (_, told):
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
    async with mirror(server) as (_, told):
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
    async with mirror(server) as (_, told):
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
        reflector = Reflector(client, Source(NODES), parse, fails, FAST)
        task = asyncio.create_task(reflector.run())
        async with asyncio.timeout(5):
            await reflector.synced.wait()
        task.cancel()
    assert seen == ["a", "b"]


async def test_a_missing_permission_is_logged_with_what_to_grant(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers(PATH, status_answer(403, "Forbidden"), listed(5, node("a", 3)), stream_answer(then="hang"))
    with caplog.at_level(logging.ERROR):
        async with mirror(server) as (_, told):
            await told.wait_for("+a3")
    assert "grant get, list and watch on 'nodes' in API group '': told 403" in caplog.text


@pytest.mark.parametrize(
    "script",
    [
        (NO_STREAMS, listed(5), stream_answer()),
        (NO_STREAMS, listed(5), broken),
        (status_answer(503),),
    ],
)
async def test_a_server_that_fails_at_once_again_and_again_is_not_stormed(
    server: Server, script: tuple[Handler, ...]
) -> None:
    server.answers(PATH, *script)
    async with mirror(server, Timing(backoff=0.1, backoff_max=0.5)):
        await asyncio.sleep(1)
    assert 3 <= len(server.asked) <= 14


async def test_a_busy_server_is_asked_again_when_it_said(server: Server) -> None:
    server.answers(
        PATH, status_answer(429, headers={"Retry-After": "1"}), listed(5, node("a", 3)), stream_answer(then="hang")
    )
    async with mirror(server) as (_, told):
        await asyncio.sleep(0.6)
        assert len(server.asked) == 1
        await told.wait_for("+a3")


async def test_a_wait_that_the_server_asked_for_does_not_count_as_stuck(server: Server) -> None:
    now: Callable[[], float] = asyncio.get_running_loop().time
    server.answers(PATH, status_answer(503, headers={"Retry-After": "20"}))
    async with mirror(server) as (mirrored, _):
        await server.wait_for(1)
        await asyncio.sleep(0.1)
        assert mirrored.stuck(now() + 19) is None
        assert "stuck for" in (mirrored.stuck(now() + 25) or "")


async def test_a_server_that_says_410_again_and_again_is_not_stormed(server: Server) -> None:
    turn = (listed(5), status_answer(410, "Expired"))
    server.answers(PATH, NO_STREAMS, *turn * 100)
    async with mirror(server, Timing(backoff=0.1, backoff_max=0.5)):
        await asyncio.sleep(1)
    assert 3 <= len(server.asked) <= 20


async def test_the_probes_words_are_true(server: Server) -> None:
    now: Callable[[], float] = asyncio.get_running_loop().time
    server.answers(PATH, status_answer(503))
    async with mirror(server, Timing(watch=1, margin=0.2, backoff=0.01, backoff_max=0.05, patience=0.3)) as (
        mirrored,
        _,
    ):
        await server.wait_for(2)
        assert "not listed yet: 503" in (mirrored.behind(now()) or "")
        assert mirrored.stuck(now()) is None
        server.answers(PATH, listed(5), stream_answer(then="hang"))
        async with asyncio.timeout(5):
            await mirrored.synced.wait()
        await asyncio.sleep(0.6)  # quiet for longer than failures may last, shorter than a watch may be silent
        assert mirrored.behind(now()) is None
        server.answers(PATH, status_answer(503))
        await asyncio.sleep(2)
        assert "nothing heard for" in (mirrored.behind(now()) or "")
        assert "503" in (mirrored.behind(now()) or "")
        assert mirrored.stuck(now()) is None
        assert "stuck for" in (mirrored.stuck(now() + 60) or "")
    assert "does not run" in (mirrored.stuck(now()) or "")
