"""A run ends though somebody who holds its token goes on asking for operations.

The token of a workflow pod is good until the pod is deleted, and Desist keeps ended pods for their logs.
"""

from __future__ import annotations

import pytest

from desist.api.vocabulary import ClosePolicy, Mode, Phase
from desist.lifecycle.decide import decide
from desist.lifecycle.plan import Plan, WriteStatus
from tests.support.builders import at, receipt
from tests.unit.lifecycle.operation_world import Operations

LISTED = frozenset({"op-listed"})


def ending(mode: Mode | None, policy: ClosePolicy = ClosePolicy.STOP) -> Operations:
    """A run whose stop, or end, is stored, and whose last process has just ended; an operation has come since."""
    world = Operations().running("listed")
    if mode is not None:
        world.stop_run(mode)
    world.end_run(0 if mode is None else 137)
    pod = world.pod("listed").exited(143, receipt(), finished=world.run.seconds).over()
    world.pods[pod.obj().name] = pod
    world.settle_operations()
    assert world.status("listed").phase is Phase.CANCELLED
    assert world.run.status.open
    world.create("new", close_policy=policy)
    return world


def ends(world: Operations) -> bool:
    """Whether the run's next reconcile writes its end."""
    plan = decide(world.observe_run(), at(world.run.seconds))
    assert isinstance(plan, Plan)
    return any(isinstance(action, WriteStatus) and not action.status.open for action in plan.actions)


@pytest.mark.conformance("D7")
@pytest.mark.parametrize("mode", [None, Mode.TERMINATE, Mode.KILL])
def test_what_was_created_after_that_does_not_hold_it_up(mode: Mode | None) -> None:
    world = ending(mode)
    world.listed_at_end = LISTED
    assert ends(world)
    world.settle()
    assert not world.run.status.open
    assert world.status("new").phase is Phase.CANCELLED
    assert world.status("new").attempt is None


@pytest.mark.parametrize("listed", [None, LISTED | {"op-new"}])
def test_what_was_there_before_does(listed: frozenset[str] | None) -> None:
    world = ending(Mode.KILL)
    world.listed_at_end = listed
    assert not ends(world)


@pytest.mark.parametrize("policy", [ClosePolicy.WAIT, ClosePolicy.ABANDON])
def test_what_its_policy_lets_begin_does(policy: ClosePolicy) -> None:
    world = ending(None, policy)
    world.listed_at_end = LISTED
    assert not ends(world)


def test_it_is_asked_for_only_where_something_has_come_since() -> None:
    world = ending(Mode.KILL)
    assert world.observe_run().operations_listed, "a LIST was asked for, and answered"
    world.listed_at_end = LISTED | {"op-new"}
    assert not world.observe_run().operations_listed
