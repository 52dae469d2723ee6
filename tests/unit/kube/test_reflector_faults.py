"""A reflector whose server fails, is busy or forbids: it goes on, storms nobody, and tells the truth to probes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest
from aiohttp import web

from desist.kube.liveness import Timing
from desist.kube.position import REFUSED
from tests.unit.kube.mirrored import (
    FAST,
    NO_STREAMS,
    PATH,
    bookmark,
    error,
    listed,
    mirror,
    node,
)
from tests.unit.kube.server import Handler, Server, broken, json_answer, status_answer, stream_answer


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
    async with mirror(server, FAST) as (mirrored, _):
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


def from_version_5(answer: Handler) -> Handler:
    """A server that always answers like this to a watch from version 5, where its first list was; it is at 20 now."""
    lists = [listed(5, node("a", 3)), listed(20, node("a", 12))]

    async def handle(request: web.Request) -> web.StreamResponse:
        if "sendInitialEvents" in request.query:
            return await NO_STREAMS(request)
        if "watch" not in request.query:
            return await lists.pop(0)(request)
        watch = answer if request.query["resourceVersion"] == "5" else stream_answer(then="hang")
        return await watch(request)

    return handle


@pytest.mark.parametrize(
    "answer",
    [
        stream_answer(error(500, "InternalError")),
        stream_answer(bookmark(5), error(500, "InternalError")),
        stream_answer(error(504, "Timeout")),
        stream_answer(b"<html>\n"),
        *(status_answer(code) for code in (400, 422, 500, 504)),
        stream_answer(),
    ],
)
async def test_a_version_from_which_the_server_cannot_go_on_is_left_though_it_says_no_410(
    server: Server, answer: Handler
) -> None:
    server.answers(PATH, from_version_5(answer))
    async with mirror(server) as (_, told):
        await told.wait_for("+a3", "~a3>12")


@pytest.mark.parametrize("answer", [*(status_answer(code) for code in (401, 403, 404, 429, 503)), broken])
async def test_a_server_that_is_busy_away_or_does_not_know_us_is_no_reason_to_list(
    server: Server, answer: Handler
) -> None:
    server.answers(PATH, from_version_5(answer))
    async with mirror(server) as (_, told):
        await server.wait_for(REFUSED * 2 + 2)
        assert told.words == ["+a3"]


async def test_the_probes_words_are_true(server: Server) -> None:
    now: Callable[[], float] = asyncio.get_running_loop().time
    server.answers(PATH, status_answer(503))
    async with mirror(server, Timing(watch=2, margin=0.2, backoff=0.01, backoff_max=0.05, patience=0.3)) as (
        mirrored,
        _,
    ):
        await server.wait_for(2)
        assert "not listed yet: 503" in (mirrored.behind(now()) or "")
        assert mirrored.stuck(now()) is None
        server.answers(PATH, listed(5), stream_answer(then="hang"))
        async with asyncio.timeout(20):
            await mirrored.synced.wait()
        await asyncio.sleep(0.6)  # quiet for longer than failures may last, shorter than a watch may be silent
        assert mirrored.behind(now()) is None
        server.answers(PATH, status_answer(503))
        await asyncio.sleep(3)
        assert "nothing heard for" in (mirrored.behind(now()) or "")
        assert "503" in (mirrored.behind(now()) or "")
        assert mirrored.stuck(now()) is None
        assert "stuck for" in (mirrored.stuck(now() + 60) or "")
    assert "does not run" in (mirrored.stuck(now()) or "")


@pytest.mark.parametrize("second", [status_answer(503), status_answer(410, "Expired"), listed(20, {"metadata": {}})])
async def test_a_list_that_never_comes_to_its_end_is_no_news_of_the_cluster(server: Server, second: Handler) -> None:
    now: Callable[[], float] = asyncio.get_running_loop().time
    first = json_answer({"metadata": {"resourceVersion": "20", "continue": "more"}, "items": [node("a", 12)]})

    async def pages(request: web.Request) -> web.StreamResponse:
        return await (second if "continue" in request.query else first)(request)

    server.answers(PATH, NO_STREAMS, listed(5, node("a", 3)), stream_answer(error(410, "Expired")), pages)
    async with mirror(server, Timing(watch=1, margin=0, backoff=0.01, backoff_max=0.05, patience=0.5)) as (mirrored, _):
        await server.wait_for(3)
        async with asyncio.timeout(10):
            # A machine that stands still for two seconds makes it look stuck, until it has done something again.
            while "nothing heard" not in (mirrored.behind(now()) or "") or mirrored.stuck(now()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
