"""A controller that does operations too: its view of them is stale, and each has a plan of its own.

Contract: as `controllers`. The run and every operation are reconciled side by side: between two actions of one plan
any action of another may come. A pod is made only where what is known of the execution is still what was judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from desist.api.operation import Operation
from desist.api.status import OperationStatus
from desist.controller.observe import with_live_pod
from desist.controller.waking import bearing
from desist.lifecycle.decide import decide, decide_operation
from desist.lifecycle.observed.questions import Answer, CreateAnswer, Questions
from desist.lifecycle.observed.sight import Observed, ObservedOperation
from desist.lifecycle.operation.seen import seen_of
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
from desist.lifecycle.proof.process import ended
from desist.lifecycle.shown.contention import Contention, contested, written
from desist.lifecycle.view import current
from tests.unit.lifecycle_sim.api import Change, Conflict, Missing
from tests.unit.lifecycle_sim.controllers import BACK_OFF, LATE, Controller, Fate
from tests.unit.lifecycle_sim.operation_audit import OperationAudit

OPERATIONS = "operations"


@dataclass
class Worker:
    """What one controller does about one operation."""

    of: OperationController
    uid: str
    wake: float | None = 0.0
    plan: list[Action] = field(default_factory=list)
    judged: ObservedOperation | None = None
    made: tuple[str, str] = ("", "")
    refusal: tuple[str, CreateAnswer] | None = None
    posted: dict[str, str] = field(default_factory=dict)
    contention: Contention | None = None

    def run(self) -> None:
        """One reconcile, or the rest of one."""
        if not self.plan:
            self.begin()
        while self.plan:
            self.act()

    def begin(self) -> None:
        """Observe and decide; nothing is done yet."""
        self.wake, self.posted = None, {}
        seen = self._observe()
        for _ in range(8):
            decided = decide_operation(seen, self.of.now())
            if isinstance(decided, Plan):
                self.judged, self.plan = seen, self._uncontested(decided, seen.operation.status)
                return
            seen = self._answered(seen, decided)
        raise AssertionError(f"there is still a question: {decided}")

    def _uncontested(self, plan: Plan, known: OperationStatus | None) -> list[Action]:
        """The plan's actions; what another controller sees differently, and is only derived, is put off."""
        write = next((action for action in plan.actions if isinstance(action, WriteStatus)), None)
        found = contested(self.contention, known, write.status, self.of.now()) if write is not None else None
        if found is None or found.until is None:
            return list(plan.actions)
        self.contention = found
        return [*(a for a in plan.actions if not isinstance(a, WriteStatus | EmitEvent)), WakeAt(found.until)]

    def act(self, fate: Fate = Fate.DONE) -> None:
        """Do the next action of the plan, or make one."""
        if not self.plan:
            self.begin()
            return
        action = self.plan.pop(0)
        late = fate is Fate.LATE and isinstance(action, CreatePod)
        try:
            if late:
                self.of.api.clock.after(LATE, lambda: self._make_late(action))
            elif fate is not Fate.LOST:
                self._do(action)
        except (Conflict, Missing):
            self._again()
            return
        if fate is not Fate.DONE and not isinstance(action, PushStop):
            self._again()

    def _again(self) -> None:
        self.plan = []
        self.of.note_operation(self._stored())
        if "execution" not in self.of.paused:
            self.of._note(self.of.api.execution)
        self.wake = self.of.api.clock.now + BACK_OFF

    def _stored(self) -> Operation:
        return next(op for op in self.of.api.operations.values() if op.metadata.uid == self.uid)

    def _observe(self) -> ObservedOperation:
        operation = self.of.operations[self.uid]
        process = current(operation.status) if operation.status else None
        attempt = process.pod if process else ""
        pods = tuple(pod for pod in self.of.pods.values() if pod.operation == self.uid)
        deleted = tuple(pod for pod in self.of.deleted.values() if pod.operation == self.uid)
        named = {pod.node for pod in (*pods, *deleted)} | {(process.node if process else "") or ""}
        refused, answer = self.refusal or ("", None)
        if attempt in {pod.name for pod in pods}:
            self.of.memory.found(self.uid)
        return ObservedOperation(
            operation=operation,
            execution=self.of.execution,
            settings=self.of.settings,
            pods=pods,
            deleted=deleted,
            nodes=self.of.caches.nodes(named),
            created=answer if refused == attempt else None,
            made=self.made[1] if self.made[0] == attempt else "",
            pushes=tuple(self.of.pushes.last.values()),
            began=self.of.began,
        )

    def _answered(self, seen: ObservedOperation, asked: Questions) -> ObservedOperation:
        api = self.of.api
        if asked.execution:
            seen = replace(seen, execution=api.execution, execution_read=True)
        if asked.creator:
            pod = api.pods.get(seen.operation.spec.created_by.pod_name)
            over = pod is None or ended(pod) or pod.deletion_timestamp is not None
            seen = replace(seen, creator_read=True, creator_uid="" if over or pod is None else pod.uid)
        if asked.live_pod is not None:
            seen = self._with_live_pod(seen, asked.live_pod.name)
        seen = replace(seen, arguments_read=seen.arguments_read or asked.arguments)
        return self.of.with_live_nodes(seen, asked.live_nodes)

    def _with_live_pod(self, seen: ObservedOperation, name: str) -> ObservedOperation:
        found = self.of.api.pods.get(name)
        if found is None:
            return with_live_pod(seen, None, self.of.memory.missed(self.uid, name, self.of.now()))
        self.of.memory.found(self.uid)
        return with_live_pod(seen, self.of._dated(found))

    def _do(self, action: Action) -> None:
        api, audit = self.of.api, self.of.operation_audit
        match action:
            case WriteStatus():
                assert isinstance(action.status, OperationStatus)
                before = self.of.operations[self.uid]
                stored = api.put_operation_status(before, action.status)
                audit.wrote_operation(before, stored)
                self.contention = written(self.contention, before.status, action.status)
                self.of.note_operation(stored)
            case CreatePod():
                self._create(action)
            case PushStop():
                audit.pushes(action)
                self.of.pushes.send(action)
            case PostMailbox():
                pod = api.find(action.pod, action.uid, action.resource_version)
                audit.shares_no_sequence(action)
                self.posted[action.uid] = api.store(replace(pod, mailbox=action.text)).resource_version
            case DeletePod():
                version = action.resource_version
                pod = api.find(action.pod, action.uid, self.posted[action.uid] if version == AFTER_POST else version)
                api.delete(pod, action.grace_seconds)
            case WakeAt():
                moment = self.of.wall.when(action.when)
                self.wake = moment if self.wake is None else min(self.wake, moment)
            case _:
                pass

    def _create(self, action: CreatePod) -> None:
        api, seen = self.of.api, self.judged
        assert seen is not None and seen.execution is not None
        if bearing(self.of.execution) != bearing(seen.execution):
            raise Conflict("the execution has changed")
        if api.answer is not Answer.PASSED:
            self.refusal = (action.name, CreateAnswer(api.answer, "no", self.of.now()))
            raise Conflict("refused")
        self.refusal = None
        if action.name not in api.pods:
            self.of.operation_audit.made(api.create(action))
        self.made = (action.name, api.pods[action.name].uid)

    def _make_late(self, action: Action) -> None:
        assert isinstance(action, CreatePod)
        if self.of.api.answer is Answer.PASSED and action.name not in self.of.api.pods:
            self.of.operation_audit.made(self.of.api.create(action), late=True)


@dataclass
class OperationController(Controller):
    """One controller."""

    @property
    def operation_audit(self) -> OperationAudit:
        """What watches it."""
        assert isinstance(self.audit, OperationAudit)
        return self.audit

    def restart(self) -> None:
        """Die, and begin anew."""
        self.operations: dict[str, Operation] = {}
        self.workers: dict[str, Worker] = {}
        super().restart()
        self.relist(OPERATIONS)

    def relist(self, kind: str) -> None:
        """List a kind anew."""
        if kind != OPERATIONS:
            super().relist(kind)
            return
        self.cursors[kind] = len(self.api.log)
        for operation in self.api.operations.values():
            self.note_operation(operation)

    def note_operation(self, operation: Operation) -> None:
        """Keep it, if it is newer than what is known."""
        uid, known = operation.metadata.uid, self.operations.get(operation.metadata.uid)
        if known is None or int(known.metadata.resource_version) < int(operation.metadata.resource_version):
            self.operations[uid] = operation
        self.workers.setdefault(uid, Worker(self, uid))
        self.wake_all()

    def wake_all(self) -> None:
        """Something has arrived, that bears on whatever it may."""
        self.wake = self.api.clock.now
        for worker in self.workers.values():
            worker.wake = self.api.clock.now

    def deliver(self, kind: str, count: int | None = None) -> bool:
        """Let so many events of a kind arrive."""
        arrived = super().deliver(kind, count)
        if arrived:
            self.wake_all()
        return arrived

    def begin(self) -> None:
        """Observe and decide."""
        self.wake = None
        seen = self.observe()
        plan = decide(seen, self.now())
        assert isinstance(plan, Plan)
        self.judged, self.plan, self.posted = seen, self._uncontested(plan), {}

    def answered(self, seen: Observed) -> Observed:
        """The observation with all that is known of operations, and with the answers."""
        seen = self._with_operations(seen)
        while isinstance(asked := decide(seen, self.now()), Questions):
            if asked.operations:
                for operation in self.api.operations.values():
                    self.note_operation(operation)
                self.wake = None
                seen = replace(self._with_operations(seen), operations_listed=True)
            left = replace(asked, operations=False)
            if left.dry_run:
                seen = replace(seen, dry_run=CreateAnswer(self.api.answer, "as it was tried"))
            if left.live_pod is not None:
                seen = self._with_live_pod(seen, left.live_pod.name)
            seen = self._with_live_nodes(seen, left.live_nodes)
        return seen

    def _with_operations(self, seen: Observed) -> Observed:
        own = tuple(pod for pod in seen.pods if not pod.operation)
        return replace(
            seen,
            pods=own,
            deleted=tuple(pod for pod in seen.deleted if not pod.operation),
            operations=tuple(seen_of(operation) for operation in self.operations.values()),
            operation_pods=tuple(pod for pod in self.pods.values() if pod.operation),
        )

    def with_live_nodes(self, seen: ObservedOperation, names: tuple[str, ...]) -> ObservedOperation:
        """Likewise, of an operation."""
        cached = tuple(node for node in seen.nodes if node.name not in names)
        found = (replace(self.api.nodes[name], ready_since=self.now()) for name in names if name in self.api.nodes)
        live = tuple(self.caches.known_since(node) for node in found)
        return replace(seen, nodes=(*cached, *live), live_nodes=(*seen.live_nodes, *names))

    def _see(self, change: Change) -> None:
        if isinstance(change.thing, Operation):
            self.note_operation(change.thing)
        else:
            super()._see(change)
