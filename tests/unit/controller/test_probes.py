"""The probes say what is, at once, and why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from desist.controller import probes
from desist.controller.probes import CONNECTIONS, Health, ProbeServer
from desist.controller.settings import ControllerSettings


class Setting:
    """A server, and what its checks say."""

    def __init__(self) -> None:
        self.dead: str | None = None
        self.busy: str | None = None
        self.port = 0

    async def ask(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}{path}") as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    made = Setting()
    health = Health(live=[lambda: made.dead], ready=[lambda: made.busy])
    server = ProbeServer(health, "127.0.0.1", 0)
    made.port = await server.start()
    yield made
    await server.stop()


CASES: list[tuple[str | None, str | None, Any, Any]] = [
    (None, None, (200, "ok\n"), (200, "ok\n")),
    (None, "waiting for CRDs", (200, "ok\n"), (503, "waiting for CRDs\n")),
    ("a watch is dead", None, (503, "a watch is dead\n"), (503, "a watch is dead\n")),
    ("a watch is dead", "no API", (503, "a watch is dead\n"), (503, "a watch is dead\nno API\n")),
]


@pytest.mark.parametrize(("dead", "busy", "live", "ready"), CASES)
async def test_each_probe_names_its_reasons(setting: Setting, dead: Any, busy: Any, live: Any, ready: Any) -> None:
    setting.dead, setting.busy = dead, busy
    assert await setting.ask("/livez") == live
    assert await setting.ask("/readyz") == ready


async def test_nothing_is_cached(setting: Setting) -> None:
    assert (await setting.ask("/livez"))[0] == 200
    setting.dead = "died"
    assert (await setting.ask("/livez"))[0] == 503


async def test_the_default_address_answers_ipv4_too() -> None:
    server = ProbeServer(Health(), ControllerSettings().probe_host, 0)
    asked = Setting()
    asked.port = await server.start()
    try:
        assert await asked.ask("/livez") == (200, "ok\n")
    finally:
        await server.stop()


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def opened(setting: Setting, said: bytes = b"") -> Connection:
    reader, writer = await asyncio.open_connection("127.0.0.1", setting.port)
    writer.write(said)
    await writer.drain()
    return reader, writer


async def ended(connection: Connection) -> bytes:
    """What is left to read until the server has closed it."""
    try:
        return await asyncio.wait_for(connection[0].read(), 10)
    except ConnectionError:
        return b""
    finally:
        connection[1].close()


@pytest.mark.parametrize("said", [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: a\r\n"])
async def test_a_connection_that_has_not_asked_in_time_is_closed(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(probes, "HEAD_SECONDS", 0.1)
    assert await ended(await opened(setting, said)) == b""


async def test_a_connection_that_never_takes_its_answer_is_closed(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "HEAD_SECONDS", 0.1)
    reader, writer = await opened(setting, b"GET /livez HTTP/1.1\r\n\r\n")
    await reader.readuntil(b"ok\n")
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(10):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)


async def test_hundreds_of_half_open_connections_are_not_held_and_keep_nobody_from_asking(setting: Setting) -> None:
    # Far more than are served, far fewer than files that a process may open.
    half = [await opened(setting, b"GET /livez HT") for _ in range(400)]
    assert await setting.ask("/livez") == (200, "ok\n")
    closed = [asyncio.create_task(ended(one)) for one in half[:-CONNECTIONS]]
    async with asyncio.timeout(10):
        assert set(await asyncio.gather(*closed)) == {b""}
    for _, writer in half[-CONNECTIONS:]:
        writer.close()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET /livez?verbose HTTP/1.0\r\n\r\n", 200),
        (b"GET /metrics HTTP/1.1\r\n\r\n", 404),
        (b"POST /livez HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 405),
        (b"\xff\r\n\r\n", 400),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", 400),
    ],
    ids=["query", "another path", "another method", "no HTTP", "too long"],
)
async def test_whatever_is_asked_is_answered_with_its_status(setting: Setting, said: bytes, status: int) -> None:
    reader, writer = await opened(setting, said)
    line = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    assert line.startswith(f"HTTP/1.1 {status} ".encode())
