"""One whole stop of one run with a pod, as its reconciles see it, and how many calls something takes.

Contract: real objects, over the wire and back; the launcher listens, so that the stop is pushed too. What each
reconcile sees is kept as it was, so that `decide` can be asked again, any number of times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

from desist.api.operation import WorkKind
from desist.api.vocabulary import ClosePolicy, Mode, Phase, ProcessRole
from desist.lifecycle.observed.sight import Observed, OperationSeen
from tests.support.builders import make_pod, receipt
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


def among(seen: Observed, operations: int) -> Observed:
    """The same, of a run with so many operations, whose pods run."""
    status = seen.execution.status
    assert status is not None and status.run_id is not None, "the run has begun"
    run, numbers = status.run_id, range(operations)
    pods = (make_pod(f"op-{n}", uid=f"pod-{n}").having(operation=f"uid-{n}", run_id=run).running(3) for n in numbers)
    return replace(
        seen,
        operations=tuple(_running(n, run) for n in numbers),
        operation_pods=tuple(pod.having(role=ProcessRole.OPERATION).obj() for pod in pods),
    )


def _running(number: int, run_id: str) -> OperationSeen:
    return OperationSeen(
        uid=f"uid-{number}",
        name=f"op-{number}",
        key=f"step-{number}",
        run_id=run_id,
        kind=WorkKind.POD,
        close_policy=ClosePolicy.STOP,
        phase=Phase.RUNNING,
        begun=True,
        attempt=1,
        started=True,
    )


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
