"""What users read: phases, conditions, what is waited for, history, ids."""

from __future__ import annotations

import pytest

from desist.api.conditions import ConditionStatus
from desist.api.records import HistoryEntry
from desist.api.vocabulary import Bucket, HistoryType, Mode, Phase
from desist.lifecycle.history import LIMIT, fold
from desist.lifecycle.ids import ulid
from desist.lifecycle.observed.pods import ContainerPhase
from desist.lifecycle.plan import WakeAt
from tests.support.builders import UID, at, make_execution, make_workflow, receipt
from tests.unit.lifecycle.world import World

TRUE, FALSE = ConditionStatus.TRUE, ConditionStatus.FALSE


def conditions(world: World) -> dict[str, bool]:
    return {c.type.value: c.status is TRUE for c in world.status.conditions}


def _ended(code: int, mode: Mode | None = None) -> World:
    world = World().running()
    if mode:
        world.request(mode)
    world.change_pod(lambda pod: pod.exited(code, receipt(stop=world.command().id if mode else "")).over(), after=1)
    return world


def _timed_out() -> World:
    world = World(make_execution(active_deadline_seconds=1)).running()
    world.settle(5)
    world.change_pod(lambda pod: pod.exited(137, receipt(stop=world.command().id)).over())
    return world


# What kstatus reads: Reconciling True is InProgress, Stalled True is Failed, neither is Current.
KSTATUS = [
    ("Pending", lambda: _pending(), "InProgress", Bucket.RUNNING),
    ("Running", lambda: World().running(), "InProgress", Bucket.RUNNING),
    ("Cancelling", lambda: _stopping(), "InProgress", Bucket.RUNNING),
    ("Succeeded", lambda: _ended(0), "Current", Bucket.COMPLETED),
    ("Failed", lambda: _ended(1), "Failed", Bucket.FAILED),
    ("TimedOut", _timed_out, "Failed", Bucket.FAILED),
    ("Cancelled", lambda: _ended(0, Mode.CANCEL), "Current", Bucket.FAILED),
    ("Terminated", lambda: _ended(137, Mode.TERMINATE), "Current", Bucket.FAILED),
]


def _pending() -> World:
    world = World()
    world.settle()
    return world


def _stopping() -> World:
    world = World().running()
    world.request(Mode.CANCEL)
    return world


@pytest.mark.conformance("G7", "H15")
@pytest.mark.parametrize(("phase", "make", "kstatus", "bucket"), KSTATUS, ids=[case[0] for case in KSTATUS])
def test_what_standard_tools_read(phase: str, make: object, kstatus: str, bucket: Bucket) -> None:
    world = make()  # type: ignore[operator]  # a factory of worlds
    read = conditions(world)
    found = "InProgress" if read["Reconciling"] else "Failed" if read["Stalled"] else "Current"
    assert (world.phase, found, world.status.bucket) == (phase, kstatus, bucket)
    assert not (read["Reconciling"] and read["Stalled"])
    assert read["Finished"] == (bucket is not Bucket.RUNNING)
    assert read["Cancelled"] == (phase in ("Cancelled", "Terminated"))
    generation = world.execution.metadata.generation
    assert {c.observed_generation for c in world.status.conditions} == {generation}
    assert world.status.observed_generation == generation


def test_a_transition_time_moves_only_with_its_condition() -> None:
    world = World().running()
    before = {c.type: c.last_transition_time for c in world.status.conditions}
    world.request(Mode.CANCEL, after=5)
    after = {c.type: c.last_transition_time for c in world.status.conditions}
    assert after == before


@pytest.mark.conformance("G9")
def test_the_end_time_is_the_processes_and_never_moves() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.with_sidecar().running(), after=1)
    world.change_pod(lambda pod: pod.exited(0, receipt(), finished=3), after=5)
    assert world.status.end_time == at(3)
    world.change_pod(lambda pod: pod.over(), after=30)
    world.request(Mode.KILL, after=5)
    world.settle(100)
    assert (world.phase, world.status.end_time) == (Phase.SUCCEEDED, at(3))


def test_the_observed_generation_waits_for_the_request_that_the_end_came_before() -> None:
    world = World().running()
    generation = world.status.observed_generation
    world.pods[world.pod.obj().name] = world.pod.exited(0, receipt()).over()
    world.execution = world.execution.cancelled(Mode.CANCEL)
    plan = world.step(1)
    assert world.phase is Phase.SUCCEEDED
    assert world.status.observed_generation == generation
    assert [a.when > at(1) for a in plan.actions if isinstance(a, WakeAt)] == [True]
    world.settle(1)
    assert world.status.observed_generation == generation + 1
    assert world.status.command_count == 1


def test_an_image_that_cannot_be_pulled_is_said_once_though_the_kubelets_words_change() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.bound().container("workflow", reason="ErrImagePull", message="not found"))
    assert any("image cannot be pulled" in text and "not found" in text for text in world.status.waiting_on)
    writes = world.writes
    world.change_pod(lambda pod: pod.container("workflow", reason="ImagePullBackOff", message="Back-off"), after=9)
    assert world.writes == writes
    world.change_pod(lambda pod: pod.running(9), after=1)
    assert world.status.waiting_on == ()


def test_an_init_container_that_hangs_is_said_after_a_while() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.bound().with_init(phase=ContainerPhase.RUNNING, started_at=at(1)), after=1)
    assert "waitingOn" not in world.status.wire()
    world.settle(10)
    assert any("init container prepare" in text for text in world.status.waiting_on)


def test_a_pod_without_a_node_says_what_the_scheduler_says() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.having(unschedulable="0/3 nodes are available"))
    assert any("0/3 nodes" in text for text in world.status.waiting_on)


@pytest.mark.conformance("G7")
def test_events_are_named_as_the_history_and_come_once() -> None:
    world = World().running()
    world.request(Mode.CANCEL, reason="why")
    world.change_pod(lambda pod: pod.exited(0, receipt(stop=world.command().id)).over(), after=1)
    world.settle(5)
    assert [e.reason for e in world.events] == [
        "StartAccepted",
        "WorkflowStarted",
        "CancelRequested",
        "WorkflowCancelled",
    ]


@pytest.mark.conformance("G1")
def test_events_come_before_what_a_conflict_may_end() -> None:
    world = World().running()
    world.execution = world.execution.cancelled(Mode.CANCEL)
    kinds = [type(action).__name__ for action in world.plan().actions]
    assert kinds == ["WriteStatus", "EmitEvent", "PostMailbox", "WakeAt"]


def test_the_sequence_numbers_of_the_history_rise_strictly() -> None:
    world = World(workflow=make_workflow(kill_after=5)).running()
    world.request(Mode.CANCEL)
    world.settle(6)
    world.change_pod(lambda pod: pod.exited(137, receipt(stop=world.status.commands[0].id)).over(), after=1)
    numbers = [entry.seq for entry in world.status.history]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == world.status.history_count


def _entry(seq: int, kind: HistoryType) -> HistoryEntry:
    return HistoryEntry(seq=seq, type=kind, time=at(seq))


def test_more_disruptions_than_the_history_holds_are_folded_and_counted() -> None:
    entries: tuple[HistoryEntry, ...] = (_entry(1, HistoryType.START_ACCEPTED), _entry(2, HistoryType.CANCEL_REQUESTED))
    for seq in range(3, 603):
        entries = fold((*entries, _entry(seq, HistoryType.POD_DISRUPTED)))
    assert len(entries) == LIMIT
    assert [e.type for e in entries[:2]] == [HistoryType.START_ACCEPTED, HistoryType.CANCEL_REQUESTED]
    assert sum(e.count or 1 for e in entries[2:]) == 600
    assert [e.seq for e in entries] == sorted(e.seq for e in entries)
    assert entries[2].count == 600 - (LIMIT - 3)


def test_entries_of_commands_are_never_folded() -> None:
    entries = tuple(_entry(seq, HistoryType.CANCEL_REQUESTED) for seq in range(1, LIMIT + 1))
    assert fold(entries) == entries


def test_ids_are_ulids_that_sort_by_time_and_differ_by_label() -> None:
    first, second = ulid(at(0), UID, "command/1"), ulid(at(1), UID, "command/1")
    assert len(first) == 26
    assert first < second
    assert first != ulid(at(0), UID, "command/2")
    assert first == ulid(at(0), UID, "command/1")
    # The time of a ULID, as its definition reads it.
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = 0
    for letter in first[:10]:
        number = number * 32 + alphabet.index(letter)
    assert number == int(at(0).timestamp() * 1000)


def test_a_node_whose_clock_is_ahead_starts_no_process_in_the_future() -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.running(500), after=1)
    assert world.status.start_time == at(1)
