"""An exhaustive search: one run, one operation, two controllers, in every order of their steps.

Contract: `search` walks through all states that the real `decide` and `decide_operation` lead to, beginning with a run
whose workflow process has sent the create of an operation, and which is stopped, or ends by itself (`Case`). It gives
their number and the first state that breaks a promise (`closing_states.wrong`): a terminal phase while a process of
the operation runs that is neither left running on purpose nor counted. Each controller sees the execution and the
operation by watches of its own, as late as it may be (pods at once: what is missed of them is asked for live); the
second one is an ex-leader that still does operations. Each action of a plan is a step of its own, so that anything may
happen between two of them; the questions of one decision are answered at one moment. Time stands still: what is put
off stays so. Told apart: a pod that is made after a live GET had found none, which is a late start and is stopped as
one. A push is a step, too: from then on the process may end, with no mailbox in its pod yet; one that is lost is as one
that a program does not follow. It is remembered by nobody, since what is remembered decides nothing (`check_pushes`).
`make search` searches all cases, each up to 2,000,000 states, and prints how many it saw (docs/decisions/0010).
For speed every object is kept once, and a state holds numbers only; what was decided before is not decided again.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from desist.api.cancellation import Cancellation
from desist.api.execution import WorkflowExecution
from desist.api.operation import Operation, TimerWork
from desist.api.status import OperationStatus, WorkflowExecutionStatus
from desist.api.vocabulary import ClosePolicy, Mode, ProcessRole
from desist.lifecycle.decide import decide, decide_operation
from desist.lifecycle.observed.pods import ContainerPhase, PodView
from desist.lifecycle.observed.pushes import PushTo
from desist.lifecycle.observed.questions import Questions
from desist.lifecycle.observed.sight import Observed, ObservedOperation
from desist.lifecycle.operation.seen import seen_of
from desist.lifecycle.plan import AFTER_POST, Action, CreatePod, DeletePod, Plan, PostMailbox, PushStop, WriteStatus
from desist.lifecycle.proof.process import ended
from desist.lifecycle.run.operations import end_is_stored
from desist.lifecycle.settings import Settings
from desist.lifecycle.wire import mailbox
from tests.support.builders import PodBuilder, at, make_node, make_pod, receipt
from tests.unit.lifecycle.operation_world import Operations
from tests.unit.lifecycle_sim.closing_states import CASES, NONE, Case, Found, Kept, Sees, State, at_rest, wrong

NOW = at(10)
NODES = (make_node(),)
DEEDS = WriteStatus | CreatePod | PushStop | PostMailbox | DeletePod
KEY = "0a1b2c3d"
POSTINGS = 5
"""The highest sequence of a mailbox, enough for all commands of a case. Of two controllers, one may not see the run's
stop yet, and the other not what the first has written of the operation: each takes the other's posting for nobody's,
and replaces it for as long as both are behind. So without a bound there is no end of states."""


@dataclass(slots=True)
class Search:
    """A search, and what it has decided so far."""

    case: Case
    kept: Kept = field(default_factory=Kept)
    decided: dict[Hashable, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings(push_key_id=KEY, push_key="x") if self.case.pushes else Settings()

    def run(self, bound: int) -> Found:
        """Every state that may follow, as long as there are no more than `bound`."""
        first, found = self._first(), Found()
        seen, todo = {first}, deque([first])
        while todo and not found.wrong and len(seen) <= bound:
            state = todo.popleft()
            following = {step for step in self._steps(state) if step != state}
            self._judge(found, state, rests=not following)
            todo.extend(following - seen)
            seen |= following
        found.states, found.complete = len(seen), not todo
        return found

    def _first(self) -> State:
        world, number = Operations(), self.kept.number
        work: dict[str, Any] = {"timer": TimerWork(delay_milliseconds=3_600_000)} if self.case.timer else {}
        operation = world.create("a", close_policy=self.case.policy, **work)
        execution = world.run.execution.obj()
        sees = Sees(number(execution))
        stored = execution if self.case.mode is None else _asked(execution, self.case.mode)
        return State(number(stored), number(world.run.pod.obj()), (sees, sees), number(operation))

    def _judge(self, found: Found, state: State, *, rests: bool) -> None:
        execution, operation, pod = self.kept[state.execution], self.kept[state.operation], self.kept[state.pod]
        held = None if state.late else pod
        found.wrong = wrong(self.case, execution, operation, held) or (at_rest(execution, operation) if rests else "")
        found.state = state if found.wrong else None
        found.rests += rests
        if execution.status.open:
            return
        lives = pod is not None and not ended(pod)
        found.ends += 1
        found.late += lives and state.late
        found.left += lives and not state.late

    def _steps(self, state: State) -> Iterator[State]:
        yield from self._world(state)
        for who in (0, 1):
            yield from self._watches(state, who)
            sees = state.sees[who]
            if sees.plan:
                yield self._act(state, who, sees)
                continue
            if who == 0:
                yield self._run(state, who)
            if sees.operation != NONE:
                yield self._operation(state, who)

    def _world(self, state: State) -> Iterator[State]:
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

    def _over(self, pod: PodView) -> int:
        return self._changed(PodBuilder(pod).exited(143, receipt(), finished=5).over().obj())

    def _changed(self, pod: PodView) -> int:
        return self.kept.number(replace(pod, resource_version=str(int(pod.resource_version) + 1)))

    def _watches(self, state: State, who: int) -> Iterator[State]:
        sees = state.sees[who]
        if sees.execution != state.execution:
            yield _with(state, who, sees._replace(execution=state.execution))
        if sees.operation != state.operation:
            yield _with(state, who, sees._replace(operation=state.operation))

    def _run(self, state: State, who: int) -> State:
        """A reconcile of the run, up to its plan; the same state where there is nothing to do."""
        sees, listed = state.sees[who], False
        operation = sees.operation
        while True:
            decided = self._of_run(state, sees.execution, operation, listed)
            if isinstance(decided, tuple):
                planned = Sees(sees.execution, operation, decided, "run", sees.execution)
                return _with(state, who, planned) if decided else state
            assert decided.operations and not listed, decided
            listed, operation = True, state.operation
            state = self._listed(state, self.kept[sees.execution])

    def _listed(self, state: State, execution: WorkflowExecution) -> State:
        """What the leader remembers of a LIST, by what it saw of the execution before."""
        run_id = execution.status.run_id if execution.status is not None else None
        first = state.listed == NONE and end_is_stored(execution, run_id)
        return state._replace(listed=int(state.operation != NONE)) if first else state

    def _of_run(self, state: State, execution: int, operation: int, listed: bool) -> Any:
        run_pod, pod = state.run_pod, state.pod
        key = (execution, self._seen(operation), run_pod, pod, listed, state.listed)
        if key not in self.decided:
            found, held = self.kept[pod], self.kept[self._seen(operation)]
            seen = Observed(
                execution=self.kept[execution],
                settings=self.settings,
                pods=(self.kept[run_pod],),
                operations=() if held is None else (held,),
                operation_pods=() if found is None else (found,),
                operations_listed=listed,
                listed_at_end=self._at_end(state),
                nodes=NODES,
                live_nodes=("node-1",),
            )
            self.decided[key] = self._acts(decide(seen, NOW))
        return self.decided[key]

    def _at_end(self, state: State) -> frozenset[str] | None:
        if state.listed == NONE:
            return None
        return frozenset([self.kept[state.operation].metadata.uid] if state.listed else ())

    def _seen(self, operation: int) -> int:
        """Number of what a run sees of that operation."""
        key = ("seen", operation)
        if key not in self.decided:
            held = self.kept[operation]
            self.decided[key] = NONE if held is None else self.kept.number(seen_of(held))
        found: int = self.decided[key]
        return found

    def _operation(self, state: State, who: int) -> State:
        """A reconcile of the operation, likewise."""
        sees, missed = state.sees[who], state.missed
        execution, asked = sees.execution, Questions()
        while True:
            decided = self._of_operation(state, execution, sees.operation, asked)
            if isinstance(decided, tuple):
                planned = Sees(execution, sees.operation, decided, "operation", sees.operation)
                return _with(state._replace(missed=missed), who, planned) if decided else state
            asked = _both(asked, decided)
            missed = missed or (asked.live_pod is not None and state.pod == NONE)
            execution = state.execution if asked.execution else execution

    def _of_operation(self, state: State, execution: int, operation: int, asked: Questions) -> Any:
        creator = self.kept[state.run_pod] if asked.creator else None
        uid = "" if creator is None or ended(creator) else creator.uid
        flags = (asked.execution, asked.creator, uid, asked.live_pod is not None, asked.arguments)
        key = ("operation", execution, operation, state.pod, flags)
        if key not in self.decided:
            pod = self.kept[state.pod]
            seen = ObservedOperation(
                operation=self.kept[operation],
                settings=self.settings,
                execution=self.kept[execution],
                pods=() if pod is None else (pod,),
                nodes=NODES,
                live_nodes=("node-1",),
                execution_read=asked.execution,
                creator_read=asked.creator,
                creator_uid=uid,
                live_pod=asked.live_pod is not None,
                arguments_read=asked.arguments,
            )
            self.decided[key] = self._acts(decide_operation(seen, NOW))
        return self.decided[key]

    def _acts(self, decided: Plan | Questions) -> tuple[int, ...] | Questions:
        if isinstance(decided, Questions):
            return decided
        return tuple(self.kept.number(action) for action in decided.actions if isinstance(action, DEEDS))

    def _act(self, state: State, who: int, sees: Sees) -> State:
        action: Action = self.kept[sees.plan[0]]
        dropped = sees._replace(plan=(), about="", judged=NONE, posted="")
        left = sees._replace(plan=sees.plan[1:]) if sees.plan[1:] else dropped
        match action:
            case WriteStatus():
                return self._write(state, who, left, sees, action)
            case CreatePod() if state.pod == NONE:
                made = self._made(action, state)
                return _with(state._replace(pod=made, late=state.late or state.missed), who, left)
            case PushStop() if state.pod != NONE and self.kept[state.pod].uid == action.uid:
                return _with(state._replace(heard=True), who, left)
            case PostMailbox() | DeletePod():
                return self._touch(state, who, left, dropped, action)
            case _:
                return _with(state, who, left)

    def _write(self, state: State, who: int, left: Sees, sees: Sees, action: WriteStatus) -> State:
        run = sees.about == "run"
        number = state.execution if run else state.operation
        if number != sees.judged:
            return _with(state, who, left._replace(plan=(), about="", judged=NONE))
        held: WorkflowExecution | Operation = self.kept[number]
        assert isinstance(action.status, WorkflowExecutionStatus if run else OperationStatus)
        written = self.kept.number(held.replace(status=action.status))
        if run:
            return _with(state._replace(execution=written), who, left._replace(execution=written))
        return _with(state._replace(operation=written), who, left._replace(operation=written))

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
            return _with(state, who, dropped)
        if isinstance(action, PostMailbox):
            posted = mailbox.parse(action.text)
            if posted is None or posted.sequence > POSTINGS:
                return _with(state, who, dropped)
            changed = self._changed(replace(pod, mailbox=action.text))
            left = left._replace(posted=self.kept[changed].resource_version) if left.plan else left
        else:
            waiting = pod.workflow.phase is ContainerPhase.WAITING
            deleted = replace(pod, deletion_timestamp=NOW, deletion_seen_at=NOW, deletion_grace_seconds=1)
            changed = self._changed(replace(deleted, phase="Failed") if waiting else deleted)
        return _with(state._replace(run_pod=changed) if own else state._replace(pod=changed), who, left)


def _asked(execution: WorkflowExecution, mode: Mode) -> WorkflowExecution:
    metadata = execution.metadata.replace(generation=execution.metadata.generation + 1)
    request = Cancellation(mode=mode, request_id=mode.value)
    return execution.replace(metadata=metadata, spec=execution.spec.replace(cancellation=request))


def _both(first: Questions, second: Questions) -> Questions:
    assert first != second, "there is still a question"
    return Questions(
        execution=first.execution or second.execution,
        creator=first.creator or second.creator,
        arguments=first.arguments or second.arguments,
        live_pod=first.live_pod or second.live_pod,
    )


def _with(state: State, who: int, sees: Sees) -> State:
    return state._replace(sees=(sees, state.sees[1]) if who == 0 else (state.sees[0], sees))


def search(case: Case, bound: int = 2_000_000) -> Found:
    """Every state that may follow in that case."""
    return Search(case).run(bound)


def main() -> None:
    """Search all cases, and print what was found; with arguments, only those whose words contain one of them."""
    total = 0
    for case in CASES:
        if sys.argv[1:] and not any(word in str(case) for word in sys.argv[1:]):
            continue
        since, found = time.monotonic(), search(case)
        whole, total = "all" if found.complete else "the first", total + found.states
        counts = f"{found.ends} ended, {found.left} with work left over, {found.late} with a late start"
        print(f"{case}: {found.states} states ({whole}), {counts}, {time.monotonic() - since:.0f} s", flush=True)
        assert not found.wrong, (found.wrong, found.state)
    print(f"{total} states")


if __name__ == "__main__":
    main()
