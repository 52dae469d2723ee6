"""A mirror beside a list: what its watch owes it, and what only looks like it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from desist.kube.client import METADATA_LIST, Client
from desist.kube.errors import Forbidden
from desist.kube.liveness import Timing
from desist.kube.missed import missed
from desist.kube.reflector import Reflector
from tests.unit.kube.mirrored import NO_STREAMS, PATH, bookmark, event, listed, mirror, node
from tests.unit.kube.server import Handler, Server, broken, silent, status_answer, stream_answer

PATIENT = Timing(watch=60)
"""So that a silent watch is not opened anew in the middle of a test."""
KNOWN = (node("a", 3), node("b", 4), node("x", 5, foreign=1))
"""What the mirror was listed from; its watch has come to 9."""


def watch_or_list(watch: Handler, plain: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await (watch if "watch" in request.query else plain)(request)

    return handle


async def come_to(mirrored: Reflector[str], version: int) -> None:
    async with asyncio.timeout(20):
        while mirrored.reached < version:  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("shown", "count"),
    [
        (KNOWN, 0),
        ((node("a", 3), node("b", 4), node("x", 8, foreign=1)), 0),
        ((node("a", 2), *KNOWN[1:]), 0),
        ((node("a", 7), *KNOWN[1:]), 1),
        ((node("a", 12), *KNOWN[1:]), 1),
        (KNOWN[1:], 1),
        ((*KNOWN, node("c", 12)), 1),
        ((*KNOWN, node("c", 8)), 0),
        ((), 2),
    ],
    ids=["same", "not ours", "older", "lost", "late", "gone", "new", "new, or not ours", "nothing"],
)
async def test_what_a_list_shows_and_no_watch_has_brought_counts(
    server: Server, shown: tuple[dict[str, Any], ...], count: int
) -> None:
    server.answers(PATH, NO_STREAMS, listed(5, *KNOWN), stream_answer(bookmark(9), then="hang"))
    async with mirror(server, PATIENT) as (mirrored, told), Client(server.connection) as client:
        await told.wait_for("+a3", "+b4")
        await come_to(mirrored, 9)
        server.answers(PATH, listed(12, *shown), stream_answer(then="hang"))
        assert await missed(client, mirrored, 0) == count
        asked = next(each for each in server.asked if each.headers["Accept"] == METADATA_LIST)
        assert asked.query["labelSelector"] == "a=b"


async def test_what_is_brought_in_time_does_not_count_and_what_came_after_the_list_is_not_gone(server: Server) -> None:
    late = {"type": "MODIFIED", "object": node("a", 7)}
    young = {"type": "ADDED", "object": node("c", 14)}
    server.answers(PATH, NO_STREAMS, listed(5, *KNOWN), stream_answer(late, young, then="hang"))
    async with mirror(server, PATIENT) as (mirrored, told), Client(server.connection) as client:
        await told.wait_for("+a3", "+b4", "~a3>7", "+c14")
        server.answers(PATH, listed(12, node("a", 7), *KNOWN[1:]), stream_answer(then="hang"))
        assert await missed(client, mirrored, 0) == 0


async def test_nothing_is_concluded_where_a_list_is_due_or_cannot_be_made(server: Server) -> None:
    server.answers(PATH, NO_STREAMS, listed(5, *KNOWN), stream_answer(then="hang"))
    async with mirror(server, PATIENT) as (mirrored, told), Client(server.connection) as client:
        await told.wait_for("+a3", "+b4")
        server.answers(PATH, status_answer(403))
        with pytest.raises(Forbidden):
            await missed(client, mirrored, 0)
        server.answers(PATH, watch_or_list(silent, listed(12)))
        mirrored.anew()
        assert await missed(client, mirrored, 0) == 0


@pytest.mark.parametrize("down", [status_answer(503), status_answer(503, headers={"Retry-After": "9"}), broken])
async def test_a_watch_that_cannot_be_opened_owes_nothing_but_what_it_has_passed_by(
    server: Server, down: Handler
) -> None:
    shown = listed(12, node("a", 12), node("b", 7))
    server.answers(PATH, NO_STREAMS, listed(5, *KNOWN), stream_answer(bookmark(9)), watch_or_list(down, shown))
    async with mirror(server, PATIENT) as (mirrored, _), Client(server.connection) as client:
        await server.wait_for(4)
        assert await missed(client, mirrored, 0.1) == 1, "b alone"


async def test_a_watch_that_comes_on_but_not_so_far_yet_owes_nothing(server: Server) -> None:
    steps = [event("MODIFIED", "a", version) for version in range(6, 2000)]
    server.answers(PATH, NO_STREAMS, listed(5, *KNOWN), stream_answer(*steps), listed(2010, node("a", 2000)))
    async with mirror(server, PATIENT) as (mirrored, _), Client(server.connection) as client:
        await come_to(mirrored, 6)
        assert await missed(client, mirrored, 0.5) == 0
        assert mirrored.reached < 1999, "it was on its way"
