"""What the tests of the push keys share: a Secret in place of the cluster, and an operator's keys on a jumping clock.

Contract: every call to the Secret is noted with its time, before it is answered; a refusal, a slow answer and a change
that comes between are set by the test. It keeps versions as the API server does: who changes another one is `Outdated`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar, cast

from desist.controller import push_ring
from desist.controller.cluster import Cluster, Outdated, SecretData
from desist.controller.push_keys import Place, PushKeys
from tests.unit.controller.fakes import NOW
from tests.unit.kube.virtual import run

T = TypeVar("T")
PLACE = Place("desist-system", "desist-push")
AGE = timedelta(hours=6)
"""After which a key is replaced."""


@dataclass
class Secret:
    """Stands in for the cluster: one Secret, whose version counts its changes."""

    data: dict[str, str] = field(default_factory=dict)
    version: int = 1
    refuses: Exception | None = None
    slow: float = 0.0
    asked: list[tuple[float, str]] = field(default_factory=list)
    before_change: Callable[[], None] = lambda: None

    @property
    def cluster(self) -> Cluster:
        return cast(Cluster, self)

    async def secret(self, namespace: str, name: str) -> SecretData:
        await self._ask("get", namespace, name)
        return SecretData(str(self.version), dict(self.data))

    async def change_secret(self, namespace: str, name: str, version: str, changes: push_ring.Changes) -> SecretData:
        await self._ask("patch", namespace, name)
        self.before_change()
        if version != str(self.version):
            raise Outdated(version)
        self.change(changes)
        return SecretData(str(self.version), dict(self.data))

    def change(self, changes: push_ring.Changes) -> None:
        self.version += 1
        for name, value in changes.items():
            self.data.pop(name, None)
            self.data |= {} if value is None else {name: value}

    async def _ask(self, verb: str, *place: str) -> None:
        assert place == (PLACE.namespace, PLACE.name)
        self.asked.append((asyncio.get_running_loop().time(), verb))
        await asyncio.sleep(self.slow)
        if self.refuses is not None:
            raise self.refuses

    @property
    def ids(self) -> set[str]:
        return set(push_ring.read(self.data).keys)


class Operator:
    """A controller's keys, started and running, on a clock that jumps."""

    def __init__(self, secret: Secret, rotate_after: timedelta | None = AGE, place: Place | None = PLACE) -> None:
        self.named: set[str] = set()
        self.keys = PushKeys(secret.cluster, place, rotate_after, lambda: self.named, self.now)

    def now(self) -> datetime:
        return NOW + timedelta(seconds=asyncio.get_running_loop().time())

    async def started(self) -> None:
        await self.keys.load()
        self.running = asyncio.create_task(self.keys.run())

    @property
    def current(self) -> str:
        return self.keys.current.id if self.keys.current else ""


def after(act: Callable[[], Awaitable[T]]) -> T:
    async def whole() -> T:
        return await act()

    return run(whole())
