"""What a whole stop costs the core, counted in calls of functions: no clock is so steady on a busy machine.

Contract: the reconciles of one stop of one run, from the request to the rest after its end, in real objects. The limit
is a quarter above what was counted when it was set.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from desist.api.vocabulary import Mode, Phase
from desist.lifecycle import decide as module
from desist.lifecycle.decide import decide
from desist.lifecycle.observed.sight import Observed
from tests.support.builders import at, receipt
from tests.unit.lifecycle.world import World

LIMIT = 15_500


def reconciles() -> list[tuple[str, Observed, float]]:
    """What each reconcile of a stop sees."""
    seen: list[tuple[str, Observed, float]] = []
    world = World().listening()

    def reconcile(what: str) -> None:
        seen.append((what, world.observe(), world.seconds))
        world.step()

    world.execution = world.execution.cancelled(Mode.CANCEL, reason="customer asked")
    reconcile("acceptance")
    reconcile("the mailbox is there")
    world.answers()
    seen.append(("the push was answered", world.observe(), world.seconds))
    world.seconds += 2
    world.pods[world.pod.obj().name] = world.pod.exited(0, receipt(stop=world.command().id)).over()
    reconcile("the end")
    assert world.phase is Phase.CANCELLED
    reconcile("the rest")
    return seen


def calls_of(do: Callable[[], object]) -> int:
    count = 0

    def counts(_: FrameType, event: str, __: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counts)
    try:
        do()
    finally:
        sys.setprofile(before)
    return count


def test_a_whole_stop_takes_no_more_calls_than_that() -> None:
    counted = {what: calls_of(lambda s=s, n=n: decide(s, at(n))) for what, s, n in reconciles()}  # type: ignore[misc]
    print(f"calls of functions in a whole stop: {sum(counted.values())}, {counted}")
    assert sum(counted.values()) < LIMIT, counted


def test_each_reconcile_judges_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[object] = []
    once = module._judge
    monkeypatch.setattr(module, "_judge", lambda *given: (judged.append(given), once(*given))[1])  # type: ignore[func-returns-value]
    found = reconciles()
    judged.clear()
    for _, seen, now in found:
        decide(seen, at(now))
    assert len(judged) == len(found)
