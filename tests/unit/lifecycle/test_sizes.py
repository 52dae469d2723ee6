"""The largest status that can come of a run, as the API server stores it, and what is cut so that it stays so small."""

from __future__ import annotations

from typing import Any

import pytest

from desist.api import outside
from desist.api.records import HistoryEntry
from desist.api.vocabulary import CommandStatus, HistoryType, Mode, OnLostNode
from desist.lifecycle import history
from desist.lifecycle.observed.pods import ContainerPhase
from desist.lifecycle.pod.limits import stored_size
from desist.lifecycle.stop import records
from tests.support.builders import at, make_execution, make_spec, receipt
from tests.unit.lifecycle.test_coherence import edited
from tests.unit.lifecycle.world import World

STATUS_BYTES = 384 * 1024
SHOWN_BYTES = 16 * 1024
LONGEST_TEXTS = {"escaped sixfold": "<" * 1024, "four bytes each": "\U0001f600" * 512, "plain": "x" * 1024}


def size(world: World) -> int:
    """Bytes of status as stored, without what the run was started with."""
    wire = world.status.wire()
    wire.pop("workflowSpec", None)
    wire.pop("arguments", None)
    return stored_size(wire)


def shown(world: World) -> int:
    wire = world.status.wire()
    return stored_size(wire["conditions"]) + stored_size(wire.get("waitingOn", []))


def check(world: World) -> None:
    """What must hold at every moment."""
    assert size(world) <= STATUS_BYTES, f"status takes {size(world)} bytes"
    assert shown(world) <= SHOWN_BYTES, f"conditions and waitingOn take {shown(world)} bytes"
    foldable = [entry for entry in world.status.history if entry.type in history.FOLDABLE]
    assert all(stored_size(entry.wire()) <= 300 for entry in foldable)
    assert len(world.status.history) <= 256 and len(world.status.commands) <= 64


def disrupt(world: World, words: str) -> None:
    """One attempt more, ended in words that are as long as can be."""
    name = world.pod.obj().name
    gone = world.pod.running().deleting(1).having(message=outside.text(words * 9, 2000))
    world.pods[name] = gone.exited(143, receipt(sigterm=2)).over()
    world.step()
    world.step(61)
    world.step()


def full_history(world: World, words: str) -> None:
    """256 entries, all of them disruptions but those of the run's begin."""
    for _ in range(3):
        disrupt(world, words)
    entry = next(entry for entry in reversed(world.status.history) if entry.type in history.FOLDABLE).wire()
    before = [e.wire() for e in world.status.history]
    more = [entry | {"seq": 10**15 + n} for n in range(256 - len(before))]
    edited(world, history=[*before, *more], historyCount=10**15 + 300)


@pytest.mark.parametrize("words", LONGEST_TEXTS.values(), ids=LONGEST_TEXTS)
def test_the_largest_status_that_can_come_of_a_run_stays_below_its_limit(words: str) -> None:
    spec = make_spec(active_deadline_seconds=10**6)
    world = World(make_execution(workflow_ref=None, workflow_spec=spec))
    world.settle()
    full_history(world, words)
    world.change_pod(lambda pod: pod.with_sidecar("proxy").running(world.seconds), after=1)
    check(world)
    said: dict[str, Any] = {"reason": words, "details": words}
    for mode in Mode:
        world.request(mode, after=1, request_id="<" * 128, kill_after_seconds=10**6, **said)
        check(world)
        for number in range(11):
            world.request(mode, after=1, request_id="<" * 127 + str(number % 9), **said)
    world.request(Mode.KILL, after=1, on_lost_node=OnLostNode.FORGET, **said)
    outcome = '{"outcome":"Failed","result":"' + "<" * 3000 + '","failure":{"message":"' + "<" * 900 + '"}}\n'
    world.change_pod(lambda pod: pod.exited(1, outcome + receipt(stop=world.command().id)), after=1)
    check(world)
    world.change_pod(lambda pod: pod.container("proxy", phase=ContainerPhase.TERMINATED, exit_code=0).over(), after=1)
    assert not world.status.open
    check(world)
    accepted = [record for record in world.status.commands if record.status is CommandStatus.ACCEPTED]
    assert [(record.reason, record.details) for record in accepted] == [(words, words)] * len(accepted)
    assert len(accepted) >= 4


@pytest.mark.parametrize("words", LONGEST_TEXTS.values(), ids=LONGEST_TEXTS)
def test_what_was_not_accepted_keeps_the_beginning_of_its_reason_and_its_details(words: str) -> None:
    world = World().running()
    world.request(Mode.KILL)
    world.request(Mode.KILL, after=1, reason=words, details=words)
    record = world.command()
    assert record.status is CommandStatus.DUPLICATE
    for text in (record.reason, record.details):
        assert text is not None and text.endswith(outside.CUT) and words.startswith(text.removesuffix(outside.CUT))
        assert 240 <= stored_size(text) - 2 <= 256


def test_an_empty_reason_of_what_was_not_accepted_stays_different_from_none() -> None:
    world = World().running()
    world.request(Mode.KILL)
    world.request(Mode.KILL, after=1, reason="")
    assert (world.command().reason, world.command().details) == ("", None)


def test_what_one_waits_for_has_room_whatever_a_kubelet_says() -> None:
    world = World()
    world.settle()
    names = [f"init-{n}" for n in range(40)]
    for name in names:
        world.pods = {key: pod.with_init(name, reason="Odd", message="<" * 2000) for key, pod in world.pods.items()}
    world.change_pod(lambda pod: pod.bound())
    assert world.status.waiting_on
    check(world)


def test_more_accepted_commands_than_there_can_be_leave_room_for_the_next() -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    record = world.status.commands[0].wire()
    edited(world, commands=[record | {"sequence": n} for n in range(1, 65)], commandCount=64)
    world.request(Mode.KILL, after=1)
    assert len(world.status.commands) == records.KEPT_ACCEPTED
    assert world.command().mode is Mode.KILL and world.status.stop.command_id == world.command().id


def test_a_history_of_nothing_but_commands_leaves_room_for_the_end() -> None:
    entry = HistoryEntry(seq=1, type=HistoryType.CANCEL_REQUESTED, time=at(0))
    entries = tuple(entry.replace(seq=n) for n in range(1, 300))
    assert [e.seq for e in history.fold(entries)] == list(range(44, 300))


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("abc", 3), ("<>&", 18), ('"\\', 4), ("\n\t", 4), ("\x01", 6), ("ü", 2), ("\U0001f600", 4), ("\u2028", 6)],
)
def test_a_text_is_as_long_as_the_api_server_stores_it(text: str, bytes_: int) -> None:
    assert outside.stored_size(text) == bytes_ == stored_size(text) - 2


@pytest.mark.parametrize("text", ["x" * 500, "<" * 500, "\U0001f600" * 500, '"' * 500, "short", ""])
def test_a_text_that_is_cut_is_as_long_as_may_be_and_is_never_torn(text: str) -> None:
    cut = outside.fit(text, 100)
    assert outside.stored_size(cut) <= 100
    assert cut == text or (cut.endswith(outside.CUT) and text.startswith(cut.removesuffix(outside.CUT)))
    assert cut == text or outside.stored_size(cut) > 90
