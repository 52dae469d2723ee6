"""Fixed scenarios, each with a fault at every single action of every controller, one at a time: exhaustively.

Contract: the same scenario without a fault says how the run ends. With a fault (a crash or a delay before the action,
another controller that comes between, an answer that is lost, a create that comes late) it must end the same way, with
one record of each command, and all that `audit` watches must hold on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from desist.api.vocabulary import Mode
from desist.lifecycle.observed.questions import Answer
from desist.lifecycle.plan import Action, CreatePod, EmitEvent, WakeAt, WriteStatus
from tests.unit.lifecycle_sim.controllers import Controller, Fate
from tests.unit.lifecycle_sim.processes import PROGRAMS
from tests.unit.lifecycle_sim.rules import ENDS, ENDS_AS
from tests.unit.lifecycle_sim.simulation import Simulation

PROGRAM = {program.name: program for program in PROGRAMS}


@dataclass(frozen=True)
class Scenario:
    """What people and nodes do, at which second, and how it ends."""

    name: str
    program: str
    ends: str
    steps: tuple[tuple[float, Callable[[Simulation], object]], ...]
    commands: tuple[str, ...] = ()
    """The statuses of the command records."""
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def ask(mode: Mode, **fields: int) -> Callable[[Simulation], object]:
    return lambda sim: sim.request(mode, **fields)


def drain(sim: Simulation) -> None:
    sim.cluster.delete_pod(drain=True)


def take_label_off(sim: Simulation) -> None:
    sim.cluster.take_label_off()


def lose(sim: Simulation) -> None:
    for name in sim.cluster.kubelets:
        sim.cluster.lose(name)


def miss(sim: Simulation) -> None:
    for kubelet in sim.cluster.kubelets.values():
        kubelet.misses = True


def recover(sim: Simulation) -> None:
    for name in sim.cluster.kubelets:
        sim.cluster.recover(name)


DELAY = 0.9
"""Seconds: enough for a container to start, and for its kubelet to report it, meanwhile."""
ACCEPTED = ("Accepted",)
SCENARIOS = (
    *(
        Scenario(f"{m} of a run", "slow to clean up", e, ((5, ask(m)),), ACCEPTED)
        for m, e in (
            (Mode.CANCEL, "Cancelled"),
            (Mode.FORCE, "Cancelled"),
            (Mode.TERMINATE, "Terminated"),
            (Mode.KILL, "Cancelled"),
        )
    ),
    *(
        Scenario(f"{m} before the container starts", "cooperative", e, ((0.9, ask(m)),), ACCEPTED)
        for m, e in (
            (Mode.CANCEL, "Cancelled"),
            (Mode.FORCE, "Cancelled"),
            (Mode.TERMINATE, "Terminated"),
            (Mode.KILL, "Cancelled"),
        )
    ),
    *(
        Scenario(f"{m} while the pod is made", "cooperative", e, ((0.1, ask(m)),), ACCEPTED)
        for m, e in ((Mode.CANCEL, "Cancelled"), (Mode.TERMINATE, "Terminated"))
    ),
    *(
        Scenario(f"a {m} whose mailbox the kubelet misses", program, "Cancelled", ((4, miss), (5, ask(m))), ACCEPTED)
        for m, program in ((Mode.CANCEL, "cooperative"), (Mode.KILL, "deaf"))
    ),
    Scenario("no stop", "succeeds", "Succeeded", ()),
    Scenario(
        "a cancel that the workflow outlives",
        "finishes in spite of a cancel",
        "Succeeded",
        ((5, ask(Mode.CANCEL)),),
        ACCEPTED,
    ),
    Scenario(
        "a cancel of a deaf process, then a kill",
        "deaf",
        "Cancelled",
        ((5, ask(Mode.CANCEL)), (9, ask(Mode.KILL, grace_period_seconds=1))),
        ("Accepted", "Accepted"),
    ),
    Scenario(
        "a terminate, then a kill of a lost node",
        "deaf",
        "Cancelled",
        ((5, lose), (6, ask(Mode.TERMINATE)), (60, ask(Mode.KILL)), (120, recover)),
        ("Accepted", "Accepted"),
    ),
    Scenario(
        "a cancel that becomes a kill by itself",
        "deaf",
        "Cancelled",
        ((5, ask(Mode.CANCEL, kill_after_seconds=5)),),
        ("Accepted", "Accepted"),
    ),
    Scenario("a deadline", "deaf", "TimedOut", (), ACCEPTED, {"deadline": 20}),
    Scenario("a drain", "succeeds", "Succeeded", ((5, drain),)),
    Scenario(
        "a drain, then a cancel in back-off", "cooperative", "Cancelled", ((5, drain), (8, ask(Mode.CANCEL))), ACCEPTED
    ),
    Scenario(
        "a drain, then a cancel and a kill, which are pushed",
        "deaf",
        "Cancelled",
        ((5, drain), (6, ask(Mode.CANCEL)), (8, ask(Mode.KILL, grace_period_seconds=5))),
        ("Accepted", "Accepted"),
    ),
    *(
        Scenario(f"the label is taken off {when}, then a {m}", program, "Cancelled", steps(m), ACCEPTED)
        for m, program in ((Mode.CANCEL, "slow to clean up"), (Mode.KILL, "deaf"))
        for when, steps in (
            ("an unbound pod", lambda mode: ((0.1, take_label_off), (8, ask(mode)))),
            ("a pod that runs", lambda mode: ((5, take_label_off), (8, ask(mode)))),
        )
    ),
    Scenario("the label is taken off a pod that ends", "succeeds", "Succeeded", ((5, take_label_off),)),
    Scenario(
        "a kill, then a weaker stop that the API refuses",
        "slow to clean up",
        "Cancelled",
        ((5, ask(Mode.KILL)), (6, ask(Mode.CANCEL))),
        ACCEPTED,
    ),
)
FAULTS = ("crash", "delay", "other", Fate.UNANSWERED, Fate.LOST, Fate.LATE)
"""`other`: another controller decided before the last call, and acts before this one."""
CREATES_ONLY = (Fate.LOST, Fate.LATE)
"""Any other call that never arrives is as good as a crash before it."""


class Faulty(Controller):
    """A controller with one fault, at its n-th call."""

    fault: str | Fate = Fate.DONE
    at_call: int = -1

    def __post_init__(self) -> None:
        self.calls: list[type[Action]] = []
        self.other: Controller | None = None
        super().__post_init__()

    def act(self, fate: Fate = Fate.DONE) -> None:
        """Do the next action; at the one that was chosen, the fault happens instead or before."""
        if not self.plan or isinstance(self.plan[0], WakeAt | EmitEvent):
            super().act(fate)
            return
        self.calls.append(type(self.plan[0]))
        if self.fault == "other" and len(self.calls) == self.at_call - 1:
            self.other = Controller(self.api, self.audit, self.network, settings=self.settings)
            self.other.begin()
        if len(self.calls) != self.at_call:
            super().act(fate)
        elif isinstance(self.fault, Fate):
            super().act(self.fault)
        else:
            self._suffer(self.fault)

    def _suffer(self, fault: str) -> None:
        if fault == "crash":
            self.restart()
            return
        if self.other is not None:
            self.other.run()
        else:
            self.api.clock.advance_to(self.api.clock.now + DELAY)
        super().act()


class Hurried(Controller):
    """A controller that somebody gets ahead of, when it is about to write the end."""

    meanwhile: Callable[[], object] | None = None

    def act(self, fate: Fate = Fate.DONE) -> None:
        """Do the next action; before the terminal write something happens once."""
        action = self.plan[0] if self.plan else None
        if isinstance(action, WriteStatus) and action.status.phase in ENDS and self.meanwhile is not None:
            self.meanwhile()
            self.meanwhile = None
        super().act(fate)


def play(scenario: Scenario, fault: str | Fate = Fate.DONE, at_call: int = -1) -> tuple[Simulation, list[type[Action]]]:
    """The scenario from its start to its end, and the calls that were made."""
    sim = Simulation(PROGRAM[scenario.program], **scenario.options)
    sim.audit.judges_plans = at_call < 0
    controller = Faulty(sim.cluster.api, sim.audit, sim.network, settings=sim.settings)
    controller.fault, controller.at_call = fault, at_call
    sim.controllers = [controller]
    for moment, step in scenario.steps:
        sim.idle(max(moment - sim.now, 0))
        step(sim)
    sim.finish()
    return sim, controller.calls


@pytest.mark.conformance("C4", "K6")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_fault_at_any_action_changes_nothing_about_the_end(scenario: Scenario) -> None:
    plain, calls = play(scenario)
    assert plain.status.phase == scenario.ends
    if scenario.commands:
        assert tuple(record.status for record in plain.status.commands) == scenario.commands
    assert len(calls) >= 4
    for fault in FAULTS:
        for call, kind in enumerate(calls, start=1):
            if fault in CREATES_ONLY and kind is not CreatePod:
                continue
            faulty, _ = play(scenario, fault, call)
            told = f"{fault} at call {call}, {kind.__name__}"
            assert faulty.status.phase == scenario.ends, told
            if scenario.commands:
                assert tuple(record.status for record in faulty.status.commands) == scenario.commands, told


@pytest.mark.conformance("K6")
@pytest.mark.parametrize("mode", list(Mode), ids=str)
def test_a_second_request_during_the_terminal_write_changes_nothing_about_the_end(mode: Mode) -> None:
    """The request is stored between the decision that ends the run and its write."""
    sim = Simulation(PROGRAM["cooperative"])
    controller = Hurried(sim.cluster.api, sim.audit, sim.network, settings=sim.settings)
    controller.meanwhile = lambda: sim.request(mode)
    sim.controllers = [controller]
    sim.idle(5)
    sim.request(Mode.CANCEL)
    sim.finish()
    assert sim.status.phase == "Cancelled"
    first, second = sim.status.commands
    assert (first.status, first.outcome) == ("Accepted", "cancelled")
    assert (second.status, second.rejection_reason) == ("Rejected", "run_not_active")


@pytest.mark.parametrize("mode", list(Mode), ids=str)
def test_a_run_whose_pod_the_api_server_will_not_make_is_stopped_at_once(mode: Mode) -> None:
    sim = Simulation(PROGRAM["cooperative"])
    controller = sim.controllers[0]
    while not any(isinstance(action, CreatePod) for action in controller.plan):
        controller.act()
    sim.cluster.api.answer = Answer.REFUSED
    sim.idle(3)
    sim.request(mode)
    sim.idle(0)
    assert sim.status.phase == ENDS_AS[mode]
    sim.finish()
