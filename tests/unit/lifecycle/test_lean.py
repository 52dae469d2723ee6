"""Where an object has no room for its status, texts go first, and that of the command in force never."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from desist.api.records import CommandRecord, HistoryEntry
from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import Mode
from desist.lifecycle.plan import WriteStatus
from desist.lifecycle.shown.derived import DERIVED, derived_only
from desist.lifecycle.shown.lean import lean
from tests.unit.lifecycle.world import World

LONG = 1000
KEPT = {"workflow_spec", "cancellation.observed.reason", "cancellation.observed.details"}
TAKEN = {
    "failure.message",
    "waiting_on",
    "commands.message",
    "commands.reason",
    "commands.details",
    "history.reason",
    "history.message",
    "history.failure.message",
    "conditions.message",
}


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)


def texts(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Where a status may hold long strings."""
    for name, field in model.model_fields.items():
        here = f"{path}{name}"
        if here in KEPT:
            continue
        inner = list(models(field.annotation))
        for each in inner:
            yield from texts(each, f"{here}.")
        limits = [
            getattr(mark, "max_length", 0) for part in (field, *nested(field.annotation)) for mark in part.metadata
        ]
        if not inner and max(limits, default=0) >= LONG:
            yield here


def nested(annotation: Any) -> Iterator[Any]:
    """The annotated types inside a type, each with its `metadata`."""
    for part in get_args(annotation):
        if hasattr(part, "__metadata__"):
            yield Marks(part.__metadata__)
        yield from nested(part)


class Marks:
    """What an annotated type is marked with."""

    def __init__(self, marks: tuple[Any, ...]) -> None:
        self.metadata = [inner for mark in marks for inner in (mark, *getattr(mark, "metadata", ()))]


def stopped_twice() -> WorkflowExecutionStatus:
    world = World().running()
    world.request(Mode.CANCEL, reason="first words", details="first details")
    world.request(Mode.KILL, reason="last words", details="last details")
    world.settle()
    return world.status


def untold(record: CommandRecord | HistoryEntry) -> dict[str, Any]:
    """Without its texts."""
    return {name: value for name, value in record.wire().items() if name not in ("reason", "details", "message")}


def test_every_long_text_of_a_status_is_known_to_be_taken_or_kept() -> None:
    assert set(texts(WorkflowExecutionStatus)) == TAKEN


def test_a_lean_status_has_the_texts_of_the_command_in_force_and_decides_the_same() -> None:
    full = stopped_twice()
    small = lean(full)
    words = str(small.wire())
    assert "last words" in words and "last details" in words
    assert "first words" not in words and "first details" not in words
    assert [(c.id, c.mode, c.accepted_at) for c in small.commands] == [
        (c.id, c.mode, c.accepted_at) for c in full.commands
    ]
    assert [(e.seq, e.type, e.command_id) for e in small.history] == [
        (e.seq, e.type, e.command_id) for e in full.history
    ]
    assert small.cancellation == full.cancellation
    assert lean(small) == small


def test_after_a_lean_write_nothing_is_judged_or_done_anew() -> None:
    world = World().running()
    world.request(Mode.KILL, reason="words", details="details")
    world.settle()
    small = lean(world.status)
    world.execution = world.execution.with_status(small)
    for action in world.plan().actions:
        if isinstance(action, WriteStatus):
            # What only tells of the posting rides on this write, as on any.
            assert [record.replace(applied_at=None) for record in action.status.commands] == list(small.commands)
            told = {name: getattr(small, name) for name in ("commands", "history", "history_count")}
            assert derived_only(small, action.status.replace(**told))


@pytest.mark.parametrize("name", DERIVED)
def test_what_is_derived_is_told_from_what_is_not(name: str) -> None:
    status = stopped_twice().replace(observed_generation=7)
    changed = {"waiting_on": ("x",), "conditions": (), "blocked_reasons": (), "observed_generation": 6}
    other = status.replace(**{name: changed.get(name, not getattr(status, name))})
    assert derived_only(status, other)
    assert not derived_only(status, other.replace(late_starts=9))
    assert not derived_only(None, status)


def test_a_write_that_raises_the_observed_generation_says_something() -> None:
    status = stopped_twice()
    raised = status.replace(observed_generation=status.observed_generation + 1)
    assert not derived_only(status, raised)
