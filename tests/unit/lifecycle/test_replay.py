"""A controller that is killed between any two actions: whoever goes on comes to the same end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from desist.api.vocabulary import CommandStatus, HistoryType, Mode, Phase
from desist.lifecycle.observed.pods import ContainerPhase
from desist.lifecycle.plan import Action, DeletePod, PostMailbox
from tests.support.builders import make_workflow, receipt
from tests.unit.lifecycle.world import World

Story = Callable[["Crashing"], None]


class Crashing(World):
    """A world in which the controller dies before its n-th action, once, and another one goes on."""

    crash_before: int = -1
    acted: int = 0

    def apply(self, action: Action) -> None:
        if self.acted == self.crash_before:
            self.acted += 1
            raise Crash
        self.acted += 1
        super().apply(action)

    def settle(self, after: float = 0) -> None:
        try:
            super().settle(after)
        except Crash:
            super().settle(0.5)


class Crash(Exception):
    """The controller was killed."""


def _kubelet(world: World) -> None:
    """Do what a kubelet would: end what was told to end."""
    pod = world.pod.obj()
    if pod.workflow.phase is ContainerPhase.RUNNING and pod.mailbox:
        told = world.status.commands[0].id
        world.change_pod(lambda p: p.exited(143, receipt(stop=told)).over(), after=1)


def _cancel(world: Crashing) -> None:
    world.running()
    world.request(Mode.CANCEL, after=1)
    _kubelet(world)


def _kill_after_cancel(world: Crashing) -> None:
    world.running()
    world.request(Mode.CANCEL, after=1)
    world.request(Mode.KILL, after=1)
    _kubelet(world)


def _escalation(world: Crashing) -> None:
    world.workflow = make_workflow(kill_after=5)
    world.running()
    world.request(Mode.CANCEL, after=1)
    world.settle(6)
    _kubelet(world)


def _cancel_before_start(world: Crashing) -> None:
    world.settle()
    world.change_pod(lambda pod: pod.bound())
    world.request(Mode.CANCEL, after=1)
    world.change_pod(lambda pod: pod.having(phase="Failed"), after=2)


def _drained_then_cancelled(world: Crashing) -> None:
    world.running()
    world.change_pod(lambda pod: pod.deleting().exited(143, receipt(sigterm=2)).over(), after=1)
    world.settle(2)
    world.change_pod(lambda pod: pod.running(world.seconds), after=1)
    world.request(Mode.CANCEL, after=1)
    _kubelet(world)


def _deaf(world: Crashing) -> None:
    world.running()
    world.request(Mode.KILL, after=1)
    world.settle(11)
    world.change_pod(lambda pod: pod.exited(137, receipt(stop="x")).over(), after=1)


STORIES: list[Story] = [_cancel, _kill_after_cancel, _escalation, _cancel_before_start, _drained_then_cancelled, _deaf]


def _told(story: Story, crash_before: int) -> Crashing:
    world = Crashing()
    world.crash_before = crash_before
    story(world)
    world.settle(1)
    return world


def _summary(world: World) -> dict[str, Any]:
    status = world.status
    silent = (HistoryType.CANCELLATION_POSTED, HistoryType.CANCELLATION_RECEIVED)
    return {
        "phase": status.phase,
        "attempt": status.attempt,
        "history": [entry.type for entry in status.history if entry.type not in silent],
        "commands": [(c.mode, c.source, c.status, c.outcome) for c in status.commands],
        "pods": len(world.pods),
        "posted": [mailbox_of(a) for a in world.done if isinstance(a, PostMailbox)],
        "deleted": [a.uid for a in world.done if isinstance(a, DeletePod)],
    }


def mailbox_of(action: PostMailbox) -> str:
    return action.text.partition("commandId")[0]


@pytest.mark.conformance("C4", "K6")
@pytest.mark.parametrize("story", STORIES)
def test_killed_before_any_one_action_the_end_is_the_same(story: Story) -> None:
    whole = _told(story, -1)
    expected = _summary(whole)
    assert expected["phase"] in (Phase.CANCELLED, Phase.TERMINATED)
    assert {c.status for c in whole.status.commands} == {CommandStatus.ACCEPTED}
    for crash in range(whole.acted):
        found = _summary(_told(story, crash))
        # ULIDs differ with the time at which the second controller comes; so do the run's pods' names.
        assert {**found, "posted": len(found["posted"])} == {**expected, "posted": len(expected["posted"])}, crash


@pytest.mark.parametrize("story", STORIES)
def test_two_controllers_that_both_do_every_plan_do_nothing_twice(story: Story) -> None:
    class Twice(World):
        def step(self, after: float = 0) -> Any:
            self.seconds += after
            plan = self.plan()
            for action in plan.actions:
                self.apply(action)
            other = self.plan()
            for action in other.actions:
                self.apply(action)
            return other

    once, twice = World(), Twice()
    story(once)  # type: ignore[arg-type]  # a World will do for a story
    story(twice)  # type: ignore[arg-type]  # a World will do for a story
    assert _summary(once) == _summary(twice)
