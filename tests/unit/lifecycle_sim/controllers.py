"""A controller as the core may meet it: its view is stale, its answers get lost, and it may die between two actions.

Contract: it acts only on its own view; each kind is read from the API server's log at a pace of its own. A plan is done
action by action, in order, and dropped at the first that fails. `audit` is told of every deed, with what was judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import assert_never

from desist.api.execution import WorkflowExecution
from desist.api.status import WorkflowExecutionStatus
from desist.controller.caches import Caches
from desist.controller.memory import Memory
from desist.controller.observe import with_live_pod
from desist.controller.views import NodeRecord
from desist.lifecycle.decide import decide
from desist.lifecycle.observed.pods import NodeView, PodView
from desist.lifecycle.observed.questions import Answer, CreateAnswer, Questions
from desist.lifecycle.observed.sight import Observed
from desist.lifecycle.plan import (
    AFTER_POST,
    Action,
    CreatePod,
    DeletePod,
    EmitEvent,
    Plan,
    PostMailbox,
    PushStop,
    WakeAt,
    WriteStatus,
)
from desist.lifecycle.settings import Settings
from desist.lifecycle.shown.contention import Contention, contested, written
from desist.lifecycle.view import current
from tests.unit.lifecycle_sim.api import ApiServer, Change, Conflict, Missing
from tests.unit.lifecycle_sim.audit import Audit
from tests.unit.lifecycle_sim.check_plan import decided
from tests.unit.lifecycle_sim.clock import EXACT, Wall
from tests.unit.lifecycle_sim.network import Network
from tests.unit.lifecycle_sim.pushing import Pushes

KINDS = ("execution", "pods", "nodes")
BACK_OFF = 1.0
LATE = 3.0


class Fate(Enum):
    """What becomes of a call."""

    DONE = "done"
    LOST = "lost"
    """It never arrives."""
    UNANSWERED = "unanswered"
    """It is done, and the answer is lost."""
    LATE = "late"
    """Its answer is lost, and a create is done some seconds later."""


@dataclass
class Controller:
    """One controller."""

    api: ApiServer
    audit: Audit
    network: Network
    wall: Wall = EXACT
    """Its clock; `set_to` sets the machine's, which it takes with its next start."""
    set_to: Wall | None = None
    settings: Settings = field(default_factory=Settings)
    paused: set[str] = field(default_factory=set)
    """Kinds whose events do not arrive."""
    wake: float | None = 0.0
    plan: list[Action] = field(default_factory=list)
    """What is left to do of the present plan."""

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Die, and begin anew with nothing but what the API server lists."""
        self.wall = self.set_to or self.wall
        self.began = self.now()
        self.caches, self.memory = Caches(), Memory(lambda: self.api.clock.now)
        self.plan = []
        self.judged: Observed | None = None
        self.execution = self.api.execution
        self.pods: dict[str, PodView] = {}
        self.deleted: dict[str, PodView] = {}
        self.nodes: set[str] = set()
        self.refusal: tuple[str, CreateAnswer] | None = None
        self.made: tuple[str, str] = ("", "")
        self.posted: dict[str, str] = {}
        self.pushes = Pushes(self.network, self.now, self.wake_all)
        self.contention: Contention | None = None
        self.cursors = dict.fromkeys(KINDS, len(self.api.log))
        for kind in KINDS:
            self.relist(kind)
        self.wake = self.api.clock.now

    def wake_all(self) -> None:
        """Something has arrived, that bears on whatever it may."""
        self.wake = self.api.clock.now

    def now(self) -> datetime:
        """What its clock shows."""
        return self.wall.at(self.api.clock.now)

    def relist(self, kind: str) -> None:
        """List a kind anew; what is gone since was missed, and so was how it ended."""
        self.cursors[kind] = len(self.api.log)
        match kind:
            case "execution":
                self._note(self.api.execution)
            case "pods":
                pods = (pod for pod in self.api.pods.values() if pod.uid not in self.api.unlabelled)
                listed = {pod.uid: self._dated(pod) for pod in pods}
                missed = {uid: pod for uid, pod in self.pods.items() if uid not in listed and pod.node}
                self.pods, self.deleted = listed, {**self.deleted, **missed}
            case _:
                for name in self.nodes - self.api.nodes.keys():
                    self._lose_node(name)
                for node in self.api.nodes.values():
                    self._see_node(node)
        self.wake = self.api.clock.now

    def deliver(self, kind: str, count: int | None = None) -> bool:
        """Let so many events of a kind arrive (None: all); tells whether there were any."""
        start = self.cursors[kind]
        arrived = False
        for change in self.api.log[start:]:
            if count is not None and count <= 0:
                break
            self.cursors[kind] += 1
            if change.kind == kind:
                count = None if count is None else count - 1
                arrived = True
                self._see(change)
        if arrived:
            self.wake = self.api.clock.now
        return arrived

    def repeat(self, kind: str) -> None:
        """The last event of a kind arrives once more."""
        changes = [change for change in self.api.log[: self.cursors[kind]] if change.kind == kind]
        if changes:
            self._see(changes[-1])
            self.wake = self.api.clock.now

    def observe(self) -> Observed:
        """What a pass sees, with the answers to its questions."""
        status = self.execution.status
        process = current(status) if status else None
        attempt = process.pod if process else ""
        refused, answer = self.refusal or ("", None)
        named = {pod.node for pod in (*self.pods.values(), *self.deleted.values())}
        named |= {process.node or "" for process in (status.processes if status else ())}
        seen = Observed(
            execution=self.execution,
            settings=self.settings,
            pods=tuple(self.pods.values()),
            deleted=tuple(self.deleted.values()),
            nodes=self.caches.nodes(named),
            created=answer if refused == attempt else None,
            made=self.made[1] if self.made[0] == attempt else "",
            field_manager="somebody",
            pushes=tuple(self.pushes.last.values()),
            began=self.began,
        )
        if attempt in {pod.name for pod in seen.pods}:
            self.memory.found(seen.execution.metadata.uid)
        return self.answered(seen)

    def answered(self, seen: Observed) -> Observed:
        """The observation with what the API server says to the core's questions."""
        while isinstance(asked := decide(seen, self.now()), Questions):
            if asked.dry_run:
                seen = replace(seen, dry_run=CreateAnswer(self.api.answer, "as it was tried"))
            if asked.live_pod is not None:
                seen = self._with_live_pod(seen, asked.live_pod.name)
            seen = replace(seen, operations_listed=seen.operations_listed or asked.operations)
            seen = self._with_live_nodes(seen, asked.live_nodes)
        return seen

    def _with_live_pod(self, seen: Observed, name: str) -> Observed:
        uid, found = seen.execution.metadata.uid, self.api.pods.get(name)
        if found is None:
            return with_live_pod(seen, None, self.memory.missed(uid, name, self.now()))
        self.memory.found(uid)
        return with_live_pod(seen, self._dated(found))

    def _dated(self, pod: PodView) -> PodView:
        seen_at = self.now() if pod.deletion_timestamp is not None else None
        return self.caches.dated(self.api.execution.metadata.uid, replace(pod, deletion_seen_at=seen_at))

    def _see_node(self, node: NodeView) -> None:
        self.nodes.add(node.name)
        self.caches.node_changed(NodeRecord(replace(node, ready_since=self.now()), "containerd://2.3.4"))

    def _lose_node(self, name: str) -> None:
        self.nodes.discard(name)
        self.caches.node_deleted(name)

    def _with_live_nodes(self, seen: Observed, names: tuple[str, ...]) -> Observed:
        cached = tuple(node for node in seen.nodes if node.name not in names)
        found = (replace(self.api.nodes[name], ready_since=self.now()) for name in names if name in self.api.nodes)
        live = tuple(self.caches.known_since(node) for node in found)
        return replace(seen, nodes=(*cached, *live), live_nodes=(*seen.live_nodes, *names))

    def begin(self) -> None:
        """Observe and decide; nothing is done yet."""
        self.wake = None
        self.judged = self.observe()
        now = self.wall.seconds(self.api.clock.now)
        plan = decided(self.judged, now)
        self.audit.planned(self.judged, plan, self.answered, now)
        self.plan = self._uncontested(plan)
        self.posted = {}

    def _uncontested(self, plan: Plan) -> list[Action]:
        """The plan's actions; what another one sees differently, and is only derived, is put off."""
        write = next((action for action in plan.actions if isinstance(action, WriteStatus)), None)
        if write is None:
            return list(plan.actions)
        now = self.now()
        found = contested(self.contention, self.execution.status, write.status, now)
        if found is None or found.until is None:
            return list(plan.actions)
        self.contention = found
        rest = [action for action in plan.actions if not isinstance(action, WriteStatus | EmitEvent)]
        return [*rest, WakeAt(found.until)]

    def act(self, fate: Fate = Fate.DONE) -> None:
        """Do the next action of the plan, or make one."""
        if not self.plan:
            self.begin()
            return
        action = self.plan.pop(0)
        try:
            if fate is not Fate.LOST and not (fate is Fate.LATE and isinstance(action, CreatePod)):
                self._do(action)
            if fate is Fate.LATE and isinstance(action, CreatePod):
                self.api.clock.after(LATE, lambda: self._create_late(action))
        except (Conflict, Missing):
            self._again()
            return
        if fate is not Fate.DONE and not isinstance(action, WakeAt | EmitEvent | PushStop):
            self._again()

    def run(self) -> None:
        """One pass, or the rest of one."""
        if not self.plan:
            self.begin()
        while self.plan:
            self.act()

    def _again(self) -> None:
        """Something is otherwise than it was judged, or nobody knows: read the execution, and decide anew soon."""
        self.plan = []
        if "execution" not in self.paused:
            self._note(self.api.execution)
        self.wake = self.api.clock.now + BACK_OFF

    def _do(self, action: Action) -> None:
        match action:
            case WriteStatus():
                assert self.judged is not None
                assert isinstance(action.status, WorkflowExecutionStatus)
                before = self.execution
                stored = self.api.put_status(before.metadata.resource_version, action.status)
                self.audit.wrote(self.judged, before, stored, self.wall)
                self.contention = written(self.contention, before.status, action.status)
                self._note(stored)
            case CreatePod():
                self._create(action)
            case PushStop():
                self.audit.pushes(action)
                self.pushes.send(action)
            case PostMailbox():
                pod = self.api.find(action.pod, action.uid, action.resource_version)
                self.audit.posts(pod, action, self.wall)
                self.posted[action.uid] = self.api.store(replace(pod, mailbox=action.text)).resource_version
            case DeletePod():
                version = action.resource_version
                version = self.posted[action.uid] if version == AFTER_POST else version
                pod = self.api.find(action.pod, action.uid, version)
                self.audit.deletes(pod, action, self.wall)
                self.api.delete(pod, action.grace_seconds)
            case EmitEvent():
                pass
            case WakeAt():
                moment = self.wall.when(action.when)
                self.wake = moment if self.wake is None else min(self.wake, moment)
            case _:
                assert_never(action)

    def _create(self, action: CreatePod) -> None:
        if self.api.answer is not Answer.PASSED:
            self.refusal = (action.name, CreateAnswer(self.api.answer, "no", self.now()))
            raise Conflict("refused")
        if action.name in self.api.taken:
            self.refusal = (action.name, CreateAnswer(Answer.TAKEN, "somebody's", self.now()))
            raise Conflict("taken")
        self.refusal = None
        if action.name not in self.api.pods:
            self.audit.created(self.execution, self.api.create(action))
        self.made = (action.name, self.api.pods[action.name].uid)

    def _create_late(self, action: CreatePod) -> None:
        if self.api.answer is Answer.PASSED and action.name not in {*self.api.pods, *self.api.taken}:
            self.audit.created(None, self.api.create(action))

    def _see(self, change: Change) -> None:
        thing = change.thing
        match thing:
            case WorkflowExecution():
                self._note(thing)
            case PodView():
                self._see_pod(thing, change.deleted)
            case NodeView():
                if change.deleted:
                    self._lose_node(thing.name)
                else:
                    self._see_node(thing)

    def _see_pod(self, pod: PodView, gone: bool) -> None:
        if gone:
            self.pods.pop(pod.uid, None)
            self.deleted[pod.uid] = pod
        else:
            self.pods[pod.uid] = self._dated(pod)

    def _note(self, execution: WorkflowExecution) -> None:
        if int(execution.metadata.resource_version) >= int(self.execution.metadata.resource_version):
            self.execution = execution
