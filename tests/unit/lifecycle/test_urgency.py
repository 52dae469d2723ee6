"""Who overtakes others: what waits for a stop, and whatever stops or ends a run."""

from __future__ import annotations

import pytest

from desist.api.vocabulary import Mode, Phase
from desist.lifecycle.stop.urgency import awaits_stop, urgent
from tests.support.builders import at, make_execution, receipt
from tests.unit.lifecycle.world import World


def waits(world: World, posted: str = "") -> bool:
    return awaits_stop(world.execution.obj(), [pod.obj() for pod in world.pods.values()], posted)


def overtakes(world: World) -> bool:
    return urgent(world.execution.obj(), [pod.obj() for pod in world.pods.values()], at(world.seconds))


def test_a_stop_is_waited_for_until_it_is_judged_and_posted() -> None:
    world = World().running()
    assert not waits(world)
    world.execution = world.execution.cancelled(Mode.CANCEL)
    assert waits(world), "asked for"
    judged = world.plan().actions[0]
    world.apply(judged)
    assert waits(world), "judged, and not posted"
    world.settle()
    assert not waits(world), "posted"
    world.execution = world.execution.cancelled(Mode.KILL)
    assert waits(world), "asked for more"


def test_what_this_process_has_posted_counts_before_the_pod_shows_it() -> None:
    world = World().running()
    world.execution = world.execution.cancelled(Mode.CANCEL)
    world.apply(world.plan().actions[0])
    hidden = world.pod.obj()
    world.settle()
    posted = world.pod.obj().mailbox
    assert awaits_stop(world.execution.obj(), [hidden])
    assert not awaits_stop(world.execution.obj(), [hidden], posted)


def test_nothing_waits_for_a_stop_that_a_pods_deletion_has_overtaken_or_that_has_ended() -> None:
    world = World().running()
    world.change_pod(lambda pod: pod.deleting())
    world.request(Mode.CANCEL)
    assert not waits(world)
    ended = World(make_execution().cancelled(Mode.KILL))
    ended.settle()
    assert ended.phase is Phase.CANCELLED
    assert not waits(ended) and not overtakes(ended)


@pytest.mark.conformance("J5")
def test_all_that_is_due_while_a_run_is_stopped_or_ends_overtakes() -> None:
    world = World(make_execution(active_deadline_seconds=100)).running()
    assert not overtakes(world)
    world.seconds += 200
    assert overtakes(world), "its deadline has passed"
    world.seconds -= 200
    world.request(Mode.CANCEL)
    assert overtakes(world), "it is being stopped"
    ending = World().running()
    ending.pods[ending.pod.obj().name] = ending.pod.exited(0, receipt()).over()
    assert overtakes(ending), "its process has ended"
