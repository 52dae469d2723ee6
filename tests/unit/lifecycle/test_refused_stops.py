"""A posting that is refused holds nothing up: by a policy, a webhook, a full object, or somebody who writes over it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desist.api.vocabulary import Mode, Phase
from desist.lifecycle.observed.pods import ContainerKind, ContainerPhase, ContainerView
from desist.lifecycle.observed.questions import PodCall, Refusal
from desist.lifecycle.plan import DeletePod, PostMailbox
from desist.lifecycle.wire import mailbox
from tests.support.builders import at, receipt
from tests.unit.lifecycle.world import World, done

pytestmark = pytest.mark.conformance("C19")
POLICY = "ValidatingAdmissionPolicy 'frozen' denied request: pods are frozen here"


def refuse(world: World, asks: str, call: PodCall = PodCall.POST, times: int = 1) -> None:
    """The API server has refused that call a moment ago."""
    refusal = Refusal(world.pod.obj().uid, call, asks, POLICY, at(world.seconds), times)
    world.refusals = (*(r for r in world.refusals if r.call is not call), refusal)


def stopping(mode: Mode, **fields: object) -> World:
    """A run that runs, and whose stop is accepted and not posted yet."""
    world = World().running()
    world.execution = world.execution.cancelled(mode, **fields)
    world.apply(world.plan().actions[0])
    return world


def deletes(world: World) -> list[int | None]:
    return [a.grace_seconds for a in world.plan().actions if isinstance(a, DeletePod)]


@pytest.mark.parametrize(
    ("mode", "asks", "grace"),
    [(Mode.FORCE, "Force/0.0", 1), (Mode.TERMINATE, "Terminate/0.0", 1), (Mode.KILL, "Kill/5.0", 5)],
)
def test_a_mode_with_a_deadline_deletes_the_pod_with_what_is_left_of_it(mode: Mode, asks: str, grace: int) -> None:
    world = stopping(mode)
    refuse(world, asks)
    assert done(world.plan()) == ["DeletePod"] or done(world.plan()) == ["WriteStatus", "DeletePod"]
    assert deletes(world) == [grace]


def test_the_grace_of_that_delete_counts_from_the_acceptance_however_often_the_posting_is_refused() -> None:
    world = stopping(Mode.KILL, grace_period_seconds=30)
    refuse(world, "Kill/30.0", times=0)
    assert done(world.plan()) == ["PostMailbox"], "a passing fault is no refusal"
    world.seconds += 10
    refuse(world, "Kill/30.0")
    assert deletes(world) == [20]
    world.seconds += 25
    refuse(world, "Kill/30.0", times=9)
    assert deletes(world) == [1], "the deadline has passed, and the backstop is not begun anew"


@pytest.mark.parametrize("mode", list(Mode))
def test_a_pod_that_never_started_is_deleted_under_the_version_that_was_judged(mode: Mode) -> None:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.bound())
    world.execution = world.execution.cancelled(mode)
    world.apply(world.plan().actions[0])
    asks = next(a for a in world.plan().actions if isinstance(a, PostMailbox)).asks
    refuse(world, asks)
    (delete,) = [a for a in world.plan().actions if isinstance(a, DeletePod)]
    assert delete.resource_version == world.pod.obj().resource_version


def test_a_cancel_is_posted_again_with_back_off_and_says_who_refuses_and_what_helps() -> None:
    world = stopping(Mode.CANCEL)
    refuse(world, "Cancel/None")
    world.settle()
    assert not [a for a in world.done if isinstance(a, PostMailbox | DeletePod)]
    (text,) = [text for text in world.status.waiting_on if "refusal" in text]
    assert POLICY in text and "Kill deletes it" in text
    assert [event.reason for event in world.events if event.warning] == ["StopRefused"]
    assert done(world.step(after=1)) == ["PostMailbox"]


def test_a_kill_after_a_refused_cancel_does_not_wait_for_its_back_off() -> None:
    world = stopping(Mode.CANCEL)
    refuse(world, "Cancel/None", times=20)
    world.execution = world.execution.cancelled(Mode.KILL)
    assert done(world.plan()) == ["WriteStatus", "PostMailbox"]


def test_a_delete_that_is_refused_is_tried_again_and_said() -> None:
    world = stopping(Mode.FORCE)
    refuse(world, "Force/0.0", times=3)
    refuse(world, "1", PodCall.DELETE, times=3)
    assert deletes(world) == []
    world.settle()
    assert any("DELETE" in text and POLICY in text for text in world.status.waiting_on)
    world.seconds += 4
    refuse(world, "Force/0.0", times=4)
    assert deletes(world) == [1]


def test_a_container_that_admission_added_keeps_nothing_open_past_the_deadline() -> None:
    world = World().running()
    world.request(Mode.KILL)
    view = world.pod.exited(143, receipt(stop=world.command().id)).obj()
    agent = ContainerView("agent", ContainerKind.ADDED, ContainerPhase.RUNNING, "containerd://agent")
    world.change_pod(lambda pod: pod.having(containers=(*view.containers, agent)), after=1)
    assert world.status.phase is Phase.KILL_CANCELLING
    assert deletes(world) == []
    world.seconds += 10
    assert deletes(world) == [1]


FOREIGN = [
    ("another run's", {"run_id": "01HZZZZZZZZZZZZZZZZZZZZZZZ"}),
    ("a command that nobody gave", {"command_id": "forged"}),
]


@pytest.mark.parametrize("fields", [case[1] for case in FOREIGN], ids=[case[0] for case in FOREIGN])
def test_a_mailbox_that_another_wrote_is_overwritten_with_a_higher_sequence(fields: dict[str, str]) -> None:
    world = World().running()
    world.request(Mode.KILL, grace_period_seconds=60)
    held = mailbox.parse(world.pod.obj().mailbox)
    assert held is not None
    forged = mailbox.render(replace(held, sequence=41, signal="SIGHUP", **fields))  # type: ignore[arg-type]  # texts
    world.change_pod(lambda pod: pod.having(mailbox=forged))
    found = mailbox.parse(world.pod.obj().mailbox)
    assert found is not None
    assert (found.sequence, found.command_id, found.signal) == (42, held.command_id, "SIGTERM")


def test_after_the_annotation_was_taken_away_the_sequence_goes_on() -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    world.request(Mode.KILL, after=1)
    world.change_pod(lambda pod: pod.having(mailbox=""))
    found = mailbox.parse(world.pod.obj().mailbox)
    assert found is not None
    assert found.sequence == world.status.command_count == 2


def test_an_operator_that_was_away_posts_the_whole_grace_and_counts_the_backstop_from_there() -> None:
    world = stopping(Mode.KILL, grace_period_seconds=10)
    world.seconds += 100
    plan = world.step()
    assert done(plan)[:1] == ["PostMailbox"] and deletes(world) == []
    world.settle(14)
    assert not [a for a in world.done if isinstance(a, DeletePod)]
    world.settle(2)
    assert [a.grace_seconds for a in world.done if isinstance(a, DeletePod)] == [1]
