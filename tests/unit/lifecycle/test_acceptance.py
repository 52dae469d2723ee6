"""The acceptance table, cell by cell, with the phases reached as users reach them."""

from __future__ import annotations

import pytest

from desist.api.vocabulary import CommandStatus, HistoryType, Mode, Phase, RejectionReason
from desist.lifecycle.stop.accept import Row, accept, address, row
from tests.support.builders import at, make_spec, receipt
from tests.unit.lifecycle.world import World

# Written down a second time, as users read it: one line a situation, in the order Cancel, Force, Terminate, Kill.
TABLE = """
not begun        Cancelled   Cancelled        Terminated   Cancelled
backing off      Cancelled   Cancelled        Terminated   Cancelled
never created    Cancelled   Cancelled        Terminated   Cancelled
Pending          Cancelling  ForceCancelling  Terminating  KillCancelling
Running          Cancelling  ForceCancelling  Terminating  KillCancelling
Cancelling       duplicate   ForceCancelling  Terminating  KillCancelling
ForceCancelling  weaker      duplicate        Terminating  KillCancelling
Terminating      weaker      weaker           duplicate    KillCancelling
KillCancelling   weaker      weaker           weaker       duplicate
Succeeded        over        over             over         over
Failed           over        over             over         over
TimedOut         over        over             over         over
Cancelled        over        over             over         over
Terminated       over        over             over         over
"""
CODES = {
    "weaker": RejectionReason.WEAKER_THAN_CURRENT,
    "over": RejectionReason.RUN_NOT_ACTIVE,
    "duplicate": RejectionReason.DUPLICATE,
}
REQUESTS = {
    HistoryType.CANCEL_REQUESTED,
    HistoryType.FORCE_REQUESTED,
    HistoryType.TERMINATE_REQUESTED,
    HistoryType.KILL_REQUESTED,
}
MODES = (Mode.CANCEL, Mode.FORCE, Mode.TERMINATE, Mode.KILL)


def _cells() -> list[tuple[str, Mode, str]]:
    cells = []
    for line in TABLE.strip().splitlines():
        situation, *answers = [part.strip() for part in line.split("  ") if part.strip()]
        cells += [(situation, mode, answer) for mode, answer in zip(MODES, answers, strict=True)]
    return cells


CELLS = _cells()
STOPPED_BY = {
    "Cancelling": Mode.CANCEL,
    "ForceCancelling": Mode.FORCE,
    "Terminating": Mode.TERMINATE,
    "KillCancelling": Mode.KILL,
}


def situation(name: str) -> World:
    """A world in this situation."""
    world = World()
    if name == "not begun":
        world.workflow = None
        world.settle()
        return world
    if name == "Pending":
        world.settle()
        world.change_pod(lambda pod: pod.bound())
        return world
    if name == "never created":
        world.creates = False
        world.step()
        return world
    if name == "TimedOut":
        world.execution = world.execution.changed(active_deadline_seconds=10)
    world.running()
    if name == "backing off":
        world.change_pod(lambda pod: pod.deleting().exited(143, receipt(sigterm=2)).over())
    elif name in STOPPED_BY:
        world.request(STOPPED_BY[name])
    elif name in ("Succeeded", "Failed"):
        code = 0 if name == "Succeeded" else 1
        world.change_pod(lambda pod: pod.exited(code, receipt()).over())
    elif name in ("Cancelled", "Terminated", "TimedOut"):
        if name == "TimedOut":
            world.settle(20)
        else:
            world.request(Mode.KILL if name == "Cancelled" else Mode.TERMINATE)
        world.change_pod(lambda pod: pod.exited(137, receipt(stop="x")).over())
        world.execution = world.execution.changed(cancellation=None)
        world.settle()
    return world


@pytest.mark.conformance("A6", "A7", "A10", "B8", "B12")
@pytest.mark.parametrize(("where", "mode", "answer"), CELLS)
def test_each_cell_of_the_acceptance_table_holds_when_driven_through_whole_passes(
    where: str, mode: Mode, answer: str
) -> None:
    world = situation(where)
    before = world.status
    world.request(mode, after=1, reason="again")
    record = world.status.commands[-1]
    assert record.mode is mode
    if answer in CODES:
        expected = CommandStatus.DUPLICATE if answer == "duplicate" else CommandStatus.REJECTED
        assert record.status is expected
        assert world.phase is before.phase
        assert REQUESTS.isdisjoint(world.types()[len(before.history) :])
        assert record.rejection_reason == (None if answer == "duplicate" else CODES[answer])
    else:
        assert record.status is CommandStatus.ACCEPTED
        assert world.phase == answer
        assert record.accepted_at == at(world.seconds)


@pytest.mark.conformance("H13", "H14")
@pytest.mark.parametrize(("where", "mode", "answer"), CELLS)
def test_the_flags_and_blocked_reasons_say_what_a_request_would_get(where: str, mode: Mode, answer: str) -> None:
    status = situation(where).status
    flags = {
        Mode.CANCEL: status.can_cancel,
        Mode.FORCE: status.can_force,
        Mode.TERMINATE: status.can_terminate,
        Mode.KILL: status.can_kill,
    }
    blocked = {entry.action: entry.reason for entry in status.blocked_reasons}
    assert flags[mode] == (answer not in CODES)
    assert blocked.get(mode) == CODES.get(answer)


@pytest.mark.parametrize(("where", "mode", "answer"), CELLS)
def test_the_table_itself_has_this_cell(where: str, mode: Mode, answer: str) -> None:
    has_no_pod = where in ("not begun", "backing off", "never created")
    phase = Phase.PENDING if has_no_pod else Phase(where)
    assert accept(row(phase, pod=not has_no_pod), mode) == CODES.get(answer, answer)


def test_every_row_of_the_table_is_written_down() -> None:
    ended = Phase.CANCELLED
    left = {row(ended, pod=False, left_over=True), row(ended, pod=False, left_over=True, reaping=True)}
    assert {row(Phase.PENDING, pod=False), *(row(phase, pod=True) for phase in Phase)} | left == set(Row)


@pytest.mark.parametrize(
    ("requested", "current", "answer"),
    [
        (None, None, None),
        (None, "RUN", None),
        ("RUN", "RUN", None),
        ("RUN", None, RejectionReason.INSTANCE_NOT_STARTED),
        ("OTHER", "RUN", RejectionReason.SELECTED_RUN_NOT_CURRENT),
    ],
)
def test_a_request_reaches_the_run_that_it_names(
    requested: str | None, current: str | None, answer: RejectionReason | None
) -> None:
    assert address(requested, current) == answer


def test_a_cancel_is_weaker_than_a_kill_that_a_deadline_fired() -> None:
    world = World(workflow=None)
    world.execution = world.execution.changed(workflow_ref=None, workflow_spec=make_spec(active_deadline_seconds=5))
    world.running()
    world.settle(10)
    world.request(Mode.CANCEL)
    assert world.command().rejection_reason is RejectionReason.WEAKER_THAN_CURRENT
