"""A run's life with push and without: what must be the same, and what may only come earlier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest

from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import HistoryType, Mode
from desist.lifecycle.wire import mailbox
from tests.unit.lifecycle_sim.network import FAIR, LOST, WEATHERS, Weather
from tests.unit.lifecycle_sim.processes import PROGRAMS, Program
from tests.unit.lifecycle_sim.simulation import Simulation

Step = Callable[[Simulation], object]
BY_NAME = {program.name: program for program in PROGRAMS}


@dataclass(frozen=True)
class Story:
    """What happens when."""

    name: str
    steps: tuple[tuple[float, Step], ...]

    def __str__(self) -> str:
        return self.name


def ask(mode: Mode, **fields: int) -> Step:
    return lambda sim: sim.request(mode, **fields)


def drain(sim: Simulation) -> None:
    sim.cluster.delete_pod(drain=True)


def cut_off(sim: Simulation) -> None:
    for name in sim.cluster.kubelets:
        sim.cluster.lose(name)


def recover(sim: Simulation) -> None:
    for name in sim.cluster.kubelets:
        sim.cluster.recover(name)


STORIES = (
    *(Story(str(mode), ((5, ask(mode)),)) for mode in Mode),
    *(Story(f"a drain, then a {mode}", ((5, drain), (5.5, ask(mode)))) for mode in Mode),
    *(Story(f"a {mode}, and a drain at once", ((5, ask(mode)), (5, drain))) for mode in Mode),
    Story("a cancel, then a drain, then a kill", ((5, ask(Mode.CANCEL)), (5.4, drain), (6, ask(Mode.KILL)))),
    Story("a cancel that becomes a kill", ((5, ask(Mode.CANCEL, kill_after_seconds=5)),)),
    Story("a kill on a node that is cut off", ((5, cut_off), (5.5, ask(Mode.KILL)), (90, recover))),
    Story("a kill before the container starts", ((0.9, ask(Mode.KILL)),)),
)
COOPERATIVE, DEAF, SLOW = (BY_NAME[name] for name in ("cooperative", "deaf", "slow to clean up"))


@cache
def played(story: Story, program: Program, weather: Weather | None) -> Simulation:
    """The story to its end; `weather` None: without push."""
    sim = Simulation(program, push=weather is not None)
    sim.audit.judges_plans = False
    sim.network.weather = weather or FAIR
    for moment, step in story.steps:
        sim.idle(moment - sim.now)
        step(sim)
    sim.idle(40)
    if program is DEAF and any(sim.status.phase == phase for phase in ("Cancelling", "Running")):
        sim.request(Mode.KILL)
        sim.idle(60)
    sim.finish()
    return sim


def told(status: WorkflowExecutionStatus) -> WorkflowExecutionStatus:
    """All but words: what may shorten a deletion is said, where push is on."""
    conditions = tuple(condition.replace(message="") for condition in status.conditions)
    return status.replace(waiting_on=(), conditions=conditions)


@pytest.mark.parametrize("program", [COOPERATIVE, DEAF], ids=lambda program: program.name)
@pytest.mark.parametrize("story", STORIES, ids=str)
def test_where_no_push_arrives_every_write_is_the_same_as_without_push(story: Story, program: Program) -> None:
    without, lost = played(story, program, None), played(story, program, LOST)
    assert [told(w.new) for w in lost.audit.writes] == [told(w.new) for w in without.audit.writes]


@pytest.mark.parametrize("program", [COOPERATIVE, SLOW, DEAF], ids=lambda program: program.name)
@pytest.mark.parametrize("weather", [each for each in WEATHERS if each is not LOST], ids=str)
def test_whatever_becomes_of_pushes_the_end_is_the_same_and_no_later(weather: Weather, program: Program) -> None:
    for story in STORIES:
        without, pushed = played(story, program, None).status, played(story, program, weather).status
        assert _end(pushed) == _end(without), story
        assert pushed.end_time is not None and without.end_time is not None
        assert pushed.end_time <= without.end_time, story


def _end(status: WorkflowExecutionStatus) -> object:
    commands = [(record.mode, record.status, record.source) for record in status.commands]
    return status.phase, status.closed_reason, status.attempt, status.disruptions, commands


@pytest.mark.parametrize("mode", [Mode.FORCE, Mode.TERMINATE, Mode.KILL])
def test_a_drain_of_a_deaf_process_is_shortened(mode: Mode) -> None:
    story = Story("", ((5, drain), (6, ask(mode))))
    grace = 5 if mode is Mode.KILL else 0
    without, pushed = played(story, DEAF, None), played(story, DEAF, FAIR)
    assert _lasted(without) == pytest.approx(30.25, abs=0.5)
    assert _lasted(pushed) == pytest.approx(1 + grace, abs=0.3)


def _lasted(sim: Simulation) -> float:
    """Seconds from the drain to the process's death."""
    (box,) = [box for box in sim.audit.cluster.boxes.values() if box.process is not None]
    assert box.process is not None and box.process.ended_at is not None
    return box.process.ended_at - 5


def test_what_was_heard_is_not_posted_again_and_is_told_as_received() -> None:
    sim = Simulation(SLOW)
    sim.idle(5)
    sim.request(Mode.CANCEL)
    sim.idle(10)
    pod = sim.cluster.newest_pod()
    held = mailbox.parse(pod.mailbox) if pod is not None else None
    assert held is not None and held.repeated_at is None
    sim.request(Mode.KILL)
    sim.idle(0)
    received = [entry for entry in sim.status.history if entry.type is HistoryType.CANCELLATION_RECEIVED]
    assert len(received) == 1
    sim.finish()
