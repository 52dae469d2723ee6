"""One node: a machine, its kubelet, and the processes of its pods.

Contract: a kubelet acts on what it read at its last `sync`, a moment behind the API server. While it is down nothing is
delivered and nothing reported, and processes run on, deadlines of their launchers too. It may miss a change of a
mailbox, until the next change or its own next look. Its own facts: no mailbox arrives after a deletionTimestamp, a
termination that has begun is never shortened, a pod object that is gone leaves its process to be ended with the pod's
own grace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from desist.lifecycle.observed.pods import ContainerKind, ContainerPhase, ContainerView, PodView
from tests.unit.lifecycle_sim.api import ENDED, ApiServer
from tests.unit.lifecycle_sim.clock import EXACT, Clock, Wall
from tests.unit.lifecycle_sim.processes import Process, Program

LAG = 0.25
"""Seconds by which a kubelet is behind the API server, and the API server behind a kubelet."""
START = 1.0
"""Seconds from a pod's admission to its container's start."""
SHORTEST_GRACE = 2
ADDRESS = "10.244.1.7"
LOOKS_AGAIN = 90
"""Seconds until a kubelet brings a mailbox up to date by itself that it has missed."""


@dataclass
class Box:
    """A pod as its kubelet knows it."""

    pod: PodView
    process: Process | None = None
    kill_at: float | None = None
    sidecar_until: float | None = None
    """When its sidecar ends; None: it runs as long as the process, or there is none."""
    missed: str = ""
    """What the mailbox holds and its file does not."""

    @property
    def alive(self) -> bool:
        """Whether any process of the pod is."""
        return self.process is not None and (self.process.alive or self.sidecar_until is not None)


class Kubelet:
    """A node's machine and kubelet."""

    def __init__(
        self, name: str, api: ApiServer, clock: Clock, program: Callable[[PodView], Program], wall: Wall = EXACT
    ) -> None:
        self.wall = wall
        self.name = name
        self.boots = 1
        self.on = True
        """Whether the machine is."""
        self.up = True
        """Whether the kubelet works and reaches the API server."""
        self.misses = False
        """Whether the next change of a mailbox is missed: by the time at which it comes, the pod was just looked at."""
        self.boxes: dict[str, Box] = {}
        self._api = api
        self._clock = clock
        self._program = program

    @property
    def boot_id(self) -> str:
        """Of the machine's current boot."""
        return f"{self.name}-boot-{self.boots}"

    def poke(self) -> None:
        """Something may have changed."""
        self._clock.after(LAG, self.sync)

    def sync(self) -> None:
        """Bring pods and processes together."""
        if not (self.on and self.up):
            return
        pods = {pod.uid: pod for pod in self._api.pods.values() if pod.node == self.name}
        for pod in pods.values():
            self._attend(pod)
        for uid in [uid for uid in self.boxes if uid not in pods]:
            self._abandon(uid)

    def power_off(self) -> None:
        """The machine stops; nothing of it survives."""
        self.on = False
        for box in self.boxes.values():
            box.sidecar_until = None
            if box.process is not None:
                box.process.power_off()
                box.sidecar_until = None

    def power_on(self) -> None:
        """The machine boots again."""
        if not self.on:
            self.on, self.boots = True, self.boots + 1

    def resume(self) -> None:
        """The kubelet works again; graces of its own begin anew."""
        self.up = True
        for box in self.boxes.values():
            box.kill_at = None
            if box.process is None:
                self._start_later(box)
        self.poke()

    def _attend(self, pod: PodView) -> None:
        if pod.phase in ENDED:
            if pod.deletion_timestamp is not None:
                self._api.remove(pod)
            return
        box = self.boxes.get(pod.uid)
        if box is None:
            box = self.boxes[pod.uid] = Box(pod)
            self._start_later(box)
        box.pod = pod
        if box.process is None:
            if pod.deletion_timestamp is not None:
                self._api.store(replace(pod, phase="Failed"))
            return
        if pod.deletion_timestamp is not None:
            self._terminate(box, pod.deletion_grace_seconds or 0)
        elif pod.mailbox and not self._missed(box, pod.mailbox):
            box.process.read(pod.mailbox)
        self._report(pod, box)

    def _missed(self, box: Box, mailbox: str) -> bool:
        if self.misses:
            self.misses, box.missed = False, mailbox
            self._clock.after(LOOKS_AGAIN, lambda: self._look_again(box))
        return box.missed == mailbox

    def _look_again(self, box: Box) -> None:
        box.missed = ""
        self.poke()

    def _start_later(self, box: Box) -> None:
        self._clock.after(START, lambda: self._start(box))

    def _start(self, box: Box) -> None:
        known = self.boxes.get(box.pod.uid) is box and box.pod.deletion_timestamp is None
        if not known or box.process is not None or not (self.on and self.up):
            return
        box.process = Process(self._program(box.pod), self._clock, lambda: self._ended(box), self.wall)
        box.process.begin(box.pod.mailbox)
        self.poke()

    def _ended(self, box: Box) -> None:
        assert box.process is not None
        left = box.process.program.sidecar
        if left is not None and self.on:
            box.sidecar_until = self._clock.now + left
            self._clock.after(left, lambda: self._sidecar_ended(box))
        self.poke()

    def _sidecar_ended(self, box: Box) -> None:
        box.sidecar_until = None
        self.poke()

    def _terminate(self, box: Box, grace: int) -> None:
        if box.kill_at is not None or box.process is None or not box.process.alive:
            return
        box.process.sigterm()
        wait = max(grace, SHORTEST_GRACE)
        due = box.kill_at = self._clock.now + wait
        self._clock.after(wait, lambda: self._kill(box, due))

    def _kill(self, box: Box, due: float) -> None:
        if box.kill_at == due and box.process is not None and self.on and self.up:
            box.process.sigkill()

    def _abandon(self, uid: str) -> None:
        box = self.boxes[uid]
        if box.alive:
            self._terminate(box, box.pod.grace_seconds)
        else:
            del self.boxes[uid]

    def _report(self, pod: PodView, box: Box) -> None:
        process = box.process
        assert process is not None
        containers = tuple(_container(c, process, box) for c in pod.containers)
        over = all(c.phase is ContainerPhase.TERMINATED for c in containers)
        phase = ("Succeeded" if process.code == 0 else "Failed") if over else "Running"
        self._api.store(replace(pod, containers=containers, phase=phase, address=ADDRESS))


def _container(view: ContainerView, process: Process, box: Box) -> ContainerView:
    sidecar = view.kind is ContainerKind.SIDECAR
    alive = box.alive if sidecar else process.alive
    begun = replace(view, container_id=f"containerd://{view.name}", started_at=process.wall.at(process.started_at))
    if alive:
        return replace(begun, phase=ContainerPhase.RUNNING)
    if sidecar:
        return replace(begun, phase=ContainerPhase.TERMINATED, reason="Completed", exit_code=0)
    killed = process.program.out_of_memory and process.code == 137 and not process.told
    reason = "OOMKilled" if killed else ("Completed" if process.code == 0 else "Error")
    reason = "Unknown" if process.rebooted else reason
    return replace(
        begun,
        phase=ContainerPhase.TERMINATED,
        reason=reason,
        exit_code=process.code,
        message=process.message(),
        finished_at=process.wall.at(process.ended_at or 0),
    )
