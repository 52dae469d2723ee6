"""The stateful property test of runs with operations: anything may happen, and all that `operation_audit` says holds.

`DESIST_SIM_EXAMPLES=5000` searches longer, as for runs without (test_simulation).
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from desist.api.cancellation import Cancellation
from desist.api.vocabulary import ClosePolicy, Mode
from tests.unit.lifecycle_sim.cluster import NODES
from tests.unit.lifecycle_sim.controllers import KINDS, Fate
from tests.unit.lifecycle_sim.network import WEATHERS, Weather
from tests.unit.lifecycle_sim.operation_controllers import OPERATIONS, OperationController
from tests.unit.lifecycle_sim.operation_simulation import WORKS, OperationSimulation
from tests.unit.lifecycle_sim.processes import PROGRAMS
from tests.unit.lifecycle_sim.test_simulation import EXAMPLES, PROFILE

RUNS = tuple(program for program in PROGRAMS if not program.unkillable and program.name != "succeeds at once")
controllers = st.integers(0, 1)
kinds = st.sampled_from((*KINDS, OPERATIONS))
seconds = st.sampled_from([0.1, 0.5, 1.0, 3.0, 12.0, 60.0, 130.0])
asked = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["pod", "pod", "pod", "timer", "local"]),
        "policy": st.sampled_from(ClosePolicy),
        "work": st.sampled_from(WORKS),
        "tries": st.sampled_from([1, 3]),
        "flight": st.sampled_from([0.0, 0.0, 0.2, 5.0, 30.0]),
    }
)


class AnythingHappens(RuleBasedStateMachine):
    """One execution with operations."""

    sim: OperationSimulation

    @initialize(
        program=st.sampled_from(RUNS),
        deadline=st.sampled_from([None, None, 40]),
        first=st.lists(asked, min_size=1, max_size=2),
        begun=st.sampled_from([0.0, 0.3, 4.0]),
    )
    def begin(self, program: Any, deadline: int | None, first: list[dict[str, Any]], begun: float) -> None:
        self.sim = OperationSimulation(program, deadline=deadline)
        self.sim.idle(2)
        for each in first:
            self.sim.ask(**each)
        self.sim.idle(begun)

    @rule(each=asked)
    def ask(self, each: dict[str, Any]) -> None:
        self.sim.ask(**each)

    @rule(mode=st.sampled_from([Mode.CANCEL, Mode.KILL]), which=st.integers(0, 3))
    def stop_one(self, mode: Mode, which: int) -> None:
        self.sim.stop_one(which, Cancellation(mode=mode))

    @rule(mode=st.sampled_from(Mode))
    def stop(self, mode: Mode) -> None:
        self.sim.request(mode)

    @rule(drain=st.booleans())
    def delete_the_newest_pod(self, drain: bool) -> None:
        self.sim.cluster.delete_pod(drain=drain)

    @rule(seconds=seconds)
    def idle(self, seconds: float) -> None:
        self.sim.idle(seconds)

    @rule(seconds=seconds)
    def freeze(self, seconds: float) -> None:
        self.sim.freeze(seconds)

    @rule(which=controllers, fate=st.sampled_from(Fate), actions=st.integers(0, 2))
    def act(self, which: int, fate: Fate, actions: int) -> None:
        for _ in range(actions):
            self._controller(which).act()
        self._controller(which).act(fate)

    @rule(which=controllers, operation=st.integers(0, 3), fate=st.sampled_from(Fate), actions=st.integers(0, 2))
    def act_on_operation(self, which: int, operation: int, fate: Fate, actions: int) -> None:
        workers = list(self._controller(which).workers.values())
        if workers:
            worker = workers[operation % len(workers)]
            for _ in range(actions):
                worker.act()
            worker.act(fate)

    @rule(which=controllers)
    def crash(self, which: int) -> None:
        self._controller(which).restart()

    @rule(which=controllers, kind=kinds)
    def hold_events(self, which: int, kind: str) -> None:
        self._controller(which).paused.add(kind)

    @rule(which=controllers)
    def release_events(self, which: int) -> None:
        self._controller(which).paused.clear()

    @precondition(lambda self: len(self.sim.controllers) == 1)
    @rule()
    def second_controller(self) -> None:
        self.sim.second_controller()

    @precondition(lambda self: len(self.sim.controllers) == 2)
    @rule(which=controllers)
    def one_controller_dies(self, which: int) -> None:
        del self.sim.controllers[which]

    @rule(node=st.sampled_from(NODES))
    def lose_node(self, node: str) -> None:
        self.sim.cluster.lose(node)

    @rule(node=st.sampled_from(NODES))
    def recover(self, node: str) -> None:
        self.sim.cluster.recover(node)

    @rule(weather=st.sampled_from(WEATHERS))
    def what_becomes_of_datagrams(self, weather: Weather) -> None:
        self.sim.network.weather = weather

    def teardown(self) -> None:
        if hasattr(self, "sim"):
            self.sim.finish()

    def _controller(self, which: int) -> OperationController:
        found = self.sim.controllers[which % len(self.sim.controllers)]
        assert isinstance(found, OperationController)
        return found


def test_whatever_happens_to_a_run_with_operations_every_promise_holds() -> None:
    run_state_machine_as_test(AnythingHappens, settings=settings(PROFILE, max_examples=EXAMPLES or 40))
