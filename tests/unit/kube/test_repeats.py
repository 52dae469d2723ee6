"""What the client repeats, and for how long it waits when it is told to."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from desist.kube.client import Client
from desist.kube.errors import (
    LONGEST_WAIT,
    ApiError,
    TooManyRequests,
    error_from,
)
from desist.kube.lanes import Allowance, Budget
from desist.kube.options import ClientOptions
from desist.kube.resource import PODS
from tests.unit.kube.server import Handler, Server, broken, json_answer, silent, status_answer

POD = PODS.at("p", "ns")
PATH = "/api/v1/namespaces/ns/pods/p"
FINE = {"metadata": {"name": "p"}}
QUICK = ClientOptions(request_timeout=0.3, patience=0)


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
        server.answers(path, fault, json_answer(FINE))
    async with Client(server.connection, ClientOptions(patience=2)) as client:
        if repeated:
            assert await CALLS[call](client) == FINE
        else:
            with pytest.raises(ApiError):
                await CALLS[call](client)
    if fault is not broken:  # aiohttp itself repeats a read on a connection that broke
        assert len(server.asked) == 1 + repeated


async def test_retry_after_is_obeyed(server: Server) -> None:
    server.answers(PATH, status_answer(429, headers={"Retry-After": "1"}), json_answer(FINE))
    async with Client(server.connection, ClientOptions(patience=2)) as client:
        began = asyncio.get_running_loop().time()
        await client.get(POD)
        assert asyncio.get_running_loop().time() - began >= 1


async def test_a_lane_that_was_told_to_wait_waits_whole_and_the_other_goes_on(server: Server) -> None:
    other = "/api/v1/namespaces/ns/pods/q"
    server.answers(PATH, status_answer(429, headers={"Retry-After": "1"}), json_answer(FINE))
    server.answers(other, json_answer(FINE))
    async with Client(server.connection, ClientOptions(patience=2)) as client:
        now = asyncio.get_running_loop().time
        first = now()
        told = asyncio.create_task(client.get(POD))
        await server.wait_for(1)
        await asyncio.sleep(0.1)
        began = now()
        await client.patch(PODS.at("q", "ns"), {}, budget=Budget.STOP)
        assert now() - began < 0.5
        await client.get(PODS.at("q", "ns"))
        assert now() - first >= 1
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
    server.answers(PATH, json_answer(FINE))
    options = ClientOptions(starts=Allowance(at_a_time=2, a_second=100, burst=100), request_timeout=30)
    async with Client(server.connection, options) as client, asyncio.timeout(10):
        starts = [asyncio.create_task(client.create(PODS, {}, namespace="ns")) for _ in range(5)]
        await server.wait_for(2)
        client._lanes[Budget.START].close_for(60)
        assert await client.patch(POD, {}, budget=Budget.STOP) == FINE
        assert [a.method for a in server.asked] == ["POST", "POST", "PATCH"]
        for task in starts:
            task.cancel()
        await asyncio.gather(*starts, return_exceptions=True)
