"""A pass waits for its own last deeds to be seen, but not for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from desist.controller.memory import PATIENCE, Memory
from desist.lifecycle.observed import Answer, ContainerKind, ContainerView, CreateAnswer, PodView

NOW = datetime(2026, 5, 1, tzinfo=UTC)
POD = PodView("pod", "p", "5", "RUN", 1, "Running", (ContainerView("workflow", ContainerKind.REGULAR),))


def test_after_a_create_a_pass_waits_until_the_pod_is_seen() -> None:
    memory = Memory()
    memory.created("wfx", "pod", NOW)
    assert memory.waits_until("wfx", (), NOW) == NOW + PATIENCE
    assert memory.waits_until("wfx", (POD,), NOW) is None
    assert memory.waits_until("wfx", (), NOW) is None


def test_after_a_posting_a_pass_waits_for_that_version_or_for_the_pods_end() -> None:
    memory = Memory()
    memory.posted("wfx", "p", "10", NOW)
    assert memory.waits_until("wfx", (replace(POD, resource_version="9"),), NOW) == NOW + PATIENCE
    assert memory.waits_until("wfx", (replace(POD, resource_version="10"),), NOW) is None
    memory.posted("wfx", "p", "10", NOW)
    assert memory.waits_until("wfx", (), NOW) is None


def test_after_a_delete_a_pass_waits_for_the_deletion_timestamp() -> None:
    memory = Memory()
    memory.deleted("wfx", "p", NOW)
    assert memory.waits_until("wfx", (POD,), NOW) == NOW + PATIENCE
    assert memory.waits_until("wfx", (replace(POD, deletion_timestamp=NOW),), NOW) is None


def test_patience_ends_and_other_executions_do_not_wait() -> None:
    memory = Memory()
    memory.created("wfx", "pod", NOW)
    assert memory.waits_until("other", (), NOW) is None
    assert memory.waits_until("wfx", (), NOW + PATIENCE) is None


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
    memory.created("wfx", "pod", NOW)
    assert memory.refusal("wfx", "pod") is None


def test_what_is_forgotten_holds_nothing_up() -> None:
    memory = Memory()
    memory.created("wfx", "pod", NOW)
    memory.refused("wfx", "pod", CreateAnswer(Answer.INVALID))
    memory.forget("wfx")
    assert memory.waits_until("wfx", (), NOW) is None
    assert memory.refusal("wfx", "pod") is None
