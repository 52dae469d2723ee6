"""No order of steps leaves a process of an operation behind: searched exhaustively, over the real decisions."""

from __future__ import annotations

import pytest

from desist.api.vocabulary import Mode
from tests.unit.lifecycle_sim.closing_search import search


@pytest.mark.parametrize("mode", [Mode.KILL, Mode.TERMINATE, Mode.CANCEL])
def test_no_run_ends_while_a_process_of_its_operation_lives(mode: Mode) -> None:
    found = search(mode)
    print(f"{mode.value}: {found.states} states, {found.ends} of them ended, {found.late} with a late start")
    assert found.complete, f"gave up after {found.states} states"
    assert found.survivor is None
    assert found.ends > 100
