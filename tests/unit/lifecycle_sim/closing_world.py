"""What happens around the two controllers of the exhaustive search: the API server, the pods, and who asks for stops.

Contract: `first` is where a case begins. `moves` are the steps that nobody plans: a create arrives, a container starts,
a process ends, a stop is asked for. `act` carries out the next action of a controller's plan as the API server would,
under the UID and the version that it names; where that is refused, the rest of the plan is dropped. Nothing here asks
the core what to do. A pod's version rises with each change of it; all else has none (`closing_states`).
A push is a step, too: from then on the process may end, with no mailbox in its pod yet; one that is lost is as one that
a program does not follow. It is remembered by nobody, since what is remembered decides nothing (`check_pushes`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from desist.api.cancellation import Cancellation
from desist.api.execution import WorkflowExecution
from desist.api.operation import Operation, TimerWork
from desist.api.status import OperationStatus, WorkflowExecutionStatus
from desist.api.vocabulary import ClosePolicy, Mode, ProcessRole
from desist.lifecycle.observed.pods import ContainerPhase, PodView
from desist.lifecycle.observed.pushes import PushTo
from desist.lifecycle.plan import AFTER_POST, Action, CreatePod, DeletePod, PostMailbox, PushStop, WriteStatus
from desist.lifecycle.proof.process import ended
from desist.lifecycle.wire import mailbox
from tests.support.builders import PodBuilder, at, make_pod, receipt
from tests.unit.lifecycle.operation_world import Operations
from tests.unit.lifecycle_sim.closing_states import NONE, Case, Kept, Sees, State

NOW = at(10)
"""Time stands still."""
KEY = "0a1b2c3d"
"""Of pushes."""
POSTINGS = 5
"""The highest sequence of a mailbox, enough for all commands of a case. Of two controllers, one may not see the run's
stop yet, and the other not what the first has written of the operation: each takes the other's posting for nobody's,
and replaces it for as long as both are behind. So without a bound there is no end of states."""


@dataclass(frozen=True, slots=True)
class World:
    """All that is not a decision, in one case."""

    case: Case
    kept: Kept

    def first(self) -> State:
        """The create of the operation is on its way; nobody has seen anything but the run."""
        made, number = Operations(), self.kept.number
        work: dict[str, Any] = {"timer": TimerWork(delay_milliseconds=3_600_000)} if self.case.timer else {}
        operation = made.create("a", close_policy=self.case.policy, **work)
        execution = made.run.execution.obj()
        sees = Sees(number(execution))
        stored = execution if self.case.mode is None else _asked(execution, self.case.mode)
        return State(number(stored), number(made.run.pod.obj()), (sees, sees), number(operation))

    def moves(self, state: State) -> Iterator[State]:
        """What may happen next, whatever the controllers do."""
        if state.sent != NONE:
            yield state._replace(operation=state.sent, sent=NONE)
        run_pod, pod, execution = self.kept[state.run_pod], self.kept[state.pod], self.kept[state.execution]
        if not ended(run_pod):
            yield state._replace(run_pod=self._over(run_pod))
        if pod is not None and not ended(pod):
            if pod.workflow.phase is ContainerPhase.WAITING:
                yield state._replace(pod=self._changed(PodBuilder(pod).running(3).obj()))
            elif pod.mailbox or state.heard or pod.deletion_timestamp or self.case.policy is not ClosePolicy.STOP:
                yield state._replace(pod=self._over(pod))
        asked = execution.spec.cancellation
        if self.case.then is not None and (asked is None or asked.mode is not self.case.then):
            yield state._replace(execution=self.kept.number(_asked(execution, self.case.then)))

    def act(self, state: State, who: int, sees: Sees) -> State:
        """The next action of the plan that this controller has."""
        action: Action = self.kept[sees.plan[0]]
        dropped = sees._replace(plan=(), about="", judged=NONE, posted="")
        left = sees._replace(plan=sees.plan[1:]) if sees.plan[1:] else dropped
        match action:
            case WriteStatus():
                return self._write(state, who, left, sees, action)
            case CreatePod() if state.pod == NONE:
                made = self._made(action, state)
                return state._replace(pod=made, late=state.late or state.missed).saw(who, left)
            case PushStop() if state.pod != NONE and self.kept[state.pod].uid == action.uid:
                return state._replace(heard=True).saw(who, left)
            case PostMailbox() | DeletePod():
                return self._touch(state, who, left, dropped, action)
            case _:
                return state.saw(who, left)

    def _write(self, state: State, who: int, left: Sees, sees: Sees, action: WriteStatus) -> State:
        run = sees.about == "run"
        number = state.execution if run else state.operation
        if number != sees.judged:
            return state.saw(who, left._replace(plan=(), about="", judged=NONE))
        held: WorkflowExecution | Operation = self.kept[number]
        assert isinstance(action.status, WorkflowExecutionStatus if run else OperationStatus)
        written = self.kept.number(held.replace(status=action.status))
        if run:
            return state._replace(execution=written).saw(who, left._replace(execution=written))
        return state._replace(operation=written).saw(who, left._replace(operation=written))

    def _made(self, action: CreatePod, state: State) -> int:
        operation, status = self.kept[state.operation], self.kept[state.execution].status
        made = make_pod(action.name, uid="op-pod").having(
            role=ProcessRole.OPERATION, operation=operation.metadata.uid, run_id=status.run_id
        )
        if self.case.pushes:
            made = made.having(address="10.244.1.7", push=PushTo(KEY, 7633))
        return self.kept.number((made.bound() if self.case.waits else made.running(3)).obj())

    def _touch(self, state: State, who: int, left: Sees, dropped: Sees, action: PostMailbox | DeletePod) -> State:
        """Post or delete, under UID and version; refused, the plan ends."""
        own = self.kept[state.run_pod].uid == action.uid
        pod: PodView | None = self.kept[state.run_pod if own else state.pod]
        version = state.sees[who].posted if action.resource_version == AFTER_POST else action.resource_version
        if pod is None or pod.uid != action.uid or (version and pod.resource_version != version):
            return state.saw(who, dropped)
        if isinstance(action, PostMailbox):
            posted = mailbox.parse(action.text)
            if posted is None or posted.sequence > POSTINGS:
                return state.saw(who, dropped)
            changed = self._changed(replace(pod, mailbox=action.text))
            left = left._replace(posted=self.kept[changed].resource_version) if left.plan else left
        else:
            waiting = pod.workflow.phase is ContainerPhase.WAITING
            deleted = replace(pod, deletion_timestamp=NOW, deletion_seen_at=NOW, deletion_grace_seconds=1)
            changed = self._changed(replace(deleted, phase="Failed") if waiting else deleted)
        return (state._replace(run_pod=changed) if own else state._replace(pod=changed)).saw(who, left)

    def _over(self, pod: PodView) -> int:
        return self._changed(PodBuilder(pod).exited(143, receipt(), finished=5).over().obj())

    def _changed(self, pod: PodView) -> int:
        return self.kept.number(replace(pod, resource_version=str(int(pod.resource_version) + 1)))


def _asked(execution: WorkflowExecution, mode: Mode) -> WorkflowExecution:
    metadata = execution.metadata.replace(generation=execution.metadata.generation + 1)
    request = Cancellation(mode=mode, request_id=mode.value)
    return execution.replace(metadata=metadata, spec=execution.spec.replace(cancellation=request))
