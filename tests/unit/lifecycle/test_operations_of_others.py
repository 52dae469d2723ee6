"""What another run's process says in a run's name holds nobody up, also before it was judged.

Admission holds `createdBy` to the pod of the token, so another run's process can only name its own pod.
"""

from __future__ import annotations

import pytest

from desist.api.operation import CreatedBy
from desist.api.vocabulary import FailureCategory, Mode, Phase
from desist.lifecycle.operation.seen import seen_of
from desist.lifecycle.pod.manifest import pod_name
from tests.unit.lifecycle.operation_world import Operations

OTHER = CreatedBy(pod_name=pod_name("order-2", "another", "01ARZ3NDEKTSV4RRFFQ69G5FAV", 1), pod_uid="other")


def run_alone(world: Operations) -> None:
    """Reconcile the run, and none of its operations, until nothing more is done."""
    for _ in range(20):
        if not world._run_once():
            return


@pytest.mark.parametrize("mode", [None, Mode.CANCEL, Mode.KILL])
def test_an_operation_that_another_run_has_asked_for_holds_up_no_end_before_it_was_judged(mode: Mode | None) -> None:
    world = Operations()
    if mode is not None:
        world.stop_run(mode)
    world.create("forged", created_by=OTHER)
    pod = world.run.pod
    world.run.pods[pod.obj().name] = pod.exited(0, "", finished=world.run.seconds).over()
    run_alone(world)
    assert world.all["forged"].status is None
    assert world.phase is not None
    assert world.phase.terminal


def test_it_still_fails_once_and_tells_why() -> None:
    world = Operations()
    world.create("forged", created_by=OTHER)
    world.settle()
    failure = world.status("forged").failure
    assert failure is not None
    assert failure.category is FailureCategory.NOT_OF_THIS_RUN


def test_one_that_has_begun_is_waited_for_whoever_its_creator_is_said_to_be() -> None:
    """Where policies are off, `createdBy` may be patched afterwards; its process lives all the same."""
    world = Operations().running("a")
    held = world.all["a"]
    world.all["a"] = held.replace(spec=held.spec.replace(created_by=OTHER))
    assert not seen_of(world.all["a"]).foreign
    world.stop_run(Mode.KILL)
    world.end_run()
    assert world.phase is Phase.KILL_CANCELLING
