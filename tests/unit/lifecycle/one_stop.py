"""One whole stop of one run with a pod, as its reconciles see it, and how many calls something takes.

Contract: real objects, over the wire and back; the launcher listens, so that the stop is pushed too. What each
reconcile sees is kept as it was, so that `decide` can be asked again, any number of times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from desist.api.vocabulary import Mode, Phase
from desist.lifecycle.observed.sight import Observed
from tests.support.builders import receipt
from tests.unit.lifecycle.world import World


def reconciles() -> list[tuple[str, Observed, float]]:
    """What each reconcile sees, with the second in which it does, from the request to the rest after its end."""
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
    """How many functions are called, Python's and C's."""
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
