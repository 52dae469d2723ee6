"""Makes stops and measures each: the one client, the three watches, the processes of this machine.

Contract: `prepare` returns when the programs listen; `stop` when the process is dead and the final word is said, in
whichever order. The request counts from just before it is sent, on a connection that is open; a word from its arrival
on a watch that was open before; at that moment the kernel is asked who lives. As soon as a process runs, for `started`,
is when a client can see it: the pod's phase is Running on the watch. All is done by one loop in one process, with a
client that costs a millisecond a request, so that forty requests at once are at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import msgspec

from desist.kube.client import Client
from desist.kube.errors import ServerUnavailable
from desist.kube.lanes import Allowance
from desist.kube.options import ClientOptions, Deletion
from desist.kube.resource import PODS, Query, Resource
from hack.bench.latency.samples import Sample
from hack.bench.latency.sides import EXECUTIONS, JOBS, WAYS, Object, command, whose
from hack.bench.latency.sight import Sight, Watched

WIDE = ClientOptions(starts=Allowance(at_a_time=100, a_second=100_000, burst=1000), patience=60, request_timeout=60)
LONGEST = 120.0
"""Seconds for anything that is waited for."""
OPEN = 1800
REOPEN = 0.01
"""Seconds before a watch that was ended is opened again."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that will be stopped."""

    side: str
    case: str
    mode: str
    turn: int
    number: int

    @property
    def name(self) -> str:
        """Of its object. All have the same length for a side and a case: none begins another one's."""
        return f"{self.side}-{self.case}-{self.mode.lower()}-{self.turn}{self.number:03}"


@dataclass(slots=True)
class _Held:
    subject: Subject
    marker: str
    runs: asyncio.Event = field(default_factory=asyncio.Event)
    watched: Watched | None = None
    final: asyncio.Event = field(default_factory=asyncio.Event)
    said: float = 0.0
    alive: int = 0


class Stage:
    """One namespace; `keep` is told of each stop when it is over."""

    def __init__(self, client: Client, namespace: str, keep: Callable[[Sample], None]) -> None:
        self._client, self._namespace, self._keep = client, namespace, keep
        self._sight = Sight()
        self._sight.start()
        self._held: dict[str, _Held] = {}

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watches of everything that says something; one that ends is opened again, and a gap is an error."""
        async with asyncio.TaskGroup() as group:
            watches = [group.create_task(self._watch(each)) for each in (EXECUTIONS, JOBS, PODS)]
            yield
            for watch in watches:
                watch.cancel()

    async def prepare(self, subjects: Iterable[Subject]) -> None:
        """Create them, and wait until their programs listen. Raises TimeoutError."""
        made = [self._make(subject) for subject in subjects]
        await asyncio.gather(*(self._create(held) for held in made))
        end = time.monotonic() + LONGEST + 2 * len(made)
        while waiting := {held.marker: held for held in made if held.watched is None}:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(waiting)} of {len(made)} do not run: do the nodes run on this machine?")
            await asyncio.sleep(0.5)
            self._take(waiting)

    async def started(self, subject: Subject) -> None:
        """Create it, and stop it as soon as it runs."""
        held = self._make(subject)
        await self._create(held)
        async with asyncio.timeout(LONGEST):
            await held.runs.wait()
            while held.watched is None:
                self._take({held.marker: held})
                await asyncio.sleep(0)
        await self.stop(subject)

    async def one_at_a_time(self, subjects: Iterable[Subject], every: float = 1.0) -> None:
        """Stop one of them every so many seconds, also while another has not ended yet."""
        async with asyncio.TaskGroup() as group:
            for subject in subjects:
                group.create_task(self.stop(subject))
                await asyncio.sleep(every)

    async def at_once(self, subjects: list[Subject]) -> None:
        """Stop all of them."""
        await asyncio.gather(*(self._client.read("/version") for _ in subjects))
        await asyncio.gather(*(self.stop(subject) for subject in subjects))

    async def stop(self, subject: Subject) -> None:
        """Stop one that runs. Raises TimeoutError where it does not end."""
        held = self._held[subject.name]
        watched = held.watched
        assert watched is not None, "prepare has returned"
        requested = time.time()
        await self._request(subject)
        answered = time.time()
        async with asyncio.timeout(LONGEST):
            await held.final.wait()
            while not self._sight.all_dead(watched):  # noqa: ASYNC110 - a thread of its own sees deaths
                await asyncio.sleep(0.05)
        dead = self._sight.dead(watched)
        assert dead is not None, "all of its processes are dead"
        about = (subject.side, subject.case, subject.mode, subject.name, subject.turn)
        self._keep(Sample(*about, requested, answered, watched.heard(), dead, held.said, held.alive))
        watched.close()
        del self._held[subject.name]

    def _make(self, subject: Subject) -> _Held:
        held = self._held[subject.name] = _Held(subject, f"{self._namespace}/{subject.name}")
        return held

    async def _create(self, held: _Held) -> None:
        subject = held.subject
        way = WAYS[subject.side]
        body = way.body(subject.name, command(subject.mode, held.marker))
        await self._client.create(way.resource, body, namespace=self._namespace)

    async def _request(self, subject: Subject) -> None:
        way = WAYS[subject.side]
        address, request = way.resource.at(subject.name, self._namespace), way.request(subject.mode)
        if isinstance(request, Deletion):
            await self._client.delete(address, request)
        elif request is not None:
            await self._client.patch(address, request)

    def _take(self, waiting: dict[str, _Held]) -> None:
        for marker, watched in self._sight.take(waiting).items():
            waiting[marker].watched = watched

    async def _watch(self, resource: Resource) -> None:
        """Also where the API server ends it: from what came last, so that nothing is missed, and nothing told twice."""
        query, parameters = Query(self._namespace), {"timeoutSeconds": str(OPEN), "allowWatchBookmarks": "true"}
        while True:
            with suppress(ServerUnavailable):
                async with self._client.watch(resource, query, parameters, OPEN) as events:
                    async for event in events:
                        arrived, found = time.time(), msgspec.json.decode(event.object)
                        if event.type == "ERROR":
                            raise RuntimeError(f"the watch of {resource} has missed something: {found.get('message')}")
                        query = replace(query, resource_version=found["metadata"]["resourceVersion"])
                        if event.type != "BOOKMARK":
                            self._note(resource, event.type, found, arrived)
            await asyncio.sleep(REOPEN)

    def _note(self, resource: Resource, event: str, found: Object, arrived: float) -> None:
        if resource == PODS and found.get("status", {}).get("phase") == "Running":
            running = self._held.get(whose(found))
            if running is not None:
                running.runs.set()
        held = self._held.get(found["metadata"]["name"])
        if held is None or held.final.is_set():
            return
        way = WAYS[held.subject.side]
        if way.resource == resource and way.final(event, found):
            held.said, held.alive = arrived, held.watched.alive() if held.watched is not None else 0
            held.final.set()
