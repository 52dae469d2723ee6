"""Push: what is sent to a pod's launcher as a datagram, when, and what its answers are good for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from desist.api.vocabulary import HistoryType, Mode, Phase
from desist.lifecycle.observed.pushes import PushTo
from desist.lifecycle.observed.questions import PodCall, Refusal
from desist.lifecycle.plan import DeletePod, PostMailbox, PushStop, WakeAt
from desist.lifecycle.wire import mailbox
from tests.support.builders import PodBuilder, at, make_pod, receipt
from tests.unit.lifecycle.operation_world import Operations
from tests.unit.lifecycle.world import World, deeds, done

TO = PushTo("0a1b2c3d", 7633)


def pushed(world: World) -> list[PushStop]:
    return [action for action in world.done if isinstance(action, PushStop)]


def said(push: PushStop) -> mailbox.Stop:
    stop = mailbox.parse(push.text)
    assert stop is not None
    return stop


def listens(pod: PodBuilder) -> PodBuilder:
    return pod.having(address="10.244.1.7", push=TO)


@pytest.mark.parametrize("mode", list(Mode))
def test_a_stop_is_pushed_after_its_acceptance_and_before_its_posting(mode: Mode) -> None:
    world = World().listening()
    world.execution = world.execution.cancelled(mode, reason="why", details="what")
    accepted, then = world.step(1), world.step(0)
    assert (done(accepted), done(then)) == (["WriteStatus", "PushStop"], ["PostMailbox"])
    (push,), (post,) = deeds(accepted)[1:], deeds(then)
    assert isinstance(push, PushStop) and isinstance(post, PostMailbox)
    assert (push.pod, push.uid, push.address) == (post.pod, post.uid, "10.244.1.7")
    assert (push.key_id, push.port, push.asks) == (TO.key_id, TO.port, post.asks)
    posted = mailbox.parse(post.text)
    assert posted is not None
    assert (said(push), push.sequence) == (replace(posted, details=None), posted.sequence)


def test_the_pass_that_accepts_asks_for_the_one_that_posts_at_once() -> None:
    world = World().listening()
    world.execution = world.execution.cancelled(Mode.CANCEL)
    wakes = [action.when for action in world.plan().actions if isinstance(action, WakeAt)]
    assert wakes and min(wakes) <= at(world.seconds + 1)
    by_mailbox = World().running()
    by_mailbox.execution = by_mailbox.execution.cancelled(Mode.CANCEL)
    assert done(by_mailbox.plan()) == ["WriteStatus", "PostMailbox"]


def test_a_posting_that_comes_a_second_after_its_push_is_pushed_once_more() -> None:
    world = World().listening()
    world.execution = world.execution.cancelled(Mode.CANCEL)
    for action in deeds(world.plan()):
        world.apply(action)
    assert done(world.plan()) == ["PostMailbox"]
    world.seconds += 1
    assert done(world.plan()) == ["PushStop", "PostMailbox"]


def _without_address(pod: PodBuilder) -> PodBuilder:
    return pod.having(address="")


def _without_launcher(pod: PodBuilder) -> PodBuilder:
    return pod.having(push=None)


@pytest.mark.parametrize("change", [_without_address, _without_launcher])
def test_nothing_is_pushed_to_a_pod_that_cannot_hear_it(change: Callable[[PodBuilder], PodBuilder]) -> None:
    world = World().listening()
    world.change_pod(change)
    world.request(Mode.KILL)
    assert [type(a) for a in world.done if isinstance(a, PushStop | PostMailbox)] == [PostMailbox]


def test_nothing_is_pushed_while_push_is_off() -> None:
    world = World().listening()
    world.settings = replace(world.settings, push_key_id="")
    world.change_pod(lambda pod: pod.deleting(600, since=world.seconds))
    world.request(Mode.KILL)
    assert not pushed(world)


def test_nothing_is_pushed_to_a_container_that_has_not_started_or_has_ended() -> None:
    world = World()
    world.settings = replace(world.settings, push_key_id=TO.key_id)
    world.settle()
    world.change_pod(lambda pod: listens(pod).bound())
    world.request(Mode.KILL)
    assert [type(a) for a in world.done if isinstance(a, PushStop | PostMailbox | DeletePod)] == [
        PostMailbox,
        DeletePod,
    ]
    ended = World().listening()
    ended.change_pod(lambda pod: pod.with_sidecar().exited(3, receipt()), after=1)
    ended.request(Mode.KILL)
    assert not pushed(ended)


def test_a_repeat_is_pushed_too_and_spared_where_the_push_was_heard() -> None:
    for heard, count in ((False, 3), (True, 1)):
        world = World().listening()
        world.request(Mode.CANCEL)
        if heard:
            world.answers()
            assert not [a for a in world.plan().actions if isinstance(a, WakeAt)], "nothing is left to be asked"
        for _ in range(8):
            world.settle(5)
        assert [type(a) for a in world.done if isinstance(a, PushStop | PostMailbox)] == [PushStop, PostMailbox] * count
        assert len({push.sequence for push in pushed(world)}) == 1


@pytest.mark.parametrize("wrong", [{"command_id": "another"}, {"sequence": 7}])
def test_an_answer_that_does_not_name_the_stop_spares_nothing(wrong: dict[str, Any]) -> None:
    world = World().listening()
    world.request(Mode.CANCEL)
    world.answers(**wrong)
    world.settle(3)
    assert len(pushed(world)) == 2


def test_what_the_api_server_refuses_is_pushed_with_each_try() -> None:
    world = World().listening()
    world.execution = world.execution.cancelled(Mode.CANCEL)
    for action in deeds(world.plan())[:2]:
        world.apply(action)
    uid = world.pod.obj().uid
    world.refusals = (Refusal(uid, PodCall.POST, "Cancel/None", "policy: no", at(world.seconds)),)
    world.settle()
    assert len(pushed(world)) == 1, "it waits with its posting"
    world.seconds += 1
    assert done(world.plan())[-2:] == ["PushStop", "PostMailbox"]


# A pod that is being deleted


def _drained(grace: int = 600) -> World:
    world = World().listening()
    world.change_pod(lambda pod: pod.deleting(grace, since=world.seconds))
    return world


def test_a_pod_that_is_being_deleted_is_pushed_to_at_once_and_again_every_second() -> None:
    world = _drained()
    world.request(Mode.KILL, after=1)
    assert [type(a).__name__ for a in world.done[-3:] if not isinstance(a, WakeAt)][-1] == "PushStop"
    for number in range(2, 6):
        assert WakeAt(at(world.seconds + 1)) in world.plan().actions
        world.settle(0.5)
        assert len(pushed(world)) == number - 1
        world.settle(0.5)
        assert len(pushed(world)) == number
    assert len({push.text for push in pushed(world)}) == 1, "the same, as often as it is sent"
    assert not [a for a in world.done if isinstance(a, PostMailbox | DeletePod)]


def test_what_is_pushed_to_it_is_what_a_merge_would_post_at_the_acceptance() -> None:
    world = World().listening()
    world.request(Mode.CANCEL, reason="first")
    world.change_pod(lambda pod: pod.deleting(600, since=world.seconds), after=10)
    first = said(pushed(world)[-1])
    assert first == replace(said(pushed(world)[0]), posted_at=first.posted_at), "it may not have arrived"
    assert first.sequence == 1
    world.request(Mode.KILL, after=10, reason="second", grace_period_seconds=7)
    stop, record = said(pushed(world)[-1]), world.command()
    assert (stop.sequence, stop.mode, stop.grace_seconds, stop.reason) == (2, Mode.KILL, 7, "second")
    assert (stop.command_id, stop.posted_at) == (record.id, record.accepted_at)


def test_it_is_pushed_to_until_it_has_ended() -> None:
    world = _drained()
    world.request(Mode.CANCEL, after=1)
    world.change_pod(lambda pod: pod.exited(0, receipt(sigterm=world.seconds)).over(), after=3)
    count = len(pushed(world))
    assert world.phase is Phase.CANCELLED
    world.settle(5)
    assert len(pushed(world)) == count


def test_once_it_was_heard_it_is_pushed_only_to_know_what_is_left() -> None:
    world = _drained()
    world.request(Mode.KILL, after=1)
    world.answers()
    for _ in range(19):
        world.settle(1)
    assert len(pushed(world)) == 2
    world.request(Mode.KILL, grace_period_seconds=1)
    assert len(pushed(world)) == 3, "something else is said at once"


def test_a_pod_that_outlives_its_grace_is_pushed_to_more_and_more_rarely() -> None:
    world = _drained(grace=5)
    world.request(Mode.KILL, after=1)
    for _ in range(3600):
        world.step(1)
    assert 5 + 10 < len(pushed(world)) < 80


def test_nothing_is_pushed_to_a_drained_pod_that_nobody_stops() -> None:
    world = _drained()
    world.settle(5)
    assert not pushed(world)


def test_a_late_start_is_pushed_to_also_while_it_is_deleted() -> None:
    world = World().listening()
    late = listens(make_pod("late", run_id=world.status.run_id or "", attempt=0, uid="uid-late").running())
    world.pods = {"late": late, **world.pods}
    world.settle()
    world.settle(1)
    mine = [a for a in world.done if isinstance(a, PushStop | PostMailbox | DeletePod) and a.uid == "uid-late"]
    assert [type(a) for a in mine] == [PushStop, PostMailbox, DeletePod, PushStop]
    first, again = [said(a) for a in mine if isinstance(a, PushStop)]
    assert (first.mode, first.grace_seconds, again) == (Mode.KILL, 0, first)


def test_a_late_start_is_not_deleted_before_its_mailbox_is_written_where_a_stop_comes_with_it() -> None:
    world = World().listening()
    late = listens(make_pod("late", run_id=world.status.run_id or "", attempt=0, uid="uid-late").running())
    world.pods = {"late": late, **world.pods}
    world.execution = world.execution.cancelled(Mode.CANCEL)
    accepted, then = world.step(1), world.step(0)
    assert done(accepted) == ["WriteStatus", "PushStop", "PushStop"]
    assert done(then) == ["PostMailbox", "PostMailbox", "DeletePod"]


def test_operations_are_pushed_to_in_the_same_way() -> None:
    world = Operations(run=World().listening()).running("a")
    world.change_pod("a", listens(world.pod("a")), 1)
    world.stop_run(Mode.KILL, 1)
    mine = [action for key, action in world.done if key == "a" and isinstance(action, PushStop | PostMailbox)]
    assert [type(action) for action in mine] == [PushStop, PostMailbox]
    assert isinstance(mine[0], PushStop) and said(mine[0]).mode is Mode.KILL


# What two stops share


def test_two_stops_that_ask_for_different_things_never_share_a_sequence() -> None:
    world = _drained()
    held = mailbox.Stop(9, "x", "x", Mode.CANCEL, "SIGTERM", None, None, None, at(0))
    world.change_pod(lambda pod: pod.having(mailbox=mailbox.render(held)))
    world.request(Mode.CANCEL, after=1)
    world.request(Mode.FORCE, after=1)
    world.settle(3)
    world.request(Mode.KILL, after=1, grace_period_seconds=7)
    by_sequence = {push.sequence: json.loads(push.text)["mode"] for push in pushed(world)}
    assert by_sequence == {10: "Cancel", 11: "Force", 12: "Kill"}
    assert all(json.loads(push.text)["sequence"] == push.sequence for push in pushed(world))


# Answers


def test_an_answer_is_told_as_received_with_the_next_write() -> None:
    world = World().listening()
    world.request(Mode.CANCEL)
    writes = world.writes
    world.answers(after=0.1)
    assert world.writes == writes, "it is only informative"
    world.request(Mode.KILL, after=1)
    entries = [entry for entry in world.status.history if entry.type is HistoryType.CANCELLATION_RECEIVED]
    assert [(entry.command_id, entry.time) for entry in entries] == [(world.command(0).id, at(world.seconds - 1))]


def test_an_answer_for_no_command_of_this_run_is_told_nowhere() -> None:
    world = World().listening()
    world.request(Mode.CANCEL)
    world.answers(command_id="another", main_ended=True, left=2)
    world.request(Mode.KILL, after=1)
    assert HistoryType.CANCELLATION_RECEIVED not in world.types()
    assert not any("main program" in text for text in world.status.waiting_on)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"main_ended": True, "left": 2}, "has ended, 2 processes have not, which were told to stop"),
        ({"main_ended": True, "left": 1}, "has ended, 1 process has not, which were told to stop"),
        ({"main_ended": True, "left": 0}, "the processes of container workflow"),
        ({"main_ended": False, "left": 4}, "the processes of container workflow"),
    ],
)
def test_what_is_left_of_it_is_told_in_words(fields: dict[str, Any], words: str) -> None:
    world = _drained()
    world.request(Mode.KILL, after=1)
    world.answers(**fields)
    assert any(words in text for text in world.status.waiting_on), world.status.waiting_on


def test_that_a_deletion_may_be_shortened_is_told() -> None:
    world = _drained()
    world.request(Mode.KILL, after=1)
    found = [text for text in world.status.waiting_on if "is being deleted with a grace until" in text]
    assert len(found) == 1 and "may end earlier" in found[0]
    held = world.status.cancellation
    assert held is not None and held.kill_at == world.pod.obj().deletion_timestamp, "it cannot be promised"


def test_no_answer_ends_a_run_or_spares_a_delete() -> None:
    world = World().listening()
    world.request(Mode.KILL)
    world.answers(did="killing", main_ended=True, left=0)
    world.settle(5 + world.settings.delete_after)
    assert world.phase is Phase.KILL_CANCELLING
    assert [type(a) for a in world.done if isinstance(a, DeletePod)] == [DeletePod]


def test_the_answers_time_is_nobodys_deadline() -> None:
    world = World().listening()
    world.request(Mode.KILL, grace_period_seconds=60)
    before = world.status.cancellation
    world.answers(after=30, at=at(world.seconds + 3600))
    world.settle(20)
    assert world.status.cancellation == before
    assert before is not None and before.kill_at == at(world.seconds) - timedelta(seconds=50) + timedelta(seconds=60)
