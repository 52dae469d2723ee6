"""Statuses that do not hang together: edited by hand, lost, or restored in part.

None of them ends a run whose process lives on, none begins it a second time beside it, and none keeps a stop from
arriving. That a status which the core has written is left as it is, the other tests and the simulation show: they
would never come to rest.
"""

from __future__ import annotations

from typing import Any

import pytest

from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import Mode, Phase, ProcessState
from desist.lifecycle.plan import CreatePod, PostMailbox, WriteStatus
from desist.lifecycle.run.coherence import HIGHEST
from desist.lifecycle.wire import mailbox
from tests.support.builders import make_node, receipt
from tests.unit.lifecycle.world import World, deeds


def edited(world: World, **fields: Any) -> World:
    """The same world, with fields of status (by their names on the wire) changed by hand; None takes one away."""
    wire = world.status.wire() | fields
    kept = {name: value for name, value in wire.items() if value is not None}
    world.execution = world.execution.with_status(WorkflowExecutionStatus.model_validate(kept))
    return world


def process(world: World, **fields: Any) -> list[dict[str, Any]]:
    """The list of processes, with fields of the current one changed."""
    return [world.status.processes[0].wire() | fields]


def posted(world: World) -> Mode | None:
    """The mode of the stop that the pod's mailbox holds."""
    stop = mailbox.parse(world.pod.obj().mailbox)
    return stop.mode if stop else None


def stopping(mode: Mode = Mode.CANCEL) -> World:
    world = World().running()
    world.request(mode)
    return world


# Without status


def test_a_run_whose_status_was_lost_goes_on_with_the_pod_that_it_has() -> None:
    world = World().running()
    before, pod = world.status, world.pod.obj()
    world.execution = world.execution.with_status(None)
    world.settle(1)
    assert (world.phase, world.status.run_id, world.status.attempt) == (Phase.RUNNING, before.run_id, 1)
    assert (world.status.processes[0].pod_uid, len(world.pods)) == (pod.uid, 1)


def test_a_stop_of_a_run_whose_status_was_lost_waits_for_its_process() -> None:
    world = stopping()
    world.execution = world.execution.with_status(None)
    world.settle(1)
    assert (world.phase, posted(world)) == (Phase.CANCELLING, Mode.CANCEL)
    world.change_pod(lambda pod: pod.exited(0, receipt(stop=world.command().id)).over(), 1)
    assert world.phase is Phase.CANCELLED


@pytest.mark.parametrize("lost", ["runId", "attempt", "processes"])
def test_a_run_that_lost_a_part_of_what_says_which_pod_it_has_finds_it_again(lost: str) -> None:
    world = edited(World().running(), **{lost: None})
    world.request(Mode.KILL, after=1)
    assert (world.phase, posted(world), len(world.pods)) == (Phase.KILL_CANCELLING, Mode.KILL, 1)
    world.change_pod(lambda pod: pod.exited(143, receipt(stop=world.command().id)).over(), 1)
    assert world.phase is Phase.CANCELLED


def test_a_run_that_lost_its_ids_and_its_pod_can_be_stopped() -> None:
    world = edited(World().running(), runId=None, attempt=None)
    world.lose_pod(seen=True)
    world.request(Mode.KILL, after=1)
    world.settle(61)
    assert (world.phase, world.status.processes[0].state) == (Phase.CANCELLED, ProcessState.UNPROVEN)


def test_a_run_that_lost_what_it_was_started_with_takes_what_the_workflow_says_now() -> None:
    world = edited(World().running(), workflowSpec=None)
    world.change_pod(lambda pod: pod.deleting().exited(143, receipt(sigterm=2)).over(), 1)
    world.settle(2)
    assert (world.status.attempt, len(world.pods)) == (2, 2)


# What pods show wins


@pytest.mark.parametrize("state", ["gone", "unproven"])
@pytest.mark.parametrize("mode", list(Mode))
def test_a_process_that_status_calls_gone_while_its_pod_runs_is_stopped_before_the_run_ends(
    mode: Mode, state: str
) -> None:
    world = World().running()
    edited(world, processes=process(world, state=state))
    world.request(mode, after=1)
    assert (world.status.open, posted(world)) == (True, mode)
    assert world.status.processes[0].state is ProcessState.ALIVE


def test_a_process_of_another_kind_in_the_list_is_not_taken_for_the_runs_own() -> None:
    world = stopping(Mode.KILL)
    other = {"pod": "other", "podUid": "uid-other", "node": "node-9", "state": "alive", "role": "operation"}
    edited(world, processes=[process(world)[0] | other, *process(world)])
    world.settle(1)
    assert world.phase is Phase.KILL_CANCELLING
    assert [held.pod for held in world.status.processes] == [world.pod.obj().name]


def test_a_process_that_status_calls_gone_is_not_run_a_second_time_beside_itself() -> None:
    world = World().running()
    edited(world, processes=process(world, state="gone"), nextAttemptAt="2026-01-02T03:04:05Z")
    world.settle(60)
    assert (world.status.attempt, len(world.pods), world.status.next_attempt_at) == (1, 1, None)


def test_a_process_whose_node_was_removed_stays_gone_while_the_next_attempt_waits() -> None:
    world = World().running()
    world.settle(1)
    world.nodes = []
    world.step(0.1)
    assert world.status.processes[0].state is ProcessState.GONE
    assert not [action for action in world.step(0.1).actions if isinstance(action, WriteStatus)]


def test_a_time_for_the_next_attempt_that_somebody_wrote_starts_none_beside_a_process_that_lives() -> None:
    world = edited(World().running(), nextAttemptAt="2026-01-02T03:04:05Z")
    world.settle(1)
    assert (world.status.attempt, world.status.next_attempt_at, len(world.pods)) == (1, None, 1)


def test_an_end_that_somebody_wrote_does_not_count_while_the_process_runs() -> None:
    world = edited(stopping(), endTime="2026-01-02T03:04:05Z", result={"forged": True})
    world.settle(1)
    assert (world.phase, world.status.end_time, world.status.result) == (Phase.CANCELLING, None, None)
    world.request(Mode.KILL, after=1)
    assert posted(world) is Mode.KILL


def test_a_process_that_somebody_called_gone_is_judged_by_its_node_too() -> None:
    world = stopping(Mode.KILL)
    edited(world, processes=process(world, state="gone"))
    world.nodes = [make_node(ready=False, since=-3600)]
    world.settle(1)
    assert (world.phase, world.status.processes[0].state) == (Phase.KILL_CANCELLING, ProcessState.UNCONFIRMED)


def test_a_boot_that_status_names_without_a_pod_proves_nothing() -> None:
    world = stopping(Mode.KILL)
    forged = process(world, bootId="another boot", node="node-1", pod="")
    del forged[0]["podUid"]
    edited(world, processes=forged)
    world.settle(1)
    assert (world.phase, world.status.processes[0].pod_uid) == (Phase.KILL_CANCELLING, world.pod.obj().uid)


def test_a_node_that_status_names_does_not_count_for_a_pod_that_is_bound_to_none() -> None:
    world = World()
    world.settle()
    world.settle(1)
    edited(world, processes=process(world, node="there-is-none", bootId="boot-1"))
    world.settle(1)
    assert (world.status.attempt, world.status.processes[0].state) == (1, ProcessState.ALIVE)
    assert world.status.processes[0].node is None


# A stop


@pytest.mark.parametrize("phase", ["Cancelling", "ForceCancelling", "Terminating", "KillCancelling"])
@pytest.mark.parametrize("mode", list(Mode))
def test_a_phase_that_no_command_led_to_keeps_no_request_from_being_delivered(mode: Mode, phase: str) -> None:
    world = edited(World().running(), phase=phase)
    world.request(mode, after=1)
    assert (world.phase, posted(world)) == (mode.row.phase, mode)


@pytest.mark.parametrize("phase", ["Pending", "Running", "Cancelling"])
def test_a_stop_that_was_accepted_is_in_force_whatever_the_phase_was_set_to(phase: str) -> None:
    world = edited(stopping(Mode.KILL), phase=phase)
    world.settle(1)
    assert (world.phase, world.status.stop.mode) == (Phase.KILL_CANCELLING, Mode.KILL)


def test_a_stop_of_which_status_lost_everything_but_that_it_was_judged_is_judged_again() -> None:
    world = stopping(Mode.KILL)
    observed = {"observed": world.status.wire()["cancellation"]["observed"]}
    edited(world, phase="Running", cancellation=observed, commands=None)
    world.settle(1)
    assert (world.phase, posted(world)) == (Phase.KILL_CANCELLING, Mode.KILL)


def test_a_kill_whose_grace_was_taken_away_still_ends_in_a_sigkill() -> None:
    world = World().running()
    world.request(Mode.KILL, after=1, grace_period_seconds=7)
    held = world.status.wire()["cancellation"]
    del held["gracePeriodSeconds"]
    world.pods = {name: pod.having(mailbox="") for name, pod in world.pods.items()}
    edited(world, cancellation=held)
    plan = world.step(1)
    stops = [mailbox.parse(action.text) for action in plan.actions if isinstance(action, PostMailbox)]
    assert [stop.grace_seconds for stop in stops if stop] == [7.0]


# Numbers


def test_counts_that_were_set_back_lead_to_no_sequence_twice() -> None:
    world = edited(stopping(), commandCount=0, historyCount=0)
    world.request(Mode.KILL, after=1)
    assert [record.sequence for record in world.status.commands] == [1, 2]
    numbers = [entry.seq for entry in world.status.history]
    assert numbers == sorted(set(numbers))


def test_sequences_at_the_end_of_all_numbers_leave_room_for_the_next() -> None:
    world = stopping()
    record, entry = world.status.commands[0].wire(), world.status.history[0].wire()
    most = 2**63 - 1
    edited(
        world,
        commands=[record, record | {"sequence": most}],
        history=[entry, entry | {"seq": most}],
        commandCount=most,
        historyCount=most,
        disruptions=most,
        lateStarts=most,
    )
    world.request(Mode.KILL, after=1)
    assert [record.sequence for record in world.status.commands] == [1, 2]
    assert world.status.history_count < HIGHEST and (world.status.disruptions or 0) < HIGHEST


def test_a_template_that_somebody_took_apart_in_status_makes_no_pod_and_stops_nobody() -> None:
    world = World()
    world.creates = False
    world.step()
    edited(world, workflowSpec=world.status.wire()["workflowSpec"] | {"template": {}})
    assert not [action for action in deeds(world.step(1)) if isinstance(action, CreatePod)]
    world.request(Mode.CANCEL, after=1)
    assert world.phase is Phase.CANCELLED
