"""A pass waits for its own last deeds to be seen, but not for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from desist.controller.memory import PATIENCE, Memory
from desist.lifecycle.observed import Answer, ContainerKind, ContainerView, CreateAnswer, PodView

NOW = datetime(2026, 5, 1, tzinfo=UTC)
POD = PodView("pod", "p", "5", "RUN", 1, "Running", (ContainerView("workflow", ContainerKind.REGULAR),))


def test_after_a_create_a_pass_waits_until_the_pod_is_seen() -> None:
    memory = Memory(10)
    memory.created("wfx", "pod", NOW)
    assert memory.waits_until("wfx", (), NOW) == NOW + PATIENCE
    assert memory.waits_until("wfx", (POD,), NOW) is None
    assert memory.waits_until("wfx", (), NOW) is None


def test_after_a_posting_a_pass_waits_for_that_version_or_for_the_pods_end() -> None:
    memory = Memory(10)
    memory.posted("wfx", "p", "10", NOW)
    assert memory.waits_until("wfx", (replace(POD, resource_version="9"),), NOW) == NOW + PATIENCE
    assert memory.waits_until("wfx", (replace(POD, resource_version="10"),), NOW) is None
    memory.posted("wfx", "p", "10", NOW)
    assert memory.waits_until("wfx", (), NOW) is None


def test_after_a_delete_a_pass_waits_for_the_deletion_timestamp() -> None:
    memory = Memory(10)
    memory.deleted("wfx", "p", NOW)
    assert memory.waits_until("wfx", (POD,), NOW) == NOW + PATIENCE
    assert memory.waits_until("wfx", (replace(POD, deletion_timestamp=NOW),), NOW) is None


def test_patience_ends_and_other_executions_do_not_wait() -> None:
    memory = Memory(10)
    memory.created("wfx", "pod", NOW)
    assert memory.waits_until("other", (), NOW) is None
    assert memory.waits_until("wfx", (), NOW + PATIENCE) is None


def test_a_refusal_that_may_pass_is_forgotten_when_it_is_time_to_try_again() -> None:
    memory = Memory(10)
    refused = CreateAnswer(Answer.REFUSED, "exceeded quota")
    memory.refused("wfx", "pod", refused, NOW)
    assert memory.refusal("wfx", "pod", NOW + timedelta(seconds=9)) == refused
    assert memory.refusal("wfx", "next-attempt", NOW) is None
    assert memory.refusal("wfx", "pod", NOW + timedelta(seconds=10)) is None


def test_an_invalid_template_stays_refused_and_a_pass_of_the_create_clears_it() -> None:
    memory = Memory(10)
    invalid = CreateAnswer(Answer.INVALID, "spec.containers[0].image: Required value")
    memory.refused("wfx", "pod", invalid, NOW)
    assert memory.refusal("wfx", "pod", NOW + timedelta(days=1)) == invalid
    memory.created("wfx", "pod", NOW)
    assert memory.refusal("wfx", "pod", NOW) is None


def test_what_is_forgotten_holds_nothing_up() -> None:
    memory = Memory(10)
    memory.created("wfx", "pod", NOW)
    memory.refused("wfx", "pod", CreateAnswer(Answer.INVALID), NOW)
    memory.forget("wfx")
    assert memory.waits_until("wfx", (), NOW) is None
    assert memory.refusal("wfx", "pod", NOW) is None
