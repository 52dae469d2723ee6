"""Retries of a workflow process that failed: how many, how far apart, and what ends them."""

from __future__ import annotations

import pytest

from desist.api.vocabulary import HistoryType, Mode, Phase
from desist.api.workflow import RetryPolicy
from tests.support.builders import at, make_execution, make_spec, receipt
from tests.unit.lifecycle.world import World


def world_with(**policy: int) -> World:
    spec = make_spec(retry_policy=RetryPolicy(**policy))
    return World(execution=make_execution(workflow_ref=None, workflow_spec=spec), workflow=None).running()


def fail(world: World, code: int = 3) -> None:
    world.change_pod(lambda pod: pod.running(world.seconds).exited(code, receipt()).over())


def test_without_a_policy_a_failure_is_final() -> None:
    world = World().running()
    fail(world)
    assert (world.phase, world.status.processes[0].exit_code) == (Phase.FAILED, 3)


def test_what_fails_is_tried_again_after_its_waits_and_then_the_failure_is_final() -> None:
    world = world_with(maximum_attempts=3, initial_interval_seconds=10, backoff_coefficient=3)
    for attempt, wait in ((1, 10), (2, 30)):
        fail(world)
        assert (world.phase, world.status.attempt, world.status.failed_attempts) == (Phase.RUNNING, attempt, attempt)
        assert world.status.next_attempt_at == at(world.seconds + wait)
        world.settle(wait)
        assert world.status.attempt == attempt + 1
    fail(world, 7)
    assert (world.phase, world.status.attempt, world.status.processes[0].exit_code) == (Phase.FAILED, 3, 7)
    assert world.types().count(HistoryType.ATTEMPT_FAILED) == 2
    assert world.types().count(HistoryType.WORKFLOW_STARTED) == 1


def test_an_attempt_that_succeeds_ends_the_run() -> None:
    world = world_with(maximum_attempts=2)
    fail(world)
    world.settle(1)
    world.change_pod(lambda pod: pod.running(world.seconds).exited(0, receipt()).over())
    assert (world.phase, world.status.failed_attempts) == (Phase.SUCCEEDED, 1)


def test_a_drain_counts_as_no_try() -> None:
    world = world_with(maximum_attempts=2)
    world.change_pod(lambda pod: pod.deleting().exited(143, receipt(sigterm=2)).over(), 1)
    world.settle(1)
    fail(world)
    assert (world.phase, world.status.disruptions, world.status.failed_attempts) == (Phase.RUNNING, 1, 1)


@pytest.mark.conformance("B22")
@pytest.mark.parametrize("mode", list(Mode))
def test_a_stop_in_the_back_off_ends_the_run_at_once_and_no_process_starts_any_more(mode: Mode) -> None:
    world = world_with(maximum_attempts=5, initial_interval_seconds=3600)
    fail(world)
    world.request(mode)
    assert world.phase is (Phase.TERMINATED if mode is Mode.TERMINATE else Phase.CANCELLED)
    world.settle(4000)
    assert len(world.pods) == 1


@pytest.mark.conformance("B22")
@pytest.mark.parametrize("mode", list(Mode))
def test_a_process_that_fails_after_a_stop_is_not_tried_again(mode: Mode) -> None:
    world = world_with(maximum_attempts=5)
    world.request(mode)
    fail(world)
    # Its receipt says that it had not heard of the stop, so that under Cancel the failure is its own.
    untold = {Mode.CANCEL: Phase.FAILED, Mode.TERMINATE: Phase.TERMINATED}
    assert world.phase is untold.get(mode, Phase.CANCELLED)
    world.settle(100)
    assert len(world.pods) == 1


def test_the_deadline_of_the_run_counts_over_all_its_tries() -> None:
    spec = make_spec(
        retry_policy=RetryPolicy(maximum_attempts=9, initial_interval_seconds=60), active_deadline_seconds=30
    )
    world = World(execution=make_execution(workflow_ref=None, workflow_spec=spec), workflow=None).running()
    fail(world)
    world.settle(30)
    assert world.phase is Phase.TIMED_OUT


def test_what_the_workflow_says_later_does_not_change_what_runs() -> None:
    world = world_with(maximum_attempts=2)
    world.execution = world.execution.changed(workflow_spec=make_spec())
    fail(world)
    assert (world.phase, world.status.failed_attempts) == (Phase.RUNNING, 1)


def test_a_try_that_another_clock_has_put_off_waits_no_longer_than_its_policy_says() -> None:
    world = world_with(maximum_attempts=2, initial_interval_seconds=10)
    fail(world)
    world.execution = world.execution.with_status(world.status.replace(next_attempt_at=at(1_000_000)))
    world.settle()
    world.settle(10)
    assert world.status.attempt == 2
