"""What must hold of every deed about operations, judged with the truth that only the simulation knows.

Contract: as `audit`, and written from the promises. Counted apart: a pod that was made although nothing asked for it
any more (a create that came late, or an ex-leader's); it is stopped as a late start.
"""

from __future__ import annotations

from desist.api.execution import WorkflowExecution
from desist.api.operation import Operation
from desist.api.status import OperationStatus, WorkflowExecutionStatus
from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.observed.sight import Observed
from desist.lifecycle.plan import DeletePod, PostMailbox, PushStop
from tests.unit.lifecycle_sim.audit import Audit
from tests.unit.lifecycle_sim.clock import Wall
from tests.unit.lifecycle_sim.cluster import SimulatedCluster
from tests.unit.lifecycle_sim.kubelet import Box
from tests.unit.lifecycle_sim.rules import ENDS

OPEN = {"Pending", "Running", "Cancelling", "KillCancelling"}


class OperationAudit(Audit):
    """Watches runs that have operations."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        super().__init__(cluster)
        self.late_pods: set[str] = set()
        self.given_up: set[str] = set()
        """UIDs of pods whose operation's status closed them without proof."""
        self.begun: dict[tuple[str, int], str] = {}

    def planned(self, judged: Observed, plan: object, answered: object, now: float) -> None:
        """Plans of runs are judged in the simulation without operations."""

    def wrote(self, judged: Observed, before: WorkflowExecution, after: WorkflowExecution, wall: Wall) -> None:
        """The run's status was written."""
        old, new = before.status or WorkflowExecutionStatus(), after.status
        assert new is not None
        if old.phase in ENDS:
            assert new.phase == old.phase, "the end of a run changes"
        told = [entry.operation for entry in new.history if entry.operation]
        assert len(told) == len(set(told)), f"an operation is told of twice: {told}"
        if new.phase in ENDS and old.phase not in ENDS:
            self._at_the_end(new)

    def wrote_operation(self, before: Operation, after: Operation) -> None:
        """An operation's status was written."""
        old, new = before.status or OperationStatus(), after.status
        assert new is not None
        if new.processes and new.processes[0].state == "unproven" and new.processes[0].pod_uid:
            self.given_up.add(new.processes[0].pod_uid)
        if old.phase in ENDS:
            for name in ("phase", "end_time", "failure", "result", "attempt"):
                assert getattr(new, name) == getattr(old, name), f"{name} of an operation changes after its end"
        elif new.phase in ENDS:
            alive = [box.pod.name for box in self.living(after.metadata.uid)]
            assert not alive, f"operation {after.spec.key} is {new.phase} while {alive} live"

    def made(self, pod: PodView, *, late: bool = False) -> None:
        """A pod of an operation was created."""
        operation = next(op for op in self.cluster.api.operations.values() if op.metadata.uid == pod.operation)
        own, run = operation.status, self.cluster.api.execution.status
        held = own.processes[0] if own is not None and own.processes else None
        asked = held is not None and held.pod == pod.name and held.pod_uid is None and held.state not in ("gone",)
        stopped = own is None or own.phase not in ("Pending", "Running")
        if late or not asked or stopped:
            self.late_pods.add(pod.uid)
            return
        key = (pod.operation, pod.attempt)
        before = self.cluster.box(self.begun.get(key, ""))
        # One that somebody has deleted before its status named it is made once more.
        assert before is None or not before.alive, "an attempt has two processes"
        self.begun[key] = pod.uid
        abandoned = operation.spec.close_policy == "Abandon"
        assert run is not None and (run.phase not in ENDS or abandoned), "an operation begins after its run's end"

    def pushes(self, push: PushStop) -> None:
        """A stop is about to be pushed, of the run or of an operation."""
        self.shares_no_sequence(push)

    def posts(self, pod: PodView, action: PostMailbox, wall: Wall) -> None:
        """A mailbox is about to be written by the run's reconcile."""

    def deletes(self, pod: PodView, action: DeletePod, wall: Wall) -> None:
        """A pod is about to be deleted by the run's reconcile."""

    def created(self, known: WorkflowExecution | None, pod: PodView) -> None:
        """A pod of the workflow process was created."""

    def check(self) -> None:
        """No operation has two living processes that are not late."""
        alive = [box.pod.operation for box in self.living("")]
        assert len(alive) == len(set(alive)), f"two processes of one operation: {alive}"

    def living(self, uid: str) -> list[Box]:
        """Pods of that operation (empty: of any) whose command truly runs, but for what is counted apart."""
        apart = self.late_pods | self.given_up | self.cluster.forced
        boxes = (b for b in self.cluster.alive() if b.pod.operation and b.process and b.process.ran and b.process.alive)
        return [box for box in boxes if box.pod.uid not in apart and uid in ("", box.pod.operation)]

    def _at_the_end(self, run: WorkflowExecutionStatus) -> None:
        alive = self.living("")
        left = run.operations.left_over if run.operations is not None else 0
        assert len(alive) <= left, f"the run is {run.phase} while {[b.pod.name for b in alive]} live, {left} left over"
        if run.phase in ("Terminated", "TimedOut"):
            assert not alive
