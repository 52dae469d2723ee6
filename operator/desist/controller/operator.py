"""The wiring: every part of the controller is made here, once, and given what it works with.

Contract: nothing runs before `life.start`, and nothing is decided here. `Operator` is what kopf's handlers hold: what
is told goes to the intake, start and end to the life. The rows of the table of kinds are below; a new kind is one row.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from desist.controller import login
from desist.controller.apply import Applier
from desist.controller.ask import Asker
from desist.controller.caches import Caches
from desist.controller.clock import Clock
from desist.controller.cluster import Cluster
from desist.controller.creates import Creates
from desist.controller.events import EventRecorder, RecordEvent
from desist.controller.executions import Executions
from desist.controller.intake import Intake
from desist.controller.kinds import EXECUTION, WORKFLOW, Body, Key, Kind, Managed, Table, table
from desist.controller.life import Life, Parts
from desist.controller.memory import Memory
from desist.controller.observe import Observer
from desist.controller.platform import Platform
from desist.controller.reconcile import ExecutionReconciler
from desist.controller.records import WorkflowRecord
from desist.controller.reread import Rereader
from desist.controller.resync import Resync
from desist.controller.settings import ControllerSettings
from desist.controller.status import StatusWriter
from desist.controller.store import Store
from desist.controller.unreadable import Complaints
from desist.controller.urgency import Urgency
from desist.controller.watches import Watches
from desist.controller.work import Work
from desist.controller.workflows import WorkflowReconciler
from desist.kube.client import Client


@dataclass(frozen=True, slots=True)
class Means:
    """What the reconcilers of all kinds work with."""

    cluster: Cluster
    creates: Creates
    caches: Caches
    platform: Platform
    record_event: RecordEvent
    clock: Clock


class Operator:
    """One controller process, as kopf's handlers hold it."""

    def __init__(self, settings: ControllerSettings) -> None:
        """Puts the parts together. Raises kube's ConnectionProblem."""
        client, clock = Client(login.connection()), Clock()
        cluster = Cluster(client, socket.gethostname(), clock)
        caches = Caches()
        platform = Platform(settings, caches.runtimes)
        recorder = EventRecorder(cluster.create_event, clock)
        slots = max(2, settings.workers // 4)
        creates = Creates(cluster, settings.core, slots, lambda key: work.add(key))
        kinds = _table(Means(cluster, creates, caches, platform, recorder.record, clock))
        work = Work(kinds, settings.workers, clock, creates.release, creates.interrupts.interrupt)
        self.intake = Intake(kinds, work.add, Complaints(recorder.record))
        self._watches = Watches(client, caches, lambda uid: self.intake.wake(EXECUTION, uid), clock)
        self._resync = Resync(cluster, self.intake, settings.resync, self._watches.anew)
        parts = Parts(client, cluster, platform, self.intake, work, self._watches, self._resync, recorder)
        self.life = Life(parts, settings)

    @property
    def streams(self) -> bool:
        """Once started: whether kopf can have its lists as streams from this server."""
        return self._watches.streamed()

    def event(self, kind: Kind[Any], event: str | None, body: Body) -> None:
        """Kopf says something of an object; `event` is None where it has listed."""
        self._resync.heard(kind, listing=event is None)
        if event == "DELETED":
            self.intake.forget(kind, body["metadata"]["uid"])
        else:
            self.intake.note(kind, body)


def _table(means: Means) -> Table:
    """One row a kind."""
    cluster, caches, clock = means.cluster, means.caches, means.clock
    executions, memory = Executions(), Memory()
    workflows: Store[WorkflowRecord] = Store()
    urgency = Urgency(caches, memory, clock)
    status = StatusWriter(cluster, means.record_event, clock, interrupts=means.creates.interrupts)

    def waiting_for(workflow: WorkflowRecord) -> Iterator[Key]:
        metadata = workflow.metadata
        return (Key(EXECUTION.name, uid) for uid in executions.awaiting(metadata.namespace, metadata.name))

    judge = WorkflowReconciler(workflows, means.platform, cluster, means.creates, means.record_event, clock)
    reconciler = ExecutionReconciler(
        executions=executions,
        caches=caches,
        memory=memory,
        observer=Observer(workflows, caches, memory, means.platform, clock()),
        asker=Asker(cluster, means.creates, caches, memory, clock),
        applier=Applier(cluster, status, means.creates, memory, means.record_event, clock),
        rereader=Rereader(cluster, executions, caches),
        awaits_stop=urgency.awaits_stop,
        clock=clock,
    )
    return table(
        Managed(WORKFLOW, workflows, judge.reconcile, waiting=waiting_for),
        Managed(EXECUTION, executions, reconciler.reconcile, urgent=urgency.of),
    )
