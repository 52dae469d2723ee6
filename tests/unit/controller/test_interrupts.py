"""A stop waits for no call of its own execution that was not sent yet; one that was sent is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from desist.api.base import Opaque
from desist.api.meta import ATTEMPT_LABEL, RUN_ID_LABEL
from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import Phase
from desist.controller.clock import Clock
from desist.controller.cluster import Cluster
from desist.controller.creates import Creates
from desist.controller.interrupts import Overtaken
from desist.controller.kinds import EXECUTION, Key
from desist.controller.status import StatusWriter
from desist.kube.client import Client
from desist.kube.errors import TooManyRequests
from desist.lifecycle.observed.questions import Answer
from desist.lifecycle.settings import Settings
from tests.unit.controller.fakes import NOW, body, record
from tests.unit.kube.server import Server, json_answer, status_answer

PODS = "/api/v1/namespaces/shop/pods"
STATUS = "/apis/desist.dev/v1alpha1/namespaces/shop/workflowexecutions/order-1/status"
BUSY = status_answer(429, "TooManyRequests", {"Retry-After": "30"})
LABELS = {RUN_ID_LABEL: "R", ATTEMPT_LABEL: "1"}
POD = Opaque.of({"metadata": {"name": "p", "labels": LABELS}, "spec": {"containers": []}})
KEY = Key(EXECUTION.name, "wfx")


class Calls:
    """What a reconcile may wait for among the starts."""

    def __init__(self, client: Client) -> None:
        cluster = Cluster(client, "me", Clock())
        self.creates = Creates(cluster, Settings(), 4, lambda key: None)
        self.interrupts = self.creates.interrupts
        self._status = StatusWriter(EXECUTION, cluster, lambda *_: None, lambda: NOW, interrupts=self.interrupts)

    async def create(self) -> Answer:
        return (await self.creates.create(KEY, record().metadata, "p", POD)).answer

    async def write(self) -> object:
        return (await self._status.write(record(), WorkflowExecutionStatus(phase=Phase.RUNNING))).record


Call = Callable[[Calls], Awaitable[object]]
CALLS = pytest.mark.parametrize("call", [Calls.create, Calls.write], ids=["create", "status"])


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as running:
        yield running


async def begun(call: Awaitable[object]) -> asyncio.Task[object]:
    """The call, as far as it gets without an answer."""
    task: asyncio.Task[object] = asyncio.ensure_future(call)
    for _ in range(5):
        await asyncio.sleep(0)
    return task


@CALLS
async def test_what_waits_behind_a_429_of_the_starts_is_ended_by_a_stop_and_never_sent(
    server: Server, call: Call
) -> None:
    server.answers(PODS, BUSY)
    server.answers(STATUS, BUSY)
    async with Client(server.connection) as client, asyncio.timeout(10):
        calls = Calls(client)
        with pytest.raises(TooManyRequests):
            await call(calls)
        waiting = await begun(call(calls))
        calls.interrupts.interrupt(KEY)
        with pytest.raises(Overtaken):
            await waiting
        assert len(server.asked) == 1


@CALLS
async def test_what_was_sent_is_not_ended_by_a_stop(server: Server, call: Call) -> None:
    answer = asyncio.Event()

    async def late(request: web.Request) -> web.StreamResponse:
        await answer.wait()
        made = {**body(), "metadata": {**body()["metadata"], "resourceVersion": "8"}}
        return await json_answer({**made, "spec": {**made["spec"], "containers": []}})(request)

    server.answers(PODS, late)
    server.answers(STATUS, late)
    async with Client(server.connection) as client, asyncio.timeout(10):
        calls = Calls(client)
        waiting = await begun(call(calls))
        await server.wait_for(1)
        calls.interrupts.interrupt(KEY)
        answer.set()
        assert await waiting


async def test_what_a_429_has_answered_was_not_carried_out(server: Server) -> None:
    server.answers(PODS, status_answer(429, "TooManyRequests", {"Retry-After": "1"}))
    async with Client(server.connection) as client, asyncio.timeout(10):
        calls = Calls(client)
        waiting = asyncio.create_task(calls.create())
        await server.wait_for(1)
        while not waiting.done():
            calls.interrupts.interrupt(KEY)
            await asyncio.sleep(0.01)
        with pytest.raises(Overtaken):
            await waiting
        assert len(server.asked) == 1
