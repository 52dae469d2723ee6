"""What must hold of every deed of every controller, judged with the truth that only the simulation knows.

Contract: controllers report each plan, write, create, posting and delete here, before or as it takes effect; the checks
are the lists `PLAN_CHECKS` and `WRITE_CHECKS`. A check raises AssertionError. Counted apart, as the documents count
them: late starts, pods that were forgotten by force, and processes that a status marks as unproven.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from desist.api.execution import WorkflowExecution
from desist.api.status import WorkflowExecutionStatus
from desist.lifecycle.observed.pods import ContainerPhase, PodView
from desist.lifecycle.observed.sight import Observed
from desist.lifecycle.plan import DeletePod, Plan, PostMailbox, PushStop
from desist.lifecycle.wire import mailbox
from tests.unit.lifecycle_sim.check_clocks import CLOCK_CHECKS
from tests.unit.lifecycle_sim.check_plan import PLAN_CHECKS
from tests.unit.lifecycle_sim.check_write import WRITE_CHECKS, Write, current
from tests.unit.lifecycle_sim.clock import Wall
from tests.unit.lifecycle_sim.cluster import SimulatedCluster
from tests.unit.lifecycle_sim.rules import ENDS, RANK
from tests.unit.lifecycle_sim.times import Times

REPEATS = (timedelta(seconds=3), timedelta(seconds=20))
"""A posting is repeated once after each."""


class Audit:
    """Watches everything."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self.late: set[str] = set()
        """UIDs of pods that were created although the stored status did not ask for them."""
        self.unproven: set[str] = set()
        """UIDs of pods that some status closed without proof."""
        self.recorded: set[str] = set()
        """UIDs of pods that some status named as the current attempt's."""
        self.judges_plans = True
        """False to save time: most of it goes into what plans would lead to."""
        self.writes: list[Write] = []
        self.times = Times(cluster.clock)
        self.asked: dict[tuple[str, int], str] = {}
        """By UID of the pod and sequence: what was pushed and posted under it."""

    @property
    def apart(self) -> set[str]:
        """UIDs of pods that are counted apart.

        One that was forgotten by force only if no status ever knew it; and one without our label whose node was given
        up: the node's word has ended it, and when the node is back, no watch shows that its kubelet starts it then.
        """
        lost = self.cluster.api.unlabelled & self.cluster.given_up
        return self.late | self.unproven | lost | (self.cluster.forced - self.recorded)

    def planned(self, judged: Observed, plan: Plan, answered: Callable[[Observed], Observed], now: float) -> None:
        """A controller has decided, `now` by its own clock."""
        for check in PLAN_CHECKS if self.judges_plans else ():
            check(judged, plan, answered, now)

    def wrote(self, judged: Observed, before: WorkflowExecution, after: WorkflowExecution, wall: Wall) -> None:
        """A status was written."""
        old, new = before.status or WorkflowExecutionStatus(), after.status
        assert new is not None
        process = current(new)
        if process is not None and process.pod_uid:
            self.recorded.add(process.pod_uid)
            self.unproven |= {process.pod_uid} if process.state == "unproven" else set()
        write = Write(judged, old, new, self.cluster, self.apart, wall, self.times)
        self.writes.append(write)
        for check in (*WRITE_CHECKS, *CLOCK_CHECKS):
            check(write)
        self.times.wrote(write)

    def created(self, known: WorkflowExecution | None, pod: PodView) -> None:
        """A pod was created; `known` is the execution as its creator knew it, None for a call that came late."""
        stored = self.cluster.api.execution.status
        if stored is None or not _asks_for(stored, pod):
            self.late.add(pod.uid)
        if known is not None:
            assert known.status is not None, "a pod is created before its attempt is in status"
            assert _asks_for(known.status, pod), f"a pod is created while the run is {known.status.phase}"

    def pushes(self, push: PushStop) -> None:
        """A stop is about to be pushed."""
        self.shares_no_sequence(push)
        stop, pod = mailbox.parse(push.text), self.cluster.api.pods.get(push.pod)
        assert stop is not None and stop.sequence == push.sequence
        if pod is None or pod.uid != push.uid or pod.uid in self._unwanted(pod):
            return
        status = self._stored()
        assert status.phase in RANK and RANK[status.phase] >= RANK["Cancelling"], "a stop that nobody asked for"
        assert stop.command_id in {record.id for record in status.commands}, "a stop without a command in status"
        assert stop.grace_seconds is None or status.phase != "Cancelling", "a Cancel with a deadline"

    def shares_no_sequence(self, deed: PushStop | PostMailbox) -> None:
        """A launcher takes each sequence once."""
        stop = mailbox.parse(deed.text)
        assert stop is not None, "a malformed stop"
        known = self.asked.setdefault((deed.uid, stop.sequence), deed.asks)
        assert known == deed.asks, f"{known} and {deed.asks} have one sequence"

    def posts(self, pod: PodView, action: PostMailbox, wall: Wall) -> None:
        """A mailbox is about to be written."""
        old, new = mailbox.parse(pod.mailbox), mailbox.parse(action.text)
        assert new is not None, "a malformed stop is posted"
        self.shares_no_sequence(action)
        if old is not None and new == replace(old, repeated_at=new.repeated_at):
            self._repeats(pod, new, old)
            return
        if new.deadline is not None and self.times.posted(pod, new, wall):
            self.cluster.api.kill_by(pod.uid, wall.when(new.deadline))
        assert new.sequence > (old.sequence if old else 0), "the sequence does not rise"
        assert new.repeated_at is None, "a new stop is called repeated"
        assert pod.deletion_timestamp is None or pod.uid in self._unwanted(pod), "nothing arrives in a deleted pod"
        if old is not None:
            assert new.mode.strength >= old.mode.strength, "a weaker stop is posted"
            assert old.deadline is None or (new.deadline is not None and new.deadline <= old.deadline)
            assert new != replace(old, sequence=new.sequence, repeated_at=None), "the same stop is posted as a new one"
        if pod.uid not in self._unwanted(pod):
            status = self._stored()
            assert status.phase in RANK and RANK[status.phase] >= RANK["Cancelling"], "a stop that nobody asked for"
            assert new.command_id in {record.id for record in status.commands}, "a stop without a command in status"
            assert new.grace_seconds is None or status.phase != "Cancelling", "a Cancel with a deadline"

    def _repeats(self, pod: PodView, new: mailbox.Stop, old: mailbox.Stop) -> None:
        assert new.repeated_at is not None and pod.workflow.phase is ContainerPhase.RUNNING
        assert pod.deletion_timestamp is None, "nothing arrives in a deleted pod"
        before = None if old.repeated_at is None else old.repeated_at - old.posted_at
        first, second = REPEATS
        due = first if before is None else second
        assert new.repeated_at - new.posted_at >= due, "the same stop is posted too early"
        assert before is None or before < second, "a posting is repeated for ever"

    def deletes(self, pod: PodView, action: DeletePod, wall: Wall) -> None:
        """A pod is about to be deleted by a controller."""
        assert action.grace_seconds != 0, "grace 0 only forgets a pod"
        if pod.uid in self._unwanted(pod):
            return
        status = self._stored()
        assert status.phase in RANK and RANK[status.phase] >= RANK["Cancelling"], "a pod is deleted and nobody asked"
        waiting = pod.workflow.phase is ContainerPhase.WAITING
        assert waiting or status.phase != "Cancelling", "a process that runs is killed by a mere Cancel"
        assert not waiting or pod.mailbox, "a pod is deleted before its mailbox is written"
        assert waiting or self.times.grace_is_over(pod, wall), "a grace is cut short"

    def check(self) -> None:
        """What must hold at any time."""
        running = [box for box in self.cluster.alive() if box.process and box.process.alive and box.process.ran]
        counted = [box for box in running if box.pod.uid not in self.apart]
        assert len(counted) <= 1, f"two processes of one run: {[box.pod.name for box in counted]}"

    def _stored(self) -> WorkflowExecutionStatus:
        status = self.cluster.api.execution.status
        assert status is not None
        return status

    def _unwanted(self, pod: PodView) -> set[str]:
        """UIDs of pods that may be stopped whatever the run does: late starts, and what came in place of another."""
        status = self._stored()
        process = current(status)
        recorded = process.pod_uid if process is not None else None
        other = pod.attempt != status.attempt or (recorded is not None and recorded != pod.uid)
        over = status.phase in ENDS
        return {*self.late, *self.unproven, *({pod.uid} if other or over else ())}


def _asks_for(status: WorkflowExecutionStatus, pod: PodView) -> bool:
    process = current(status)
    wanted = status.phase in ("Pending", "Running") and status.next_attempt_at is None
    unseen = process is not None and process.pod_uid is None
    return wanted and unseen and (status.run_id, status.attempt) == (pod.run_id, pod.attempt)
