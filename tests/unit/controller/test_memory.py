"""A reconcile waits for its own last deeds to be seen, but not for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from desist.controller.memory import PATIENCE, Memory
from desist.lifecycle.observed.pods import ContainerKind, ContainerView, PodView
from desist.lifecycle.observed.pushes import PushAnswer, Pushed
from desist.lifecycle.observed.questions import Answer, CreateAnswer
from desist.lifecycle.plan import PostMailbox

NOW = datetime(2026, 5, 1, tzinfo=UTC)
POD = PodView("pod", "p", "5", "RUN", 1, "Running", (ContainerView("workflow", ContainerKind.REGULAR),))
POST = PostMailbox("pod", "p", "9", "{}")


class Clock:
    """Seconds that go on only when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_after_a_create_a_pass_waits_until_the_pod_is_seen() -> None:
    memory = Memory(Clock())
    memory.created("wfx", "pod", "pod-uid")
    assert not memory.awaits_sight("wfx")
    assert memory.waits("wfx", ()) == PATIENCE
    assert memory.awaits_sight("wfx")
    assert memory.waits("wfx", (POD,)) is None
    assert not memory.awaits_sight("wfx")
    assert memory.waits("wfx", ()) is None


def test_after_a_posting_a_pass_waits_for_that_version_or_for_the_pods_end() -> None:
    memory = Memory(Clock())
    memory.posted("wfx", POST, "10")
    assert memory.waits("wfx", (replace(POD, resource_version="9"),)) == PATIENCE
    assert memory.waits("wfx", (replace(POD, resource_version="10"),)) is None
    memory.posted("wfx", POST, "10")
    assert memory.waits("wfx", ()) is None


def test_after_a_delete_a_pass_waits_for_the_deletion_timestamp() -> None:
    memory = Memory(Clock())
    memory.deleted("wfx", "p")
    assert memory.waits("wfx", (POD,)) == PATIENCE
    assert memory.waits("wfx", (replace(POD, deletion_timestamp=NOW),)) is None


def test_patience_ends_and_other_executions_do_not_wait() -> None:
    clock = Clock()
    memory = Memory(clock)
    memory.created("wfx", "pod", "pod-uid")
    assert memory.waits("other", ()) is None
    clock.seconds += 2
    assert memory.waits("wfx", ()) == PATIENCE - timedelta(seconds=2)
    clock.seconds += 3
    assert memory.waits("wfx", ()) is None


def test_each_surprise_in_a_row_is_followed_by_a_longer_wait_up_to_a_second() -> None:
    memory = Memory()
    assert memory.surprised("other") == timedelta(milliseconds=10)
    waits = [memory.surprised("wfx") / timedelta(milliseconds=1) for _ in range(9)]
    assert waits == [10, 20, 40, 80, 160, 320, 640, 1000, 1000]
    memory.went_well("wfx")
    assert memory.surprised("wfx") == timedelta(milliseconds=10)
    memory.forget("wfx")
    assert memory.surprised("wfx") == timedelta(milliseconds=10)


def test_a_refusal_is_kept_for_the_pod_that_was_refused() -> None:
    memory = Memory()
    refused = CreateAnswer(Answer.REFUSED, "exceeded quota", NOW)
    memory.refused("wfx", "pod", refused)
    assert memory.refusal("wfx", "pod") == refused
    assert memory.refusal("wfx", "next-attempt") is None
    assert memory.refusal("wfx", "") is None


def test_a_create_that_passes_clears_the_refusal() -> None:
    memory = Memory()
    memory.refused("wfx", "pod", CreateAnswer(Answer.INVALID, "spec.containers[0].image: Required value"))
    memory.created("wfx", "pod", "pod-uid")
    assert memory.refusal("wfx", "pod") is None


def test_the_uid_of_the_pod_that_was_made_last_is_known() -> None:
    memory = Memory()
    memory.created("wfx", "pod", "pod-uid")
    assert (memory.made("wfx", "pod"), memory.made("wfx", "next-attempt"), memory.made("other", "pod")) == (
        "pod-uid",
        "",
        "",
    )
    memory.forget("wfx")
    assert memory.made("wfx", "pod") == ""


@pytest.mark.conformance("K9")
def test_a_pod_is_missed_since_this_process_first_asked_for_it_in_vain() -> None:
    memory = Memory()
    first, second, third = (NOW + timedelta(seconds=seconds) for seconds in (0, 5, 9))
    assert memory.missed("wfx", "pod", first) == first
    assert memory.missed("wfx", "pod", second) == first
    assert memory.missed("wfx", "next-attempt", second) == second
    memory.found("wfx")
    assert memory.missed("wfx", "next-attempt", third) == third


def test_what_is_forgotten_holds_nothing_up() -> None:
    memory = Memory()
    memory.created("wfx", "pod", "pod-uid")
    memory.refused("wfx", "pod", CreateAnswer(Answer.INVALID))
    memory.posted("wfx", POST, "10")
    assert memory.last_posting("wfx") == POST
    memory.forget("wfx")
    assert memory.last_posting("wfx") is None
    assert memory.waits("wfx", ()) is None
    assert memory.refusal("wfx", "pod") is None


ANSWERED = PushAnswer("C", 3, "told", told=2, refused=0, main_ended=False, left=1, at=NOW)


def test_of_each_pod_the_last_push_is_known_with_the_last_answer() -> None:
    memory = Memory(Clock())
    first, second = Pushed("p", 3, "Cancel/None", NOW), Pushed("p", 4, "Kill/2.0", NOW + timedelta(seconds=1))
    assert memory.pushed("wfx", first) is None
    assert memory.push_answered("wfx", "p", ANSWERED)
    assert memory.pushed("wfx", second) == replace(first, answer=ANSWERED)
    memory.pushed("wfx", replace(first, pod_uid="q"))
    assert memory.pushes("wfx") == (replace(second, answer=ANSWERED), replace(first, pod_uid="q"))


def test_an_answer_is_news_where_it_says_more_than_another_time() -> None:
    memory = Memory(Clock())
    memory.pushed("wfx", Pushed("p", 3, "Cancel/None", NOW))
    assert memory.push_answered("wfx", "p", ANSWERED)
    assert not memory.push_answered("wfx", "p", replace(ANSWERED, at=NOW + timedelta(seconds=1)))
    assert memory.push_answered("wfx", "p", replace(ANSWERED, left=0))


def test_an_answer_for_what_is_forgotten_or_another_pod_is_not_kept() -> None:
    memory = Memory(Clock())
    memory.pushed("wfx", Pushed("p", 3, "Cancel/None", NOW))
    assert not memory.push_answered("wfx", "another", ANSWERED)
    memory.forget("wfx")
    assert not memory.push_answered("wfx", "p", ANSWERED)
    assert memory.pushes("wfx") == ()
