"""No order of steps leaves a process of an operation behind: the first states of a search over the real decisions."""

from __future__ import annotations

import pytest

from desist.api.vocabulary import Mode
from tests.unit.lifecycle_sim.closing_search import search

FIRST = 8_000
"""States; `make search` walks through all of them, which takes minutes."""


@pytest.mark.parametrize("mode", [Mode.CANCEL, Mode.TERMINATE, Mode.KILL])
def test_no_run_ends_while_a_process_of_its_operation_lives(mode: Mode) -> None:
    found = search(mode, bound=FIRST)
    assert found.survivor is None
    assert found.ends > 100, "the search has seen no ends"
