"""A scripted server for each test that wants one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.unit.kube.server import Server


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as running:
        yield running
