"""Random objects through readers, decisions and the check of their writes; and that this finds what it looks for.

`python -m tests.unit.fuzz --count 100000` (or `make fuzz`) runs as many as one likes, from a seed of their own.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from desist.api.status import ProcessStatus, WorkflowExecutionStatus
from desist.api.vocabulary import Phase, ProcessRole, ProcessState
from desist.lifecycle.observed.sight import Observed
from desist.lifecycle.run import coherence as run_coherence
from desist.lifecycle.run import reports
from desist.lifecycle.settings import Settings
from desist.lifecycle.stop import coherence
from tests.support.builders import at, make_execution, make_node, make_pod
from tests.unit.fuzz.cases import run, schema
from tests.unit.fuzz.grow import Grower
from tests.unit.fuzz.proof import unproven_end
from tests.unit.fuzz.schema import complaints

SEED, COUNT = 1, 2000


def test_no_object_that_the_schema_allows_stops_a_decision_or_ends_a_run_without_proof() -> None:
    for index in range(COUNT):
        try:
            run(SEED, index)
        except Exception as error:
            error.add_note(f"python -m tests.unit.fuzz --seed {SEED} --only {index}")
            raise
    print(f"fuzz: seed {SEED}, {COUNT:,} objects")


def _finds(count: int = 400) -> list[str]:
    """What the first cases complain about."""
    found = []
    for index in range(count):
        try:
            run(SEED, index)
        except AssertionError as error:
            found.append(str(error))
    return found


def test_a_core_that_takes_every_process_for_gone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "verdict", lambda *_: ProcessState.GONE)
    assert any("nothing says that its processes have ended" in complaint for complaint in _finds())


def test_a_core_that_believes_whatever_status_says_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_coherence, "coherent", lambda _, status: status)
    monkeypatch.setattr(coherence, "coherent", lambda _, status: status)
    found = []
    for index in range(400):
        try:
            run(SEED, index)
        except Exception as error:
            found.append(str(error))
    assert any("written outside the schema" in complaint for complaint in found)


@pytest.mark.parametrize("booted", ["boot-0", "boot-1"])
def test_what_status_says_of_a_pod_as_a_late_start_proves_nothing_of_the_runs_own_process(booted: str) -> None:
    own = ProcessStatus(pod="p", pod_uid="u", node="node-1", boot_id=booted, state=ProcessState.ALIVE, since=at(0))
    other = "boot-1" if booted == "boot-0" else "boot-0"
    late = own.replace(role=ProcessRole.LATE_START, boot_id=other)
    before = WorkflowExecutionStatus(phase=Phase.RUNNING, run_id="R", attempt=1, processes=(late, own))
    seen = make_execution().with_status(before).obj()
    pod = make_pod("p", uid="u", run_id="R").running().obj()
    observed = Observed(
        execution=seen,
        settings=Settings(),
        pods=(pod,),
        nodes=(make_node("node-1", boot_id="boot-1"),),
        live_nodes=("node-1",),
    )
    proven = unproven_end(observed, before, before.replace(phase=Phase.FAILED)) is None
    assert proven == (booted == "boot-0"), "its node has booted since, or has not"


@pytest.mark.parametrize("plural", ["workflows", "workflowexecutions"])
def test_what_is_grown_fits_its_schema(plural: str) -> None:
    for number in range(200):
        grow = Grower(Random(number), density=0.7)
        assert list(complaints(schema(plural), grow.value(schema(plural)))) == []


NUMBER = {"type": "integer", "minimum": 0}
MISFITS: list[tuple[str, dict[str, Any], Any]] = [
    ("a text that is too long", {"type": "string", "maxLength": 2}, "abc"),
    ("a text that is none of those", {"type": "string", "enum": ["a"]}, "b"),
    ("half a surrogate pair", {"type": "string"}, "\ud800"),
    ("a time without a zone", {"type": "string", "format": "date-time"}, "2026-01-02T03:04:05"),
    ("a number that is too small", NUMBER, -1),
    ("a number of 65 bits", NUMBER, 2**63),
    ("a boolean for a number", NUMBER, True),
    ("a list that is too long", {"type": "array", "maxItems": 1, "items": NUMBER}, [1, 2]),
    ("a field that nobody named", {"type": "object", "properties": {}}, {"a": 1}),
    ("a field that must be there", {"type": "object", "properties": {"a": NUMBER}, "required": ["a"]}, {}),
    ("null", {"type": "object", "properties": {"a": NUMBER}}, {"a": None}),
    (
        "one key twice",
        {
            "type": "array",
            "x-kubernetes-list-map-keys": ["a"],
            "items": {"type": "object", "properties": {"a": NUMBER}},
        },
        [{"a": 1}, {"a": 1}],
    ),
]


@pytest.mark.parametrize(("misfit", "value"), [row[1:] for row in MISFITS], ids=[row[0] for row in MISFITS])
def test_what_does_not_fit_is_said(misfit: dict[str, Any], value: Any) -> None:
    assert len(list(complaints(misfit, value))) == 1


def test_a_keyword_that_the_checker_does_not_know_is_not_passed_over() -> None:
    with pytest.raises(AssertionError, match="oneOf"):
        list(complaints({"oneOf": []}, 1))
