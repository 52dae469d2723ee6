"""The whole simulation of a run with operations: its workflow process asks for them, and asks again after a restart.

Contract: as `simulation`. A create is on its way for some seconds and commits then, whether or not who sent it lives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from desist.api.base import Opaque
from desist.api.cancellation import Cancellation
from desist.api.meta import ObjectMeta
from desist.api.operation import (
    CreatedBy,
    ExecutionRef,
    LocalWork,
    Operation,
    OperationSpec,
    PodWork,
    TimerWork,
    operation_name,
)
from desist.api.vocabulary import ClosePolicy, Mode
from desist.api.workflow import RetryPolicy
from tests.unit.lifecycle_sim.controllers import KINDS, Controller
from tests.unit.lifecycle_sim.kubelet import Box
from tests.unit.lifecycle_sim.operation_audit import OperationAudit
from tests.unit.lifecycle_sim.operation_controllers import OPERATIONS, OperationController
from tests.unit.lifecycle_sim.processes import Program
from tests.unit.lifecycle_sim.rules import ENDS
from tests.unit.lifecycle_sim.simulation import HELD_FOR, LONG, PASSES, Simulation

WORKS = (
    Program("succeeds", runs=8),
    Program("succeeds soon", runs=0.4),
    Program("fails", runs=5, code=1),
    Program("long", runs=200, cleanup=3),
    Program("long and deaf", runs=300, cleanup=None),
)
STRENGTH = {None: 0, "Cancel": 1, "Kill": 4}


class OperationSimulation(Simulation):
    """One execution's life, with operations."""

    def __init__(self, program: Program, **options: Any) -> None:
        super().__init__(program, **options)
        self.audit: OperationAudit = OperationAudit(self.cluster)
        self.controllers = [self._controller()]
        self.asked: list[tuple[OperationSpec, Program]] = []

    def _controller(self) -> Controller:
        return OperationController(self.cluster.api, self.audit, self.network, settings=self.settings)

    def ask(self, kind: str, policy: ClosePolicy, work: Program, tries: int, flight: float) -> None:
        """The workflow process that runs now asks for an operation."""
        box, run_id = self._workflow(), self.status.run_id
        if box is None or run_id is None or len(self.asked) >= 4:
            return
        metadata = self.cluster.api.execution.metadata
        kinds: dict[str, dict[str, Any]] = {
            "pod": {"pod": PodWork(command=("work",))},
            "timer": {"timer": TimerWork(delay_milliseconds=20_000)},
            "local": {"local": LocalWork(outcome=Opaque.of({"outcome": "Succeeded"}))},
        }
        spec = OperationSpec(
            execution_ref=ExecutionRef(name=metadata.name, uid=metadata.uid),
            run_id=run_id,
            key=f"key-{len(self.asked)}",
            created_by=CreatedBy(pod_name=box.pod.name, pod_uid=box.pod.uid),
            close_policy=policy,
            retry_policy=RetryPolicy(maximum_attempts=tries),
            **kinds[kind],
        )
        self.asked.append((spec, work))
        self.cluster.clock.after(flight, lambda: self._commit(spec, work))

    def stop_one(self, which: int, request: Cancellation) -> None:
        """Patch `spec.cancellation` of one; the API refuses a weaker one while it is open."""
        held = list(self.cluster.api.operations.values())
        if not held:
            return
        operation = held[which % len(held)]
        before = operation.spec.cancellation
        if before is not None and before.mode.strength >= request.mode.strength:
            return
        metadata = operation.metadata.replace(generation=operation.metadata.generation + 1)
        spec = operation.spec.replace(cancellation=request)
        self.cluster.api.store_operation(operation.replace(metadata=metadata, spec=spec))

    def _workflow(self) -> Box | None:
        boxes = (box for box in self.cluster.alive() if not box.pod.operation and box.process is not None)
        return next((box for box in boxes if box.process and box.process.alive and box.process.ran), None)

    def _commit(self, spec: OperationSpec, work: Program) -> None:
        ref = spec.execution_ref
        name = operation_name(ref.name, ref.uid, spec.run_id, spec.key)
        held = self.cluster.api.operations.get(name)
        if held is None:
            meta = ObjectMeta(name=name, namespace=self.cluster.api.execution.metadata.namespace, uid="", generation=1)
            made = self.cluster.api.store_operation(Operation(metadata=meta, spec=spec))
            self.cluster.works[made.metadata.uid] = work
            return
        begun = held.status is not None and (held.status.attempt is not None or held.status.due_at is not None)
        if not begun and _number(held.spec) < _number(spec):
            self.cluster.api.store_operation(held.replace(spec=held.spec.replace(created_by=spec.created_by)))

    def _ask_again(self) -> None:
        """A later attempt of the workflow process asks for all that an earlier one has."""
        box = self._workflow()
        for index, (spec, work) in enumerate(self.asked):
            if box is None or spec.run_id != box.pod.run_id or spec.created_by.pod_uid == box.pod.uid:
                continue
            again = spec.replace(created_by=CreatedBy(pod_name=box.pod.name, pod_uid=box.pod.uid))
            self.asked[index] = (again, work)
            self._commit(again, work)

    def _advance(self, moment: float) -> None:
        super()._advance(moment)
        self._ask_again()

    def settle(self) -> None:
        """Every controller sees what arrives, and does all that is due now, of the run and of each operation."""
        for count in range(2 * PASSES):
            busy = False
            if count == HELD_FOR and len(self.controllers) > 1:
                self._release()
            for controller in self.controllers:
                busy = self._turn(controller) or busy
            if not busy:
                return
        raise AssertionError("the controllers do not come to rest")

    def _turn(self, controller: Controller) -> bool:
        assert isinstance(controller, OperationController)
        for kind in (*KINDS, OPERATIONS):
            if kind not in controller.paused:
                controller.deliver(kind)
        due = [w for w in (*controller.workers.values(),) if w.plan or (w.wake is not None and w.wake <= self.now)]
        run = bool(controller.plan) or (controller.wake is not None and controller.wake <= self.now)
        if run:
            controller.run()
        for worker in due:
            worker.run()
        self.audit.check()
        return run or bool(due)

    def idle(self, seconds: float) -> None:
        """Time passes, the controllers work."""
        end = self.now + seconds
        while True:
            self.settle()
            moments = [m for m in (self.cluster.clock.next, *self._wakes()) if m is not None and m <= end]
            if not moments:
                break
            self._advance(max(min(moments), self.now))
        self._advance(end)
        self.settle()

    def _wakes(self) -> Iterator[float | None]:
        for controller in self.controllers:
            assert isinstance(controller, OperationController)
            yield controller.wake
            yield from (each.wake for each in controller.workers.values())

    def finish(self) -> None:
        """After all faults have ceased and much time has passed, nothing is left that should not be."""
        self.heal()
        for controller in self.controllers:
            assert isinstance(controller, OperationController)
            controller.wake_all()
        # A deaf process ignores a mere Cancel for ever.
        for which, operation in enumerate(list(self.cluster.api.operations.values())):
            if operation.spec.cancellation is not None:
                self.stop_one(which, Cancellation(mode=Mode.KILL))
        self.idle(LONG)
        run, held = self.status, self.cluster.api.operations.values()
        if self._must_have_ended():
            assert run.phase in ENDS, f"the run is still {run.phase}, it waits on {run.waiting_on}"
        if run.phase not in ENDS:
            return
        open_ = [op.spec.key for op in held if op.status is None or op.status.phase not in ENDS]
        assert not open_, f"the run has ended, and {open_} are open"
        assert not self.audit.living(""), "a process lives on"
        counts = run.operations
        assert counts is None or (counts.open, counts.left_over) == (0, 0), counts
        assert not held or counts is not None


def _number(spec: OperationSpec) -> int:
    return int(spec.created_by.pod_name.rpartition("-")[2])
