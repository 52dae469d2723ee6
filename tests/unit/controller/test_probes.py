"""The probes say what is, at once, and why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from desist.controller.probes import Health, ProbeServer
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
