"""What a whole stop costs the core, counted in calls of functions: no clock is so steady on a busy machine.

Contract: the reconciles of one stop of one run (`one_stop`). The limit is a quarter above what was counted when it was
set; `python -m hack.bench.decide` shows the parts, and milliseconds.
"""

from __future__ import annotations

import pytest

from desist.lifecycle import decide as module
from desist.lifecycle.decide import decide
from tests.support.builders import at
from tests.unit.lifecycle.one_stop import calls_of, reconciles

LIMIT = 9_100


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
