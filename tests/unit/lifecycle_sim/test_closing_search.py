"""No order of steps leaves a process of an operation behind: the real decisions, searched for seconds."""

from __future__ import annotations

import pytest

from tests.unit.lifecycle_sim.closing_search import search
from tests.unit.lifecycle_sim.closing_states import CASES, Case

FIRST = 2_500
"""States; `make search` walks through all of them, which takes minutes."""
SMALL = tuple(case for case in CASES if case.mode is None and case.then is None)


@pytest.mark.parametrize("case", [case for case in CASES if case not in SMALL], ids=str)
def test_no_run_is_stopped_while_a_process_of_its_operation_lives_that_it_does_not_leave(case: Case) -> None:
    found = search(case, bound=FIRST)
    assert not found.wrong, found.state
    assert found.ends > 50, "the search has seen no ends"


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_no_run_ends_by_itself_while_a_process_of_its_operation_lives_that_it_does_not_leave(case: Case) -> None:
    found = search(case)
    assert not found.wrong, found.state
    assert found.complete
    assert found.rests > 0, "it comes to rest nowhere"
