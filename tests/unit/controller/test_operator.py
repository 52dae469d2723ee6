"""The start: what it waits for is what /readyz says, and what it lists is noted as it comes."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from desist.controller.clock import Clock
from desist.controller.cluster import Cluster
from desist.controller.kinds import EXECUTION, WORKFLOW
from desist.controller.operator import Operator
from desist.controller.settings import ControllerSettings
from desist.kube.client import Client
from desist.kube.errors import Gone
from tests.unit.controller import fakes
from tests.unit.kube.server import (
    Handler,
    Server,
    json_answer,
    page_answer,
    page_not_found,
    silent,
    status_answer,
    stream_answer,
)

OURS = "/apis/desist.dev/v1alpha1"
EXECUTIONS, WORKFLOWS, OPERATIONS = (f"{OURS}/{kind}" for kind in ("workflowexecutions", "workflows", "operations"))
SERVED = json_answer({"resources": [{"name": name} for name in ("workflows", "workflowexecutions", "operations")]})
EMPTY = json_answer({"metadata": {"resourceVersion": "5"}, "items": []})
BOOKMARK = {"metadata": {"resourceVersion": "5", "annotations": {"k8s.io/initial-events-end": "true"}}}
STREAM = stream_answer({"type": "BOOKMARK", "object": BOOKMARK}, then="hang")
PLAIN = (status_answer(422, "Invalid"), EMPTY, stream_answer(then="hang"))


def named(name: str) -> dict[str, Any]:
    """An execution."""
    return fakes.body(metadata={**fakes.body()["metadata"], "name": name, "uid": name})


def workflow(name: str) -> dict[str, Any]:
    return {"metadata": named(name)["metadata"], "spec": {"template": {"spec": {"containers": [{"image": "i"}]}}}}


def page(more: str, *objects: dict[str, Any]) -> Handler:
    return json_answer({"metadata": {"resourceVersion": "9", "continue": more}, "items": list(objects)})


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Server]:
    async with Server() as running:
        for path, answer in ((OURS, SERVED), (WORKFLOWS, EMPTY), (EXECUTIONS, STREAM)):
            running.answers(path, answer)
        running.answers("/version", json_answer({"major": "1", "minor": "36"}))
        running.answers("/api/v1/pods", STREAM)
        running.answers("/api/v1/nodes", STREAM)
        running.answers(OPERATIONS, STREAM)
        names = {"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}]}
        config = {"clusters": [{"name": "x", "cluster": {"server": running.url}}], "users": [{"name": "x", "user": {}}]}
        (tmp_path / "config").write_text(json.dumps({"kind": "Config", **names, **config}))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        yield running


def operator(**more: Any) -> Operator:
    return Operator(ControllerSettings(probe_host="127.0.0.1", probe_port=0, **more))


async def waits_for(made: Operator, words: str) -> None:
    """Until /readyz says so."""
    async with asyncio.timeout(10):
        while not any(words in reason for reason in made.life.health.unready()):  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.01)


async def ready(made: Operator) -> None:
    """Until /readyz has nothing to say."""
    async with asyncio.timeout(10):
        while made.life.health.unready():  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.01)


async def test_readyz_names_what_the_start_waits_for_at_that_moment(server: Server) -> None:
    server.answers(OURS, page_not_found, SERVED)
    server.answers(WORKFLOWS, status_answer(403), EMPTY)
    server.answers(EXECUTIONS, silent)
    made = operator()
    start = asyncio.create_task(made.life.start())
    await waits_for(made, "CRDs of desist.dev/v1alpha1 are not installed")
    await waits_for(made, "cannot list Workflow: 403")
    await waits_for(made, "the caches are not filled yet")
    assert not made.life.health.dead()
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)


@pytest.mark.parametrize("path", [OURS, "/version"])
async def test_the_start_waits_while_something_else_answers_for_the_api_server(server: Server, path: str) -> None:
    right = SERVED if path == OURS else json_answer({"major": "1", "minor": "36"})
    server.answers(path, page_answer(200), json_answer({}), right)
    made = operator()
    async with asyncio.timeout(10):
        await made.life.start()
    await made.life.stop()


@pytest.mark.parametrize(("lists", "streams"), [((STREAM,), True), (PLAIN, False)], ids=["streamed", "plain"])
async def test_kopf_is_told_whether_the_server_streams_lists(
    server: Server, lists: tuple[Handler, ...], streams: bool
) -> None:
    server.answers("/api/v1/nodes", *lists)
    made = operator()
    async with asyncio.timeout(10):
        await made.life.start()
    assert made.streams is streams
    await ready(made)
    await made.life.stop()


async def test_a_list_that_breaks_off_is_begun_again_and_loses_nothing(server: Server) -> None:
    a, b, c = map(workflow, "abc")
    server.answers(WORKFLOWS, page("t", a, b), status_answer(410, "Expired"), page("t", a, b), page("", c))
    made = operator()
    async with asyncio.timeout(10):
        await made.life.start()
    assert {record.metadata.name for record in made.intake.table[WORKFLOW.name].store} == {"a", "b", "c"}
    assert made.life.health.unready() == ["the watch of Workflow has not delivered anything yet"]
    made.event(WORKFLOW, None, a)
    assert made.life.health.unready() == []
    await made.life.stop()


async def test_it_is_not_ready_before_the_watch_of_executions_is_let_in(server: Server) -> None:
    server.answers(EXECUTIONS, status_answer(422, "Invalid"), page("", named("a")), silent)
    made = operator()
    async with asyncio.timeout(10):
        await made.life.start()
    await server.wait_for(9)  # each of the others one, executions three: the last is the watch that hangs
    await waits_for(made, "watch of workflowexecutions.desist.dev: not open yet")
    server.answers(EXECUTIONS, page("", named("a")), stream_answer(then="hang"))
    made._watches.relist(EXECUTION)
    await ready(made)
    await made.life.stop()


async def test_after_a_restore_that_no_record_tells_of_all_is_listed_anew(server: Server) -> None:
    """The watches had come to 1200, by bookmarks alone; the cluster's store was restored at 1000."""
    ahead = {"metadata": {"resourceVersion": "1200"}}
    for path in (EXECUTIONS, OPERATIONS, "/api/v1/pods", "/api/v1/nodes"):
        opened = stream_answer(
            {"type": "BOOKMARK", "object": BOOKMARK}, {"type": "BOOKMARK", "object": ahead}, then="hang"
        )
        server.answers(path, opened, STREAM)
    made = operator()
    async with asyncio.timeout(10):
        await made.life.start()
        while made._watches.reached(EXECUTION) < 1200:  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.01)
        server.answers(EXECUTIONS, json_answer({"metadata": {"resourceVersion": "1000"}, "items": []}), STREAM)
        await made._resync.compare(made.intake.table[EXECUTION.name])
        while sum("watch" in asked.query for asked in server.asked) < 8:  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.01)
    listed = [asked.path for asked in server.asked if "sendInitialEvents" in asked.query]
    assert sorted(listed) == sorted([EXECUTIONS, OPERATIONS, "/api/v1/pods", "/api/v1/nodes"] * 2)
    await made.life.stop()


@pytest.mark.parametrize("pods", [EMPTY, status_answer(403)], ids=["pods listed", "pods forbidden"])
async def test_a_watch_that_has_lost_an_event_of_a_node_is_left_for_a_list(
    server: Server, monkeypatch: pytest.MonkeyPatch, pods: Handler
) -> None:
    """The API server's cache, or the store behind it, has lost it; by bookmarks the watch went on."""
    nodes = [{"metadata": {"name": "n", "uid": "n", "resourceVersion": version}} for version in ("3", "4")]
    ended = {"type": "BOOKMARK", "object": BOOKMARK}
    streams = [stream_answer({"type": "ADDED", "object": node}, ended, then="hang") for node in nodes]
    shown = json_answer({"metadata": {"resourceVersion": "5"}, "items": [nodes[1]]})

    def answer(stream: Handler, plain: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await (stream if "watch" in request.query else plain)(request)

        return handle

    monkeypatch.setattr("desist.controller.resync.PATIENCE", 0.01)
    for path, plain in ((EXECUTIONS, EMPTY), (OPERATIONS, EMPTY), ("/api/v1/pods", pods)):
        server.answers(path, answer(STREAM, plain))
    server.answers("/api/v1/nodes", streams[0], answer(streams[1], shown))
    made = operator(resync=0.01)
    mirrored = made._watches.reflectors["nodes"]
    async with asyncio.timeout(10):
        await made.life.start()
        while mirrored.store["n"].identity.resource_version != "4":  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.01)
    await made.life.stop()


async def test_objects_are_given_before_the_next_page_is_asked_for(server: Server) -> None:
    server.answers(EXECUTIONS, page("t", named("a"), named("b")), page("", named("c")))
    async with Client(server.connection) as client:
        listed = Cluster(client, "me", Clock()).list(EXECUTION)
        seen = [((await anext(listed))["metadata"]["name"], len(server.asked)) for _ in range(3)]
    assert seen == [("a", 1), ("b", 1), ("c", 2)]


async def test_a_list_of_metadata_is_whole_or_none(server: Server) -> None:
    first, second = page("t", named("a")), page("", named("b"))
    server.answers(EXECUTIONS, first, second, first, status_answer(410, "Expired"))
    async with Client(server.connection) as client:
        cluster = Cluster(client, "me", Clock())
        listed, version = await cluster.list_metadata(EXECUTION)
        assert (set(listed), version) == ({"a", "b"}, 9)
        with pytest.raises(Gone):
            await cluster.list_metadata(EXECUTION)


async def test_no_reconcile_begins_before_operations_are_listed(server: Server) -> None:
    told = asyncio.Event()

    async def after_a_while(request: web.Request) -> web.StreamResponse:
        await told.wait()
        return await STREAM(request)

    server.answers(OPERATIONS, after_a_while)
    listed = stream_answer(
        {"type": "ADDED", "object": named("a")}, {"type": "BOOKMARK", "object": BOOKMARK}, then="hang"
    )
    server.answers(EXECUTIONS, listed)
    made = operator()
    start = asyncio.create_task(made.life.start())
    await waits_for(made, "watch of operations.desist.dev: not listed yet")
    await server.wait_for(7)
    assert not [asked for asked in server.asked if asked.method != "GET"]
    assert not start.done()
    told.set()
    async with asyncio.timeout(10):
        await start
    assert not made.life.health.dead()
    await made.life.stop()


SECRET = "/api/v1/namespaces/desist-system/secrets/desist-push"
EMPTY_SECRET = {"metadata": {"name": "desist-push", "uid": "s", "resourceVersion": "41"}, "type": "Opaque"}


async def test_the_first_start_writes_a_push_key_under_the_version_that_it_read(server: Server) -> None:
    changed = {**EMPTY_SECRET, "data": {}}
    server.answers(SECRET, json_answer(EMPTY_SECRET), json_answer(changed))
    made = operator(push_secret="desist-system/desist-push")
    async with asyncio.timeout(10):
        await made.life.start()
    (_, patch) = (asked for asked in server.asked if asked.path == SECRET)
    assert (patch.method, patch.headers["Content-Type"]) == ("PATCH", "application/merge-patch+json")
    assert patch.body["metadata"] == {"resourceVersion": "41"}
    (key,) = set(patch.body["data"]) - {"current"} - {name for name in patch.body["data"] if name.endswith(".made")}
    assert set(patch.body["data"]) == {key, f"{key}.made", "current"}
    await made.life.stop()


@pytest.mark.parametrize("answer", [page_not_found, status_answer(403, "Forbidden"), silent])
async def test_the_start_does_without_the_push_key(server: Server, answer: Handler) -> None:
    server.answers(SECRET, answer)
    made = operator(push_secret="desist-system/desist-push")
    async with asyncio.timeout(10):
        await made.life.start()
    assert made.life.health.unready() == []
    await made.life.stop()


async def test_push_keys_are_dated_by_the_api_servers_clock(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two controllers whose own clocks are further apart than a key's age would replace each other's for ever."""
    path = "/api/v1/namespaces/sys/secrets/keys"
    server.answers(path, json_answer({"metadata": {"resourceVersion": "5"}, "data": {}}))
    real = datetime.now(UTC)
    monkeypatch.setattr("desist.controller.operator.Clock", lambda: Clock(lambda: real + timedelta(days=40)))
    made = operator(push_secret="sys/keys")
    async with asyncio.timeout(10):
        await made.life.start()
        changed = next(asked.body["data"] for asked in server.asked if asked.method == "PATCH" and asked.path == path)
    dated = next(value for name, value in changed.items() if name.endswith(".made"))
    assert abs(datetime.fromisoformat(b64decode(dated).decode()) - real) < timedelta(days=1)
    await made.life.stop()
