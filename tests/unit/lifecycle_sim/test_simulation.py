"""The stateful property test of the core: anything may happen, in any order, and everything in `audit` holds.

The profile is the same on every machine and in every run. `DESIST_SIM_EXAMPLES=5000` searches longer, and elsewhere
each time, and shortens what it finds, which may take minutes.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from desist.api.vocabulary import Mode, OnLostNode
from desist.lifecycle.observed.questions import Answer
from tests.unit.lifecycle_sim.clock import Wall, Walls
from tests.unit.lifecycle_sim.cluster import NODES
from tests.unit.lifecycle_sim.controllers import KINDS, Controller, Fate
from tests.unit.lifecycle_sim.network import WEATHERS, Weather
from tests.unit.lifecycle_sim.processes import PROGRAMS
from tests.unit.lifecycle_sim.simulation import Simulation

EXAMPLES = int(os.environ.get("DESIST_SIM_EXAMPLES", "0"))
OTHER_RUN = "0" * 26

controllers = st.integers(0, 1)
kinds = st.sampled_from(KINDS)
nodes = st.sampled_from(NODES)
short = st.sampled_from([0.1, 0.3, 1.0, 3.0])
long = st.sampled_from([6.0, 15.0, 45.0, 130.0, 400.0])
clocks = st.builds(Wall, st.sampled_from([0.0, 0.0, 40.0, -40.0, 700.0, -700.0]), st.sampled_from([0.0, 1e-3, -1e-3]))
walls = st.one_of(
    st.just(Walls()), st.builds(Walls, st.tuples(clocks, clocks), server=clocks, nodes=st.tuples(clocks, clocks))
)
requests = st.fixed_dictionaries(
    {"mode": st.sampled_from(list(Mode))},
    optional={
        "grace_period_seconds": st.sampled_from([1, 5, 30]),
        "kill_after_seconds": st.sampled_from([5, 60]),
        "on_lost_node": st.sampled_from(list(OnLostNode)),
        "reason": st.sampled_from(["", "customer asked"]),
    },
)


class AnythingHappens(RuleBasedStateMachine):
    """One execution, and all that may befall it."""

    sim: Simulation

    @initialize(
        program=st.sampled_from(PROGRAMS),
        deadline=st.sampled_from([None, None, 20]),
        kill_after=st.sampled_from([None, None, 40]),
        begun=st.booleans(),
        walls=walls,
        push=st.booleans(),
    )
    def begin(
        self, program: Any, deadline: int | None, kill_after: int | None, begun: bool, walls: Walls, push: bool
    ) -> None:
        self.sim = Simulation(program, deadline=deadline, kill_after=kill_after, walls=walls, push=push)
        if begun:
            self.sim.idle(5)

    # People

    @rule(fields=requests)
    def request(self, fields: dict[str, Any]) -> None:
        self.sim.request(**fields)

    @rule(fields=requests, this=st.booleans())
    def request_for_a_run(self, fields: dict[str, Any], this: bool) -> None:
        run_id = self.sim.status.run_id if this else None
        self.sim.request(**fields, run_id=run_id or OTHER_RUN)

    @rule()
    def withdraw(self) -> None:
        self.sim.withdraw()

    @rule(drain=st.booleans())
    def delete_the_pod(self, drain: bool) -> None:
        self.sim.cluster.delete_pod(drain=drain)

    @rule()
    def forget_the_pod(self) -> None:
        self.sim.cluster.force_delete_pod()

    @precondition(lambda self: self.sim.names_newest_pod())
    @rule()
    def take_the_label_off_the_pod(self) -> None:
        self.sim.cluster.take_label_off()

    @precondition(lambda self: self.sim.awaits_pod())
    @rule()
    def take_the_pods_name(self) -> None:
        self.sim.take_name()

    # Time

    @rule(seconds=st.one_of(short, long))
    def idle(self, seconds: float) -> None:
        self.sim.idle(seconds)

    @rule(seconds=st.one_of(short, long))
    def freeze(self, seconds: float) -> None:
        self.sim.freeze(seconds)

    # Controllers

    @rule(which=controllers, fate=st.sampled_from(Fate), actions=st.integers(1, 3))
    def act(self, which: int, fate: Fate, actions: int) -> None:
        for _ in range(actions):
            self._controller(which).act()
        self._controller(which).act(fate)

    @rule(which=controllers, wall=clocks)
    def set_the_clock_of_its_machine(self, which: int, wall: Wall) -> None:
        self._controller(which).set_to = wall

    @rule(which=controllers)
    def crash(self, which: int) -> None:
        self._controller(which).restart()

    @rule(which=controllers, kind=kinds)
    def hold_events(self, which: int, kind: str) -> None:
        self._controller(which).paused.add(kind)

    @rule(which=controllers)
    def release_events(self, which: int) -> None:
        self._controller(which).paused.clear()

    @rule(which=controllers, kind=kinds, count=st.integers(1, 3))
    def deliver(self, which: int, kind: str, count: int) -> None:
        self._controller(which).deliver(kind, count)

    @rule(which=controllers, kind=kinds)
    def repeat(self, which: int, kind: str) -> None:
        self._controller(which).repeat(kind)

    @rule(which=controllers, kind=kinds)
    def lose_events_and_list_again(self, which: int, kind: str) -> None:
        self._controller(which).relist(kind)

    @precondition(lambda self: len(self.sim.controllers) == 1)
    @rule()
    def second_controller(self) -> None:
        self.sim.second_controller()

    @precondition(lambda self: len(self.sim.controllers) == 2)
    @rule(which=controllers)
    def one_controller_dies(self, which: int) -> None:
        del self.sim.controllers[which]

    # Nodes

    @rule(node=nodes)
    def lose_node(self, node: str) -> None:
        self.sim.cluster.lose(node)

    @rule(node=nodes)
    def miss_a_mailbox(self, node: str) -> None:
        self.sim.cluster.kubelets[node].misses = True

    @rule(node=nodes)
    def power_off(self, node: str) -> None:
        self.sim.cluster.power_off(node)

    @rule(node=nodes, taint=st.booleans())
    def give_up_node(self, node: str, taint: bool) -> None:
        self.sim.cluster.give_up(node, taint=taint)

    @rule(node=nodes)
    def recover(self, node: str) -> None:
        self.sim.cluster.recover(node)

    @rule(node=nodes)
    def reboot(self, node: str) -> None:
        self.sim.cluster.reboot(node)

    @rule(weather=st.sampled_from(WEATHERS))
    def what_becomes_of_datagrams(self, weather: Weather) -> None:
        self.sim.network.weather = weather

    @rule(answer=st.sampled_from(Answer))
    def api_answers(self, answer: Answer) -> None:
        self.sim.cluster.api.answer = answer

    def teardown(self) -> None:
        if hasattr(self, "sim"):
            self.sim.finish()

    def _controller(self, which: int) -> Controller:
        return self.sim.controllers[which % len(self.sim.controllers)]


PROFILE = settings(
    max_examples=EXAMPLES or 100,
    stateful_step_count=30,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
    report_multiple_bugs=False,
    print_blob=False,
)


@pytest.mark.conformance("H13", "K6")
def test_whatever_happens_every_promise_holds() -> None:
    run_state_machine_as_test(AnythingHappens, settings=PROFILE)
