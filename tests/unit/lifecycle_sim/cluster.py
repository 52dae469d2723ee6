"""The simulated cluster: API server, two nodes with their kubelets, scheduler, node controller, pod GC and users.

Contract: everything happens by timers, in one order, so that a run of the simulation can be repeated. It knows the
truth: `boxes` has every pod that ever was on a node, also when its object is gone. Administrators are truthful: a Node
object is deleted, or tainted out-of-service, only when its machine is off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from desist.api.execution import WorkflowExecution
from desist.lifecycle.observed.pods import NodeView, PodView
from tests.support.builders import make_node
from tests.unit.lifecycle_sim.api import ENDED, ApiServer
from tests.unit.lifecycle_sim.clock import Clock, Walls
from tests.unit.lifecycle_sim.kubelet import Box, Kubelet
from tests.unit.lifecycle_sim.processes import Program

BIND = 0.25
NOTICE = 40
"""Seconds until a node that does not report is marked not Ready."""
EVICT = 300
"""Seconds until the pods of a node that is not Ready are deleted."""
GC = 20
"""Seconds until pod GC comes round."""
NODES = ("node-1", "node-2")


class SimulatedCluster:
    """All of the cluster but the controllers."""

    def __init__(self, execution: WorkflowExecution, program: Program, walls: Walls) -> None:
        self.clock = Clock()
        self.walls = walls
        self.program = program
        self.api = ApiServer(self.clock, execution, wall=walls.server, sidecar=program.sidecar is not None)
        self.api.pod_changed = self._pod_changed
        self.kubelets = {
            name: Kubelet(name, self.api, self.clock, self._program, wall)
            for name, wall in zip(NODES, walls.nodes, strict=True)
        }
        self.works: dict[str, Program] = {}
        """By UID of the operation: how its program behaves."""
        self.forced: set[str] = set()
        """UIDs of pods whose object was removed by force while a process may have lived."""
        self.given_up: set[str] = set()
        """UIDs of pods that were bound to a node of which an administrator has said that nothing runs there."""
        self.boxes: dict[str, Box] = {}
        for kubelet in self.kubelets.values():
            self.api.set_node(_node(kubelet, 0))

    def _program(self, pod: PodView) -> Program:
        return self.works.get(pod.operation, self.program)

    def alive(self) -> Iterator[Box]:
        """Every pod with a living process, wherever."""
        self._remember()
        return (box for box in self.boxes.values() if box.alive)

    def box(self, uid: str) -> Box | None:
        """What truly became of a pod; None: no kubelet ever had it."""
        self._remember()
        return self.boxes.get(uid)

    def newest_pod(self) -> PodView | None:
        """The pod that was created last, of those that are there."""
        return max(self.api.pods.values(), key=lambda pod: int(pod.uid.removeprefix("uid-")), default=None)

    def delete_pod(self, *, drain: bool) -> None:
        """Somebody deletes the newest pod, or drains its node."""
        pod = self.newest_pod()
        if pod is not None and pod.deletion_timestamp is None:
            self.api.delete(pod, None, disruption="EvictionByEvictionAPI" if drain else "")

    def force_delete_pod(self) -> None:
        """Somebody forgets the newest pod: `kubectl delete --force`."""
        pod = self.newest_pod()
        if pod is not None:
            self.forced.add(pod.uid)
            self.api.remove(pod)

    def take_label_off(self) -> None:
        """Somebody takes our label off the newest pod."""
        pod = self.newest_pod()
        if pod is not None:
            self.api.take_label_off(pod)

    def lose(self, name: str) -> None:
        """A node's kubelet stops, or is cut off."""
        self.kubelets[name].up = False
        self.clock.after(NOTICE, lambda: self._notice(name))

    def power_off(self, name: str) -> None:
        """A node's machine stops."""
        self.kubelets[name].power_off()
        self.lose(name)

    def give_up(self, name: str, *, taint: bool) -> None:
        """An administrator says that nothing runs there: the Node object goes, or is tainted."""
        node = self.api.nodes.get(name)
        if node is None or self.kubelets[name].on:
            return
        self.given_up |= {pod.uid for pod in self.api.pods.values() if pod.node == name}
        if taint:
            self.api.set_node(replace(node, out_of_service=True))
        else:
            self.api.remove_node(name)
        self.clock.after(GC, lambda: self._collect(name))

    def recover(self, name: str) -> None:
        """The node works again; a machine that was off has booted anew."""
        kubelet = self.kubelets[name]
        if kubelet.on and kubelet.up:
            return
        kubelet.power_on()
        self.clock.after(1, lambda: self._ready(name))

    def reboot(self, name: str) -> None:
        """The machine boots anew, faster than anybody notices."""
        self.kubelets[name].power_off()
        self.kubelets[name].up = False
        self.recover(name)

    def _working(self, name: str) -> bool:
        return self.kubelets[name].on and self.kubelets[name].up

    def _ready(self, name: str) -> None:
        kubelet, node = self.kubelets[name], self.api.nodes.get(name)
        if kubelet.up or not kubelet.on:
            return
        if node is None or not node.ready or node.boot_id != kubelet.boot_id or node.out_of_service:
            since = node.ready_changed if node is not None and node.ready else kubelet.wall.at(self.clock.now)
            self.api.set_node(replace(_node(kubelet, self.clock.now), ready_changed=since))
        kubelet.resume()

    def _notice(self, name: str) -> None:
        node = self.api.nodes.get(name)
        if self._working(name) or node is None or not node.ready:
            return
        self.api.set_node(replace(node, ready=False, ready_changed=self.walls.server.at(self.clock.now)))
        self.clock.after(EVICT, lambda: self._evict(name))

    def _evict(self, name: str) -> None:
        node = self.api.nodes.get(name)
        if node is None or node.ready:
            return
        for pod in [p for p in self.api.pods.values() if p.node == name and p.deletion_timestamp is None]:
            self.api.delete(pod, None, disruption="DeletionByTaintManager")

    def _collect(self, name: str) -> None:
        node = self.api.nodes.get(name)
        for pod in [p for p in self.api.pods.values() if p.node == name]:
            if node is None or (node.out_of_service and pod.deletion_timestamp is not None):
                if pod.phase not in ENDED:
                    pod = self.api.store(replace(pod, phase="Failed", disruption_reason="DeletionByPodGC"))
                self.api.remove(pod)

    def _pod_changed(self, pod: PodView) -> None:
        if pod.node:
            self.kubelets[pod.node].poke()
        elif pod.name in self.api.pods:
            self.clock.after(BIND, lambda: self._bind(pod.uid))

    def _bind(self, uid: str) -> None:
        pod = next((p for p in self.api.pods.values() if p.uid == uid and not p.node), None)
        ready = [name for name, node in self.api.nodes.items() if node.ready and not node.out_of_service]
        if pod is None:
            return
        if ready:
            self.api.store(replace(pod, node=ready[pod.attempt % len(ready)]))
        else:
            self.clock.after(5, lambda: self._bind(uid))

    def _remember(self) -> None:
        for kubelet in self.kubelets.values():
            self.boxes.update(kubelet.boxes)


def _node(kubelet: Kubelet, moment: float) -> NodeView:
    """A node that works; since when it is Ready, each controller knows for itself."""
    return replace(make_node(kubelet.name, boot_id=kubelet.boot_id), ready_changed=kubelet.wall.at(moment))
