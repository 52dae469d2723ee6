"""A reflector of a namespace's ConfigMaps that writes down what it was told, and the one helper that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from desist.kube.client import Client
from desist.kube.listing import Change
from desist.kube.liveness import Timing
from desist.kube.reflector import Reflector
from desist.kube.resource import Query, Resource, Source

MAPS = Resource("", "v1", "configmaps")
LABEL = "kube-test=mirrored"
QUICK = Timing(watch=30, margin=5, backoff=0.05, backoff_max=0.5, patience=1)


class ConfigMap(msgspec.Struct, frozen=True):
    data: dict[str, str] = {}


DECODER = msgspec.json.Decoder(ConfigMap)


def parse(raw: bytes) -> str:
    """A record is the value of the key `v`."""
    return DECODER.decode(raw).data.get("v", "")


class Mirror:
    """What was told, as short words: `ADDED a 1`, `MODIFIED a 1>2`, `DELETED a 2` (`missed`: its end was not seen)."""

    def __init__(self, client: Client, namespace: str, timing: Timing = QUICK) -> None:
        self._news = asyncio.Event()
        self.words: list[str] = []
        query = Query(namespace=namespace, labels=LABEL)
        self.reflector: Reflector[str] = Reflector(client, Source(MAPS, query), parse, self._told, timing)

    def _told(self, change: Change[str]) -> None:
        name = change.identity.name
        states = {
            "ADDED": f"{change.new}",
            "MODIFIED": f"{change.old}>{change.new}",
            "DELETED": f"{change.new}" if change.seen else f"{change.old} missed",
        }
        self.words.append(f"{change.kind.value} {name} {states[change.kind.value]}")
        self._news.set()

    @property
    def values(self) -> dict[str, str]:
        """What the store holds, by name."""
        return {entry.identity.name: entry.record for entry in self.reflector.store.values()}

    async def wait_for(self, *words: str, seconds: float = 20) -> None:
        """Until all of these were told since the last call; they and no others, in any order. Then forgets them."""
        try:
            async with asyncio.timeout(seconds):
                while not set(words) <= set(self.words):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass
        assert sorted(self.words) == sorted(words)
        self.words.clear()


@asynccontextmanager
async def mirrored(client: Client, namespace: str, timing: Timing = QUICK) -> AsyncIterator[Mirror]:
    """A running mirror that has listed."""
    mirror = Mirror(client, namespace, timing)
    task = asyncio.create_task(mirror.reflector.run())
    try:
        async with asyncio.timeout(30):
            await mirror.reflector.synced.wait()
        yield mirror
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def put(client: Client, namespace: str, **values: str) -> None:
    """Create ConfigMaps that the mirror sees."""
    key, value = LABEL.split("=")
    for name, text in values.items():
        await client.create(
            MAPS, {"metadata": {"name": name, "labels": {key: value}}, "data": {"v": text}}, namespace=namespace
        )


async def change(client: Client, namespace: str, **values: str) -> None:
    for name, text in values.items():
        await client.patch(MAPS.at(name, namespace), {"data": {"v": text}})


async def remove(client: Client, namespace: str, *names: str) -> None:
    for name in names:
        await client.delete(MAPS.at(name, namespace))
