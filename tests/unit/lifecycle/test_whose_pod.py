"""Whose a pod is: the attempt's own, or somebody else's that only bears its name."""

from __future__ import annotations

import pytest

from desist.api.vocabulary import Mode, Phase
from desist.lifecycle.observed.questions import Answer, CreateAnswer
from desist.lifecycle.plan import CreatePod, DeletePod, PostMailbox
from tests.support.builders import at, make_pod, receipt
from tests.unit.lifecycle.world import World, done

TAKEN = "pod order-1-x exists and is not this run's: delete it"
ENDS = {
    Mode.CANCEL: Phase.CANCELLED,
    Mode.FORCE: Phase.CANCELLED,
    Mode.TERMINATE: Phase.TERMINATED,
    Mode.KILL: Phase.CANCELLED,
}


def with_foreign_pod(*, seen: bool) -> World:
    """A run whose pod's name somebody has taken. `seen`: the pod says that it is the attempt's, and a watch shows it;
    it is without the launcher."""
    world = World(creates=False)
    world.step()
    name = world.status.processes[0].pod
    if seen:
        foreign = make_pod(name, run_id=world.status.run_id or "", uid="foreign").running()
        world.pods[name] = foreign.having(launched=False)
    world.created = CreateAnswer(Answer.TAKEN, TAKEN, at(world.seconds), retry_after=4)
    world.settle()
    world.done.clear()
    return world


@pytest.mark.parametrize("seen", [True, False])
def test_a_pod_that_somebody_else_made_under_the_name_is_not_the_attempts(seen: bool) -> None:
    world = with_foreign_pod(seen=seen)
    assert (world.phase, world.status.processes[0].pod_uid) == (Phase.PENDING, None)
    assert world.status.waiting_on == (TAKEN,)


@pytest.mark.parametrize("seen", [True, False])
def test_the_create_is_tried_again_when_the_wait_is_over(seen: bool) -> None:
    world = with_foreign_pod(seen=seen)
    world.settle(3)
    assert not [a for a in world.done if isinstance(a, CreatePod)]
    assert "CreatePod" in done(world.step(1))


@pytest.mark.conformance("C7")
@pytest.mark.parametrize("mode", list(Mode))
def test_a_stop_ends_a_run_at_once_whose_pods_name_is_somebody_elses(mode: Mode) -> None:
    world = with_foreign_pod(seen=False)
    world.request(mode, after=1)
    assert world.phase is ENDS[mode]
    assert not [action for action in world.done if isinstance(action, CreatePod | PostMailbox | DeletePod)]


def test_a_pod_without_the_launcher_is_the_attempts_where_this_process_has_made_it() -> None:
    """Admission may hide the launcher in a script of its own."""
    world = World()
    world.step()
    name, pod = next(iter(world.pods.items()))
    world.pods[name] = pod.having(launched=False)
    world.step()
    assert world.status.processes[0].pod_uid is None
    world.made = "uid-1"
    world.settle()
    assert world.status.processes[0].pod_uid == "uid-1"


def test_a_pod_whose_uid_is_in_status_stays_the_attempts_whatever_becomes_of_its_command() -> None:
    world = World().running()
    world.change_pod(lambda pod: pod.having(launched=False).exited(0, receipt()).over(), after=1)
    assert world.phase is Phase.SUCCEEDED
