"""An exhaustive search: one run, one operation, two controllers, in every order of their steps.

Contract: `search` walks through all states that the real `decide` and `decide_operation` lead to, beginning with a run
whose workflow process has sent the create of an operation, and gives their number and the first state that breaks the
promise: a terminal phase while a process of the operation runs. Each controller sees the execution and the operation by
watches of its own, as late as it may be (pods at once: what is missed of them is asked for live); the second one is an
ex-leader that still does operations; each action of a plan is a step of its own, so that anything may
happen between two of them. Time stands still: what is put off stays so. Told apart: a pod that is made after a live GET
had found none, which is a late start and is stopped as one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from desist.api.cancellation import Cancellation
from desist.api.execution import WorkflowExecution
from desist.api.operation import Operation
from desist.api.status import OperationStatus, WorkflowExecutionStatus
from desist.api.vocabulary import ClosePolicy, Mode, ProcessRole
from desist.lifecycle.decide import decide, decide_operation
from desist.lifecycle.observed import Observed, ObservedOperation, PodView, Questions
from desist.lifecycle.operation.seen import seen_of
from desist.lifecycle.plan import Action, CreatePod, DeletePod, Plan, PostMailbox, WriteStatus
from desist.lifecycle.proof.process import ended
from desist.lifecycle.settings import Settings
from tests.support.builders import PodBuilder, at, make_node, make_pod, receipt
from tests.unit.lifecycle.operation_world import Operations

NOW = at(10)
NODES = (make_node(),)
BOUND = 60_000
"""States after which a search gives up: then it has proved nothing."""


@dataclass(frozen=True, slots=True)
class Sees:
    """What one controller sees, and what is left of its plan."""

    execution: WorkflowExecution
    operation: Operation | None = None
    plan: tuple[Action, ...] = ()
    about: str = ""
    """Whose plan it is: the run's or the operation's."""
    judged: str = ""
    """The version that it was judged by."""


@dataclass(frozen=True, slots=True)
class State:
    """The API server, the nodes, and two controllers."""

    execution: WorkflowExecution
    run_pod: PodView
    one: Sees
    other: Sees
    sent: Operation | None
    """The create that is on its way."""
    operation: Operation | None = None
    pod: PodView | None = None
    missed: bool = False
    """Whether a live GET has found no pod of the operation since its attempt was written."""
    late: bool = False


@dataclass(slots=True)
class Found:
    """What a search came to."""

    states: int = 0
    survivor: State | None = None
    ends: int = 0
    """States in which the run has ended."""
    late: int = 0
    complete: bool = True
    seen: set[State] = field(default_factory=set)


def begin(mode: Mode, policy: ClosePolicy) -> State:
    """A run that goes on, whose workflow process asks for an operation, and that is stopped."""
    world = Operations()
    operation = world.create("a", close_policy=policy)
    execution = world.run.execution.obj()
    execution = execution.replace(metadata=execution.metadata.replace(resource_version="1"))
    stopped = execution.replace(spec=execution.spec.replace(cancellation=Cancellation(mode=mode)))
    run_pod = world.run.pod.obj()
    sees = Sees(execution)
    return State(stopped, run_pod, sees, sees, operation)


def search(mode: Mode, policy: ClosePolicy = ClosePolicy.STOP, bound: int = BOUND) -> Found:
    """Every state that may follow."""
    found, first = Found(), begin(mode, policy)
    todo = deque([first])
    found.seen.add(first)
    while todo:
        state = todo.popleft()
        _judge(found, state)
        if found.survivor is not None or len(found.seen) > bound:
            found.complete = False
            break
        for following in _steps(state):
            if following not in found.seen:
                found.seen.add(following)
                todo.append(following)
    found.states = len(found.seen)
    return found


def _judge(found: Found, state: State) -> None:
    status = state.execution.status
    if status is None or status.open:
        return
    found.ends += 1
    runs = state.pod is not None and not ended(state.pod)
    if runs and state.late:
        found.late += 1
    elif runs and status.cancellation is not None and status.cancellation.mode is not Mode.FORCE:
        found.survivor = state


def _steps(state: State) -> Iterator[State]:
    yield from _world(state)
    for name in ("one", "other"):
        yield from _watches(state, name)
        sees: Sees = getattr(state, name)
        if sees.plan:
            yield _act(state, name, sees)
        else:
            yield from _reconciles(state, name, sees)


def _world(state: State) -> Iterator[State]:
    if state.sent is not None:
        yield replace(state, operation=state.sent, sent=None)
    if not ended(state.run_pod):
        yield replace(state, run_pod=_over(state.run_pod))
    if state.pod is not None and state.pod.mailbox and not ended(state.pod):
        yield replace(state, pod=_over(state.pod))


def _over(pod: PodView) -> PodView:
    return PodBuilder(pod).exited(143, receipt(), finished=5).over().obj()


def _watches(state: State, name: str) -> Iterator[State]:
    sees: Sees = getattr(state, name)
    if sees.execution != state.execution:
        yield _with(state, name, replace(sees, execution=state.execution))
    if sees.operation != state.operation:
        yield _with(state, name, replace(sees, operation=state.operation))


def _with(state: State, name: str, sees: Sees) -> State:
    return replace(state, one=sees) if name == "one" else replace(state, other=sees)


def _pods(state: State) -> tuple[PodView, ...]:
    return (state.run_pod,) if state.pod is None else (state.run_pod, state.pod)


def _reconciles(state: State, name: str, sees: Sees) -> Iterator[State]:
    if name == "one":
        yield from _reconcile(state, name, sees, "run", _decide_run)
    if sees.operation is not None:
        yield from _reconcile(state, name, sees, "operation", _decide_operation)


Decide = Callable[[State, Sees], tuple[State, Sees, Plan]]


def _reconcile(state: State, name: str, sees: Sees, about: str, how: Decide) -> Iterator[State]:
    state, sees, plan = how(state, sees)
    acts = tuple(a for a in plan.actions if isinstance(a, WriteStatus | CreatePod | PostMailbox | DeletePod))
    if acts:
        judged = sees.execution if about == "run" else sees.operation
        assert judged is not None
        version = judged.metadata.resource_version
        yield _with(state, name, replace(sees, plan=acts, about=about, judged=version))


def _decide_run(state: State, sees: Sees) -> tuple[State, Sees, Plan]:
    listed = False
    for _ in range(8):
        seen = Observed(
            execution=sees.execution,
            settings=Settings(),
            pods=tuple(pod for pod in _pods(state) if not pod.operation),
            operations=(seen_of(sees.operation),) if sees.operation is not None else (),
            operation_pods=tuple(pod for pod in _pods(state) if pod.operation),
            operations_listed=listed,
            nodes=NODES,
            live_nodes=("node-1",),
        )
        decided = decide(seen, NOW)
        if isinstance(decided, Plan):
            return state, sees, decided
        assert decided.operations, decided
        listed, sees = True, replace(sees, operation=state.operation)
    raise AssertionError("there is still a question")


def _decide_operation(state: State, sees: Sees) -> tuple[State, Sees, Plan]:
    assert sees.operation is not None
    seen = ObservedOperation(
        operation=sees.operation,
        settings=Settings(),
        execution=sees.execution,
        pods=tuple(pod for pod in _pods(state) if pod.operation),
        nodes=NODES,
        live_nodes=("node-1",),
    )
    for _ in range(8):
        decided = decide_operation(seen, NOW)
        if isinstance(decided, Plan):
            return state, sees, decided
        state, seen = _answered(state, seen, decided)
        sees = replace(sees, execution=seen.execution or sees.execution)
    raise AssertionError("there is still a question")


def _answered(state: State, seen: ObservedOperation, asked: Questions) -> tuple[State, ObservedOperation]:
    if asked.execution:
        seen = replace(seen, execution=state.execution, execution_read=True)
    if asked.live_pod is not None:
        state = replace(state, missed=state.missed or state.pod is None)
        seen = replace(seen, live_pod=True, pods=() if state.pod is None else (state.pod,))
    if asked.creator:
        seen = replace(seen, creator_read=True, creator_uid="" if ended(state.run_pod) else state.run_pod.uid)
    if asked.arguments:
        seen = replace(seen, arguments_read=True)
    return state, seen


def _act(state: State, name: str, sees: Sees) -> State:
    action, rest = sees.plan[0], sees.plan[1:]
    left = replace(sees, plan=rest, about=sees.about if rest else "", judged=sees.judged if rest else "")
    match action:
        case WriteStatus() if sees.about == "run":
            return _write_run(state, name, left, sees, action)
        case WriteStatus():
            return _write_operation(state, name, left, sees, action)
        case CreatePod() if state.pod is None:
            pod = _made(action, state)
            state = replace(state, pod=pod, late=state.late or state.missed)
        case PostMailbox():
            state = _posted(state, action)
        case _:
            pass
    return _with(state, name, left)


def _write_run(state: State, name: str, left: Sees, sees: Sees, action: WriteStatus) -> State:
    held = state.execution.metadata.resource_version
    if sees.judged != held or not isinstance(action.status, WorkflowExecutionStatus):
        return _with(state, name, replace(left, plan=(), about="", judged=""))
    metadata = state.execution.metadata.replace(resource_version=str(int(held) + 1))
    written = state.execution.replace(metadata=metadata, status=action.status)
    return _with(replace(state, execution=written), name, replace(left, execution=written))


def _write_operation(state: State, name: str, left: Sees, sees: Sees, action: WriteStatus) -> State:
    held = state.operation
    assert held is not None
    assert isinstance(action.status, OperationStatus)
    if held.metadata.resource_version != sees.judged:
        return _with(state, name, replace(left, plan=(), about="", judged=""))
    metadata = held.metadata.replace(resource_version=str(int(held.metadata.resource_version) + 1))
    written = held.replace(metadata=metadata, status=action.status)
    return _with(replace(state, operation=written), name, replace(left, operation=written))


def _made(action: CreatePod, state: State) -> PodView:
    assert state.operation is not None
    assert state.execution.status is not None
    made = make_pod(action.name, uid="op-pod").having(
        role=ProcessRole.OPERATION,
        operation=state.operation.metadata.uid,
        run_id=state.execution.status.run_id or "",
    )
    return made.running(3).obj()


def _posted(state: State, action: PostMailbox) -> State:
    if action.uid == state.run_pod.uid:
        return replace(state, run_pod=replace(state.run_pod, mailbox=action.text))
    if state.pod is not None and action.uid == state.pod.uid:
        return replace(state, pod=replace(state.pod, mailbox=action.text))
    return state
