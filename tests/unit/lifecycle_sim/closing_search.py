"""An exhaustive search: one run, one operation, two controllers, in every order of their steps.

Contract: `search` walks through all states that the real `decide` and `decide_operation` lead to, beginning with a run
whose workflow process has sent the create of an operation, and which is stopped, or ends by itself (`Case`). It gives
their number and the first state that breaks a promise (`closing_states.wrong`): a terminal phase while a process of
the operation runs that is neither left running on purpose nor counted. Each controller sees the execution and the
operation by watches of its own, as late as it may be (pods at once: what is missed of them is asked for live); the
second one is an ex-leader that still does operations. What is around them is in `closing_world`. Each action of a plan
is a step of its own, so that anything may happen between two; the questions of one decision are answered at one moment.
Time stands still: what is put off stays so. Told apart: a pod that is made after a live GET had found none, which is a
late start and is stopped as one.
`make search` searches all cases, each up to 2,000,000 states, and prints how many it saw (docs/decisions/0010).
For speed every object is kept once, and a state holds numbers only; what was decided before is not decided again.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from desist.api.execution import WorkflowExecution
from desist.lifecycle.decide import decide, decide_operation
from desist.lifecycle.observed.questions import Questions
from desist.lifecycle.observed.sight import Observed, ObservedOperation
from desist.lifecycle.operation.seen import seen_of
from desist.lifecycle.plan import CreatePod, DeletePod, Plan, PostMailbox, PushStop, WriteStatus
from desist.lifecycle.proof.process import ended
from desist.lifecycle.run.operations import end_is_stored
from desist.lifecycle.settings import Settings
from tests.support.builders import make_node
from tests.unit.lifecycle_sim.closing_states import CASES, NONE, Case, Found, Kept, Sees, State, at_rest, wrong
from tests.unit.lifecycle_sim.closing_world import KEY, NOW, World

NODES = (make_node(),)
DEEDS = WriteStatus | CreatePod | PushStop | PostMailbox | DeletePod


@dataclass(slots=True)
class Search:
    """A search, and what it has decided so far."""

    case: Case
    kept: Kept = field(default_factory=Kept)
    decided: dict[Hashable, Any] = field(default_factory=dict)
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(self.case, self.kept)

    @property
    def settings(self) -> Settings:
        return Settings(push_key_id=KEY, push_key="x") if self.case.pushes else Settings()

    def run(self, bound: int) -> Found:
        """Every state that may follow, as long as there are no more than `bound`."""
        first, found = self.world.first(), Found()
        seen, todo = {first}, deque([first])
        while todo and not found.wrong and len(seen) <= bound:
            state = todo.popleft()
            following = {step for step in self._steps(state) if step != state}
            self._judge(found, state, rests=not following)
            todo.extend(following - seen)
            seen |= following
        found.states, found.complete = len(seen), not todo
        return found

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
        yield from self.world.moves(state)
        for who in (0, 1):
            yield from self._watches(state, who)
            sees = state.sees[who]
            if sees.plan:
                yield self.world.act(state, who, sees)
                continue
            if who == 0:
                yield self._run(state, who)
            if sees.operation != NONE:
                yield self._operation(state, who)

    def _watches(self, state: State, who: int) -> Iterator[State]:
        sees = state.sees[who]
        if sees.execution != state.execution:
            yield state.saw(who, sees._replace(execution=state.execution))
        if sees.operation != state.operation:
            yield state.saw(who, sees._replace(operation=state.operation))

    def _run(self, state: State, who: int) -> State:
        """A reconcile of the run, up to its plan; the same state where there is nothing to do."""
        sees, listed = state.sees[who], False
        operation = sees.operation
        while True:
            decided = self._of_run(state, sees.execution, operation, listed)
            if isinstance(decided, tuple):
                planned = Sees(sees.execution, operation, decided, "run", sees.execution)
                return state.saw(who, planned) if decided else state
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
                return state._replace(missed=missed).saw(who, planned) if decided else state
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


def _both(first: Questions, second: Questions) -> Questions:
    assert first != second, "there is still a question"
    return Questions(
        execution=first.execution or second.execution,
        creator=first.creator or second.creator,
        arguments=first.arguments or second.arguments,
        live_pod=first.live_pod or second.live_pod,
    )


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
