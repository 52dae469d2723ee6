"""The life of a controller process: wait for its kinds, fill stores and caches, run, close.

Contract: `start` returns when a first reconcile may be made: our kinds are served, the stores hold every object of
them, the pod and node caches are in step. Until then nothing is decided (a decision on half a picture could start a
pod twice). A task of ours that dies ends the process, because nothing here heals by itself what is not understood; the
next process reads everything anew. What the start waits for is what `/readyz` says at that moment.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import kopf

from desist.controller.cluster import Cluster
from desist.controller.events import EventRecorder
from desist.controller.intake import Intake
from desist.controller.kinds import KINDS, Kind
from desist.controller.platform import Platform
from desist.controller.probes import Health, ProbeServer
from desist.controller.push import Push
from desist.controller.push_keys import PushKeys
from desist.controller.resync import Resync
from desist.controller.settings import ControllerSettings
from desist.controller.watches import Watches
from desist.controller.work import Work
from desist.kube.client import Client
from desist.kube.errors import ApiError

logger = logging.getLogger(__name__)

EVENTS_GRACE = 0.5
"""Seconds that Events on their way get when the process stops."""
FILLING = "the caches are not filled yet"
CRD_POLL = 1.0
"""Seconds between two looks whether our kinds are served: discovery cannot be watched."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is started, filled and closed; the wiring makes it."""

    client: Client
    cluster: Cluster
    platform: Platform
    intake: Intake
    work: Work
    watches: Watches
    resync: Resync
    recorder: EventRecorder
    push_keys: PushKeys
    push: Push


class Life:
    """One process's life; `start` and `stop` are for kopf's handlers."""

    def __init__(self, parts: Parts, settings: ControllerSettings) -> None:
        self._parts = parts
        self._waits_for: str | None = "starting"
        self._death: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.health = Health(
            live=[self._stuck, parts.work.stuck, parts.resync.deaf, lambda: self._death],
            ready=[lambda: self._waits_for, parts.watches.behind, parts.resync.silent],
        )
        self._probes = ProbeServer(self.health, settings.probe_host, settings.probe_port)

    async def start(self) -> None:
        """Fill everything, then let reconciles begin. Raises OSError where the probes' port is taken."""
        try:
            await self._probes.start()
            await self._parts.client.open()
            await self._wait_for_kinds()
            self._parts.push.open()
            await self._parts.push_keys.load()
            await self._fill()
            self._waits_for = None
            self._run("resync", self._parts.resync.run())
            self._run("push keys", self._parts.push_keys.run())
        except BaseException:
            # Cancelled by a SIGTERM, or failed: kopf calls no clean-up handler then.
            await self._close()
            raise
        counts = (f"{len(row.store)} {kind}" for kind, row in self._parts.intake.table.items())
        logger.info("ready: %s", ", ".join(counts))

    async def stop(self) -> None:
        """End all parts. Raises kopf.PermanentError where one of them had died."""
        await self._close()
        if self._death is not None:
            raise kopf.PermanentError(self._death)

    def _stuck(self) -> str | None:
        """For the liveness probe; while the start waits for something, that is what `/readyz` says."""
        return None if self._waits_for is not None else self._parts.watches.stuck()

    async def _wait_for_kinds(self) -> None:
        said = None
        while (missing := await self._missing()) is not None:
            self._waits_for = missing
            if missing != said:
                logger.warning("waiting: %s", missing)
            said = missing
            await asyncio.sleep(CRD_POLL)

    async def _missing(self) -> str | None:
        try:
            if not await self._parts.cluster.served():
                return "the CRDs of desist.dev/v1alpha1 are not installed (kubectl apply -f crds/, or the Helm chart)"
            self._parts.platform.server = await self._parts.cluster.version()
        except ApiError as error:
            return f"the API server does not answer: {error}"
        return None

    async def _fill(self) -> None:
        """Fill the stores and the caches, without a reconcile in between."""
        with self._parts.work.held():
            for what, reflector in self._parts.watches.reflectors.items():
                self._run(f"watch of {what}", reflector.run())
            for kind in KINDS:
                if not kind.mirrored:
                    await self._list(kind)
            await self._parts.watches.synced()

    async def _list(self, kind: Kind[Any]) -> None:
        """Note each object as it comes: all at once would not fit into the memory that the rest of the life needs."""
        while True:
            self._waits_for = FILLING
            try:
                async for body in self._parts.cluster.list(kind):
                    self._parts.intake.note(kind, body)
                return
            except ApiError as error:
                self._waits_for = f"cannot list {kind.name}: {error}"
                logger.warning("waiting: %s", self._waits_for)
                await asyncio.sleep(error.retry_after or CRD_POLL)

    def _run(self, name: str, part: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(part, name=f"desist: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        self._death = f"{task.get_name()} ended"
        logger.critical("%s: the process ends", self._death, exc_info=task.exception())
        os.kill(os.getpid(), signal.SIGTERM)

    async def _close(self) -> None:
        await self._parts.work.stop()
        await self._parts.recorder.stop(EVENTS_GRACE)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._parts.client.close()
        self._parts.push.close()
        await self._probes.stop()
