"""An exhaustive search: one run, one operation, two controllers, in every order of their steps.

Contract: `search` walks through all states that the real `decide` and `decide_operation` lead to, beginning with a run
whose workflow process has sent the create of an operation, and which is stopped. It gives their number and the first
state that breaks the promise: a terminal phase while a process of the operation runs. Each controller sees the
execution and the operation by watches of its own, as late as it may be (pods at once: what is missed of them is asked
for live); the second one is an ex-leader that still does operations. Each action of a plan is a step of its own, so
that anything may happen between two of them. Time stands still: what is put off stays so. Told apart: a pod that is
made after a live GET had found none, which is a late start and is stopped as one.
`python -m tests.unit.lifecycle_sim.closing_search` searches all modes whole, and prints how many states there are.
For speed every object is kept once, and a state holds numbers only; what was decided for the same numbers before is not
decided again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from desist.api.cancellation import Cancellation
from desist.api.execution import WorkflowExecution
from desist.api.operation import Operation
from desist.api.status import OperationStatus, WorkflowExecutionStatus
from desist.api.vocabulary import ClosePolicy, Mode, ProcessRole
from desist.lifecycle.decide import decide, decide_operation
from desist.lifecycle.observed import Observed, ObservedOperation, Questions
from desist.lifecycle.operation.seen import seen_of
from desist.lifecycle.plan import Action, CreatePod, DeletePod, Plan, PostMailbox, WriteStatus
from desist.lifecycle.proof.process import ended
from desist.lifecycle.settings import Settings
from tests.support.builders import PodBuilder, at, make_node, make_pod, receipt
from tests.unit.lifecycle.operation_world import Operations

NOW = at(10)
NODES = (make_node(),)
NONE = -1
"""Number of what is not there."""


class Sees(NamedTuple):
    """What one controller sees, and what is left of its plan."""

    execution: int
    operation: int = NONE
    plan: tuple[int, ...] = ()
    about: str = ""
    """Whose plan it is: the run's or the operation's."""
    judged: str = ""
    """The version that it was judged by."""


class State(NamedTuple):
    """The API server, the nodes, and two controllers."""

    execution: int
    run_pod: int
    sees: tuple[Sees, Sees]
    sent: int
    """The create that is on its way."""
    operation: int = NONE
    pod: int = NONE
    missed: bool = False
    """Whether a live GET has found no pod of the operation since its attempt was written."""
    late: bool = False


class Kept:
    """Objects by number."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._objects: list[Any] = []

    def number(self, held: Hashable) -> int:
        """Its number; equal ones have the same."""
        if held not in self._numbers:
            self._numbers[held] = len(self._objects)
            self._objects.append(held)
        return self._numbers[held]

    def __getitem__(self, number: int) -> Any:
        return None if number == NONE else self._objects[number]


@dataclass(slots=True)
class Found:
    """What a search came to."""

    states: int = 0
    survivor: State | None = None
    ends: int = 0
    """States in which the run has ended."""
    late: int = 0
    """Of these, such in which a late start is still to be stopped."""
    complete: bool = True


@dataclass(slots=True)
class Search:
    """A search, and what it has decided so far."""

    mode: Mode
    policy: ClosePolicy
    kept: Kept = field(default_factory=Kept)
    decided: dict[Hashable, Any] = field(default_factory=dict)

    def run(self, bound: int) -> Found:
        """Every state that may follow, as long as there are no more than `bound`."""
        first, found = self._first(), Found()
        seen, todo = {first}, deque([first])
        while todo and found.survivor is None and len(seen) <= bound:
            state = todo.popleft()
            self._judge(found, state)
            for following in self._steps(state):
                if following not in seen:
                    seen.add(following)
                    todo.append(following)
        found.states, found.complete = len(seen), not todo
        return found

    def _first(self) -> State:
        world = Operations()
        operation = world.create("a", close_policy=self.policy)
        execution = world.run.execution.obj()
        execution = execution.replace(metadata=execution.metadata.replace(resource_version="1"))
        stopped = execution.replace(spec=execution.spec.replace(cancellation=Cancellation(mode=self.mode)))
        number = self.kept.number
        sees = Sees(number(execution))
        return State(number(stopped), number(world.run.pod.obj()), (sees, sees), number(operation))

    def _judge(self, found: Found, state: State) -> None:
        status = self.kept[state.execution].status
        if status.open:
            return
        found.ends += 1
        if state.pod == NONE or ended(self.kept[state.pod]):
            return
        if state.late:
            found.late += 1
        else:
            found.survivor = state

    def _steps(self, state: State) -> Iterator[State]:
        yield from self._world(state)
        for who in (0, 1):
            yield from self._watches(state, who)
            sees = state.sees[who]
            if sees.plan:
                yield self._act(state, who, sees)
                continue
            if who == 0:
                yield from self._plans(state, who, "run")
            if sees.operation != NONE:
                yield from self._plans(state, who, "operation")

    def _world(self, state: State) -> Iterator[State]:
        if state.sent != NONE:
            yield state._replace(operation=state.sent, sent=NONE)
        if not ended(self.kept[state.run_pod]):
            yield state._replace(run_pod=self._over(state.run_pod))
        pod = self.kept[state.pod]
        if pod is not None and pod.mailbox and not ended(pod):
            yield state._replace(pod=self._over(state.pod))

    def _over(self, pod: int) -> int:
        return self.kept.number(PodBuilder(self.kept[pod]).exited(143, receipt(), finished=5).over().obj())

    def _watches(self, state: State, who: int) -> Iterator[State]:
        sees = state.sees[who]
        if sees.execution != state.execution:
            yield _with(state, who, sees._replace(execution=state.execution))
        if sees.operation != state.operation:
            yield _with(state, who, sees._replace(operation=state.operation))

    def _plans(self, state: State, who: int, about: str) -> Iterator[State]:
        sees = state.sees[who]
        truth = (state.execution, state.operation, state.run_pod, state.pod)
        key = (about, sees.execution, sees.operation, truth)
        if key not in self.decided:
            self.decided[key] = self._run(state, sees) if about == "run" else self._operation(state, sees)
        acts, execution, operation, missed = self.decided[key]
        if acts:
            judged = self.kept[execution if about == "run" else operation].metadata.resource_version
            planned = Sees(execution, operation, acts, about, judged)
            yield _with(state._replace(missed=state.missed or missed), who, planned)

    def _run(self, state: State, sees: Sees) -> tuple[tuple[int, ...], int, int, bool]:
        listed, operation = False, sees.operation
        for _ in range(8):
            held = self.kept[operation]
            pod = self.kept[state.pod]
            seen = Observed(
                execution=self.kept[sees.execution],
                settings=Settings(),
                pods=(self.kept[state.run_pod],),
                operations=() if held is None else (seen_of(held),),
                operation_pods=() if pod is None else (pod,),
                operations_listed=listed,
                nodes=NODES,
                live_nodes=("node-1",),
            )
            decided = decide(seen, NOW)
            if isinstance(decided, Plan):
                return self._acts(decided), sees.execution, operation, False
            assert decided.operations, decided
            listed, operation = True, state.operation
        raise AssertionError("there is still a question")

    def _operation(self, state: State, sees: Sees) -> tuple[tuple[int, ...], int, int, bool]:
        pod, execution, missed = self.kept[state.pod], sees.execution, False
        seen = ObservedOperation(
            operation=self.kept[sees.operation],
            settings=Settings(),
            execution=self.kept[execution],
            pods=() if pod is None else (pod,),
            nodes=NODES,
            live_nodes=("node-1",),
        )
        for _ in range(8):
            decided = decide_operation(seen, NOW)
            if isinstance(decided, Plan):
                return self._acts(decided), execution, sees.operation, missed
            missed = missed or (decided.live_pod is not None and pod is None)
            execution = state.execution if decided.execution else execution
            seen = self._answered(state, seen, decided)
        raise AssertionError("there is still a question")

    def _answered(self, state: State, seen: ObservedOperation, asked: Questions) -> ObservedOperation:
        if asked.execution:
            seen = replace(seen, execution=self.kept[state.execution], execution_read=True)
        if asked.creator:
            pod = self.kept[state.run_pod]
            seen = replace(seen, creator_read=True, creator_uid="" if ended(pod) else pod.uid)
        if asked.live_pod is not None:
            pod = self.kept[state.pod]
            seen = replace(seen, live_pod=True, pods=() if pod is None else (pod,))
        return replace(seen, arguments_read=seen.arguments_read or asked.arguments)

    def _acts(self, plan: Plan) -> tuple[int, ...]:
        kinds = WriteStatus | CreatePod | PostMailbox | DeletePod
        return tuple(self.kept.number(action) for action in plan.actions if isinstance(action, kinds))

    def _act(self, state: State, who: int, sees: Sees) -> State:
        action: Action = self.kept[sees.plan[0]]
        rest = sees.plan[1:]
        left = sees._replace(plan=rest) if rest else sees._replace(plan=(), about="", judged="")
        match action:
            case WriteStatus():
                return self._write(state, who, left, sees, action)
            case CreatePod() if state.pod == NONE:
                state = state._replace(pod=self._made(action, state), late=state.late or state.missed)
            case PostMailbox():
                state = self._posted(state, action)
            case _:
                pass
        return _with(state, who, left)

    def _write(self, state: State, who: int, left: Sees, sees: Sees, action: WriteStatus) -> State:
        run = sees.about == "run"
        held: WorkflowExecution | Operation = self.kept[state.execution if run else state.operation]
        if held.metadata.resource_version != sees.judged:
            return _with(state, who, left._replace(plan=(), about="", judged=""))
        assert isinstance(action.status, WorkflowExecutionStatus if run else OperationStatus)
        metadata = held.metadata.replace(resource_version=str(int(held.metadata.resource_version) + 1))
        written = self.kept.number(held.replace(metadata=metadata, status=action.status))
        left = left._replace(execution=written) if run else left._replace(operation=written)
        # Whatever follows in the plan is of the version that was written.
        state = state._replace(execution=written) if run else state._replace(operation=written)
        return _with(state, who, left)

    def _made(self, action: CreatePod, state: State) -> int:
        operation, status = self.kept[state.operation], self.kept[state.execution].status
        made = make_pod(action.name, uid="op-pod").having(
            role=ProcessRole.OPERATION, operation=operation.metadata.uid, run_id=status.run_id
        )
        return self.kept.number(made.running(3).obj())

    def _posted(self, state: State, action: PostMailbox) -> State:
        run_pod, pod = self.kept[state.run_pod], self.kept[state.pod]
        if run_pod.uid == action.uid:
            return state._replace(run_pod=self.kept.number(replace(run_pod, mailbox=action.text)))
        if pod is not None and pod.uid == action.uid:
            return state._replace(pod=self.kept.number(replace(pod, mailbox=action.text)))
        return state


def _with(state: State, who: int, sees: Sees) -> State:
    return state._replace(sees=(sees, state.sees[1]) if who == 0 else (state.sees[0], sees))


def search(mode: Mode, policy: ClosePolicy = ClosePolicy.STOP, bound: int = 1_000_000) -> Found:
    """Every state that may follow a stop of that mode."""
    return Search(mode, policy).run(bound)


def main() -> None:
    """Search all modes, and print what was found."""
    for mode in (Mode.CANCEL, Mode.TERMINATE, Mode.KILL):
        found = search(mode)
        whole = "all" if found.complete else "gave up"
        print(f"{mode.value}: {found.states} states ({whole}), {found.ends} ended, {found.late} with a late start")
        assert found.survivor is None, found.survivor


if __name__ == "__main__":
    main()
