"""Which of the controller's calls may hold up which others, against a server that is slow or refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from desist.api.meta import ObjectMeta
from desist.api.status import CancellationStatus, WorkflowExecutionStatus
from desist.api.vocabulary import Phase
from desist.controller.clock import Clock
from desist.controller.cluster import Cluster
from desist.controller.events import EventRecorder, Notice, Subject
from desist.controller.kinds import EXECUTION, WORKFLOW
from desist.controller.status import StatusWriter
from desist.kube.client import Client
from desist.kube.errors import NoAnswer, TooManyRequests
from desist.kube.lanes import Budget
from desist.lifecycle.plan import PostMailbox
from tests.unit.controller.fakes import NOW, FakeCluster, body, record
from tests.unit.kube.server import Handler, Server, json_answer, silent, status_answer

EVENTS = "/apis/events.k8s.io/v1/namespaces/shop/events"
EXECUTIONS = "/apis/desist.dev/v1alpha1/namespaces/shop/workflowexecutions"
WORKFLOWS = "/apis/desist.dev/v1alpha1/namespaces/shop/workflows"
PODS = "/api/v1/namespaces/shop/pods"
OBJECT = {"metadata": {"name": "x", "uid": "u", "resourceVersion": "2"}}
BUSY = status_answer(429, "TooManyRequests", {"Retry-After": "30"})
METADATA = ObjectMeta(name="x", namespace="shop", uid="u", resource_version="1")

Call = Callable[[Cluster], Awaitable[object]]


def read(cluster: Cluster) -> Awaitable[object]:
    return cluster.get(EXECUTION, "shop", "x")


def post(cluster: Cluster) -> Awaitable[object]:
    return cluster.post_mailbox("shop", PostMailbox("x", "u", "1", "{}"))


def compare(cluster: Cluster) -> Awaitable[object]:
    return cluster.list_metadata(WORKFLOW)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as running:
        for path in (f"{EXECUTIONS}/x", f"{WORKFLOWS}/x", f"{EXECUTIONS}/x/status", f"{PODS}/x"):
            running.answers(path, json_answer(OBJECT))
        running.answers(
            "/apis/desist.dev/v1alpha1/workflows", json_answer({"metadata": {"resourceVersion": "5"}, "items": []})
        )
        yield running


@pytest.mark.parametrize("answer", [silent, BUSY], ids=["slow", "limited"])
@pytest.mark.parametrize("call", [read, post, compare])
async def test_events_that_do_not_get_through_hold_up_nothing(server: Server, answer: Handler, call: Call) -> None:
    server.answers(EVENTS, answer)
    async with Client(server.connection) as client, asyncio.timeout(10):
        cluster = Cluster(client, "me", Clock())
        recorder = EventRecorder(cluster.create_event, lambda: NOW)
        for number in range(40):
            recorder.record(Subject(WORKFLOW, METADATA), Notice("CancelRequested", str(number)))
        await server.wait_for(1)
        await asyncio.sleep(0.1)
        try:
            await call(cluster)
        finally:
            await recorder.stop(0)


@pytest.mark.parametrize("call", [read, post])
async def test_a_status_that_no_stop_waits_for_holds_up_no_stop(server: Server, call: Call) -> None:
    server.answers(f"{WORKFLOWS}/x/status", BUSY)
    async with Client(server.connection) as client, asyncio.timeout(10):
        cluster = Cluster(client, "me", Clock())
        with pytest.raises(TooManyRequests):
            await cluster.replace_status(WORKFLOW, METADATA, {}, Budget.START)
        await call(cluster)
        await cluster.replace_status(EXECUTION, METADATA, {}, Budget.STOP)


@pytest.mark.parametrize("answer", [silent, BUSY], ids=["slow", "limited"])
async def test_pods_whose_admission_hangs_or_is_limited_hold_up_no_acceptance(server: Server, answer: Handler) -> None:
    """What is pushed to a pod waits for the acceptance alone."""
    server.answers(f"{PODS}/x", answer)
    async with Client(server.connection) as client, asyncio.timeout(10):
        cluster = Cluster(client, "me", Clock())
        postings = [asyncio.ensure_future(post(cluster)) for _ in range(60)]
        await server.wait_for(40 if answer is silent else 1)
        await cluster.replace_status(EXECUTION, METADATA, {}, Budget.STOP)
        await read(cluster)
        for each in postings:
            each.cancel()
        await asyncio.gather(*postings, return_exceptions=True)


async def test_an_end_waits_for_no_start(server: Server) -> None:
    server.answers(f"{WORKFLOWS}/x/status", BUSY)
    async with Client(server.connection) as client, asyncio.timeout(10):
        cluster = Cluster(client, "me", Clock())
        with pytest.raises(TooManyRequests):
            await cluster.replace_status(WORKFLOW, METADATA, {}, Budget.START)
        await cluster.list_metadata(WORKFLOW, budget=Budget.STOP)


@pytest.mark.parametrize(("stop", "budget"), [(CancellationStatus(), Budget.STOP), (None, Budget.START)])
async def test_a_reconcile_writes_out_of_the_stops_budget_only_where_there_is_a_stop(
    stop: CancellationStatus | None, budget: Budget
) -> None:
    fake = FakeCluster(objects={"order-1": body()})
    status = WorkflowExecutionStatus(phase=Phase.RUNNING, cancellation=stop)
    await StatusWriter(EXECUTION, fake.cluster, fake.record_event, lambda: NOW).write(record(), status)
    assert fake.budgets == [budget]


async def test_a_status_write_that_a_stop_may_wait_behind_has_a_time_of_its_own(server: Server) -> None:
    server.answers(f"{EXECUTIONS}/x/status", silent)
    async with Client(server.connection) as client, asyncio.timeout(10):
        with pytest.raises(NoAnswer):
            await Cluster(client, "me", Clock()).replace_status(EXECUTION, METADATA, {}, answer_within=0.1)
