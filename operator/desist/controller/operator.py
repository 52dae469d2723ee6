"""The wiring: every part of the controller is made here, once, and given what it works with.

Contract: nothing runs before `life.start`, and nothing is decided here. `Operator` is what kopf's handlers hold: what
is told goes to the intake, start and end to the life. The table of kinds, and what reconciles each, is made in `rows`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from desist.controller import login, rows
from desist.controller.burst import Burst
from desist.controller.caches import Caches
from desist.controller.clock import Clock
from desist.controller.cluster import Cluster
from desist.controller.creates import Creates
from desist.controller.events import EventRecorder
from desist.controller.intake import Intake
from desist.controller.kinds import Body, Kind
from desist.controller.life import Life, Parts
from desist.controller.memory import Memory
from desist.controller.observe import Sights
from desist.controller.platform import Platform
from desist.controller.push import Push
from desist.controller.push_keys import Place, PushKeys
from desist.controller.resync import Resync
from desist.controller.settings import ControllerSettings
from desist.controller.unreadable import Complaints
from desist.controller.waking import Waking
from desist.controller.watches import Watches
from desist.controller.work import Work
from desist.kube.client import Client
from desist.kube.lanes import Budget


def _push_place(settings: ControllerSettings) -> tuple[Place | None, timedelta | None]:
    """The push keys' Secret, and after how long a key is replaced; None: there is none, never."""
    days = settings.push_rotate_after
    place = Place(*settings.push_secret.split("/")) if settings.push_secret else None
    return place, timedelta(days=days) if days else None


def _common(client: Client, clock: Clock) -> Callable[[], datetime]:
    """The API server's clock: of two controllers whose own are far apart, each would replace the other's keys."""
    return lambda: client.server_time() or clock()


class Operator:
    """One controller process, as kopf's handlers hold it."""

    def __init__(self, settings: ControllerSettings) -> None:
        """Puts the parts together. Raises kube's ConnectionProblem."""
        client, clock = Client(login.connection()), Clock()
        cluster = Cluster(client, socket.gethostname(), clock)
        caches = Caches()
        keys = PushKeys(cluster, *_push_place(settings), caches.push_keys, _common(client, clock))
        platform = Platform(settings, caches.runtimes, lambda: keys.current)
        recorder = EventRecorder(cluster.create_event, clock)
        memory = Memory()
        waking = Waking(lambda key: work.add(key), lambda key, seconds: work.later(key, seconds), memory.awaits_sight)
        slots = max(2, settings.workers // 4)
        creates = Creates(cluster, settings.core, slots, lambda key: work.add(key))
        push = Push(keys, memory, waking.confirmed, clock, burst=Burst(client.lane(Budget.STOP)))
        means = rows.Means(
            cluster=cluster,
            creates=creates,
            sights=Sights(caches, memory, platform, clock()),
            waking=waking,
            push=push,
            record_event=recorder.record,
            clock=clock,
            leave=lambda key: work.leave(key),
            intake=lambda: self.intake,
        )
        kinds = rows.all_kinds(means)
        work = Work(kinds, settings.workers, clock, creates.release, creates.interrupts.interrupt)
        self.intake = Intake(kinds, work.add, Complaints(recorder.record))
        self._watches = Watches(client, caches, self.intake, waking, clock, memory.last_posting)
        watches = self._watches
        self._resync = Resync(
            cluster,
            self.intake,
            settings.resync,
            restored=watches.anew,
            relist=watches.relist,
            others=watches.comparisons,
            reached=watches.reached,
        )
        parts = Parts(client, cluster, platform, self.intake, work, self._watches, self._resync, recorder, keys, push)
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
