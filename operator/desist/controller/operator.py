"""The parts of the controller, put together: caches are filled, watches feed them, keys go to the queue, passes write.

Contract: `start` returns when a first pass may be made: our kinds are served, the stores hold every execution and
workflow, the pod and node caches are in step. Until then nothing is decided (a pass over half a picture could start a
pod twice). A task of ours that dies ends the process, because nothing here heals by itself what is not understood; the
next process reads everything anew. The event methods are for kopf's handlers: they never wait and never raise.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

import kopf

from desist.controller import login
from desist.controller.apply import Applier
from desist.controller.caches import Caches
from desist.controller.cluster import Cluster
from desist.controller.events import Teller
from desist.controller.executions import Executions
from desist.controller.memory import Memory
from desist.controller.observe import Observer
from desist.controller.passes import Passes
from desist.controller.probes import Health, ProbeServer
from desist.controller.records import Unreadable, WorkflowRecord, execution_record, workflow_record
from desist.controller.resync import Kind, Resync
from desist.controller.settings import ControllerSettings
from desist.controller.store import Store
from desist.controller.watches import Watches
from desist.controller.work import EXECUTION, WORKFLOW, Key, Work
from desist.controller.workflows import WorkflowPasses
from desist.kube.client import Client
from desist.kube.errors import ApiError

logger = logging.getLogger(__name__)

EVENTS_GRACE = 0.5
"""Seconds that Events on their way get when the process stops."""
FILLING = "the caches are not filled yet"
CRD_POLL = 1.0
"""Seconds between two looks whether our kinds are served: discovery cannot be watched."""


def utc_now() -> datetime:
    """The controller's clock."""
    return datetime.now(UTC)


class Operator:
    """One controller process."""

    def __init__(self, settings: ControllerSettings) -> None:
        """Puts the parts together; nothing runs before `start`. Raises kube's ConnectionProblem."""
        self._settings = settings
        self._client = Client(login.connection())
        self._cluster = Cluster(self._client, socket.gethostname())
        self._executions = Executions()
        self._workflows: Store[WorkflowRecord] = Store()
        caches, memory = Caches(), Memory()
        self._observer = Observer(settings, self._cluster, self._workflows, caches, memory)
        self._teller = Teller(self._cluster.tell, utc_now)
        tell = self._teller.tell
        passes = Passes(self._executions, self._observer, Applier(self._cluster, memory, tell, utc_now))
        judge = WorkflowPasses(self._workflows, self._observer, self._cluster, tell, utc_now)
        self._work = Work({EXECUTION: passes.run, WORKFLOW: judge.run}, self._is_urgent, settings.workers, utc_now)
        self._watches = Watches(self._client, caches, self._wake)
        kinds = (
            Kind("WorkflowExecution", self._executions, self._note_execution, self._forget_execution),
            Kind("Workflow", self._workflows, self._note_workflow, self._forget_workflow),
        )
        self._resync = Resync(self._cluster, kinds, settings.resync)
        self._health = Health(
            live=[self._stuck, self._work.stuck, self._resync.deaf, lambda: self._death],
            ready=[lambda: self._waits_for, self._watches.behind, self._resync.silent],
        )
        self._probes = ProbeServer(self._health, settings.probe_host, settings.probe_port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._waits_for: str | None = "starting"
        self._death: str | None = None

    async def start(self) -> None:
        """Fill everything, then let passes begin. Raises OSError where the probes' port is taken."""
        try:
            await self._probes.start()
            await self._client.open()
            await self._wait_for_kinds()
            await self._fill()
            self._waits_for = None
            self._run("resync", self._resync.run())
        except BaseException:
            # Cancelled by a SIGTERM, or failed: kopf calls no clean-up handler then.
            await self._close()
            raise
        logger.info("ready: %d executions, %d workflows", len(self._executions), len(self._workflows))

    async def stop(self) -> None:
        """End all parts. Raises kopf.PermanentError where one of them had died."""
        await self._close()
        if self._death is not None:
            raise kopf.PermanentError(self._death)

    @property
    def streams(self) -> bool:
        """Once started: whether kopf can have its lists as streams from this server."""
        return self._watches.streamed()

    def execution_event(self, kind: str | None, body: Mapping[str, Any]) -> None:
        """Kopf says something of an execution."""
        self._resync.heard("WorkflowExecution", listing=kind is None)
        if kind == "DELETED":
            self._forget_execution(body["metadata"]["uid"])
        else:
            self._note_execution(body)

    def workflow_event(self, kind: str | None, body: Mapping[str, Any]) -> None:
        """Kopf says something of a workflow."""
        self._resync.heard("Workflow", listing=kind is None)
        if kind == "DELETED":
            self._forget_workflow(body["metadata"]["uid"])
        else:
            self._note_workflow(body)

    # What is known of executions and workflows

    def _note_execution(self, body: Mapping[str, Any]) -> None:
        try:
            record = execution_record(body)
        except Unreadable as error:
            _skip(self._executions, body, error)
            return
        if self._executions.note(record):
            self._wake(record.metadata.uid)

    def _forget_execution(self, uid: str) -> None:
        self._executions.forget(uid)
        self._wake(uid)

    def _note_workflow(self, body: Mapping[str, Any]) -> None:
        try:
            record = workflow_record(body)
        except Unreadable as error:
            _skip(self._workflows, body, error)
            return
        known = self._workflows.get(record.metadata.uid)
        if not self._workflows.note(record):
            return
        self._work.add(Key(WORKFLOW, record.metadata.uid))
        if known is None or known.metadata.generation != record.metadata.generation:
            self._wake_waiting(record)

    def _forget_workflow(self, uid: str) -> None:
        record = self._workflows.forget(uid)
        if record is not None:
            self._wake_waiting(record)

    def _wake_waiting(self, workflow: WorkflowRecord) -> None:
        for uid in self._executions.awaiting(workflow.metadata.namespace, workflow.metadata.name):
            self._wake(uid)

    def _wake(self, uid: str) -> None:
        self._work.add(Key(EXECUTION, uid))

    def _stuck(self) -> str | None:
        """For the liveness probe; while the start waits for something there is no watch yet that could be dead."""
        return None if self._waits_for is not None else self._watches.stuck()

    def _is_urgent(self, key: Key) -> bool:
        record = self._executions.get(key.uid) if key.kind == EXECUTION else None
        return record is not None and self._observer.urgent(record)

    # Start and end

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
            if not await self._cluster.served():
                return "the CRDs of desist.dev/v1alpha1 are not installed (kubectl apply -f crds/, or the Helm chart)"
            self._observer.server = await self._cluster.version()
        except ApiError as error:
            return f"the API server does not answer: {error}"
        return None

    async def _fill(self) -> None:
        """Fill the stores and the caches, without a pass in between."""
        with self._work.held():
            for what, reflector in self._watches.reflectors:
                self._run(f"watch of {what}", reflector.run())
            for name, note in (("Workflow", self._note_workflow), ("WorkflowExecution", self._note_execution)):
                await self._list(name, note)
            await self._watches.synced()

    async def _list(self, kind: str, note: Callable[[Mapping[str, Any]], None]) -> None:
        """Note each object as it comes: all at once would not fit into the memory that the rest of the life needs."""
        while True:
            self._waits_for = FILLING
            try:
                async for body in self._cluster.list(kind):
                    note(body)
                return
            except ApiError as error:
                self._waits_for = f"cannot list {kind}: {error}"
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
        await self._work.stop()
        await self._teller.stop(EVENTS_GRACE)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close()
        await self._probes.stop()


def _skip(store: Store[Any], body: Mapping[str, Any], error: Unreadable) -> None:
    logger.error("%s", error)
    store.skip(body["metadata"]["uid"], body["metadata"]["resourceVersion"])
