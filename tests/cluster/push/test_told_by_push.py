"""On the installed release idle runs are told by push, in every mode; the mailbox follows and tells nobody twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.push.conftest import HEARS, Told, entries, moment, noted
from tests.support import programs, proof
from tests.support.lab import Lab
from tests.support.last_states import LastStates, last_states
from tests.support.logs import log_of, wait_for_log, wait_until_started
from tests.support.operations import Author, Operation, operations_of

pytestmark = pytest.mark.usefixtures("datagrams_arrive", "release_operator")

MODES: dict[str, tuple[str, dict[str, Any], str, int]] = {
    # mode, request, end, how often the program is signalled
    "a run under Cancel": ("Cancel", {"reason": "wrong address", "details": "x" * 1000}, "Cancelled", 1),
    "a run under Force": ("Force", {}, "Cancelled", 0),
    "a run under Terminate": ("Terminate", {}, "Terminated", 0),
    # On a busy node a program may take a second to hear a signal.
    "a run under Kill": ("Kill", {"gracePeriodSeconds": 5}, "Cancelled", 1),
}
OPERATION = "an operation's pod"


@dataclass(frozen=True)
class Window:
    """What became of all, stopped at the same time."""

    told: dict[str, Told]
    early: dict[str, Any]
    """The status of another one while its program cleaned up."""


@pytest.fixture(scope="module")
def window(place: Lab) -> Iterator[Window]:
    runs, another = {name: place.start(HEARS) for name in MODES}, place.start(HEARS)
    with operations_of(place) as operations, last_states(place) as kept:
        parent = place.start(programs.WORKS)
        for execution in (*runs.values(), parent, another):
            wait_until_started(execution)
        author = Author.of(operations, parent)
        operation = _running(author, "unit")
        for name, execution in runs.items():
            mode, request, *_ = MODES[name]
            execution.stop(mode, **request)
        operation.stop("Cancel")
        another.stop("Cancel")
        early = noted(another)
        made = {name: Told.of(execution, MODES[name][2], kept) for name, execution in runs.items()}
        made[OPERATION] = _of_operation(operation, kept)
        another.wait_for("Cancelled")
        for name in [name for name, found in made.items() if found.way != "push" or "repeatedAt" in found.mailbox]:
            made[name] = _once_more(name, place, author, kept)
        yield Window(made, early)
        parent.stop("Force")
        parent.wait_for("Cancelled")
    assert proof.gone_for_good(parent.marker)


@pytest.fixture(scope="module")
def told(window: Window) -> dict[str, Told]:
    return window.told


def _once_more(name: str, place: Lab, author: Author, kept: LastStates) -> Told:
    """Another one of the same: a launcher that a busy node keeps from its processor may find the mailbox first.

    Or it answers so late that the mailbox is posted again meanwhile.
    """
    if name == OPERATION:
        operation = _running(author, "unit-again")
        operation.stop("Cancel")
        return _of_operation(operation, kept)
    mode, request, end, _ = MODES[name]
    execution = place.start(HEARS)
    wait_until_started(execution)
    execution.stop(mode, **request)
    return Told.of(execution, end, kept)


def _running(author: Author, key: str) -> Operation:
    operation = author.runs(key, HEARS)
    operation.wait_for("Running")
    wait_for_log(operation, "started")
    return operation


def _of_operation(operation: Operation, kept: LastStates) -> Told:
    status = operation.wait_for("Cancelled")["status"]
    pod = kept.named(operation.pods()[0].metadata.name)
    return Told.in_pod(status, pod, log_of(operation))


ALL = (*MODES, OPERATION)


@pytest.mark.conformance("C18")
@pytest.mark.parametrize("name", ALL)
def test_the_receipt_says_that_it_was_told_by_push(name: str, told: dict[str, Told]) -> None:
    found = told[name]
    assert found.way == "push"
    assert found.receipt["stop"]["commandId"] == found.command["id"]
    assert found.times in (MODES.get(name, ("", {}, "", 1))[3], None)


@pytest.mark.conformance("C18")
@pytest.mark.parametrize("name", ALL)
def test_the_mailbox_holds_the_same_and_is_neither_read_as_another_stop_nor_repeated(
    name: str, told: dict[str, Told]
) -> None:
    found = told[name]
    assert found.mailbox["sequence"] == found.receipt["stop"]["sequence"]
    assert found.mailbox["commandId"] == found.receipt["stop"]["commandId"]
    assert "last" not in found.receipt
    assert "repeatedAt" not in found.mailbox


@pytest.mark.conformance("C18", "G1")
@pytest.mark.parametrize("name", ALL)
def test_history_says_when_it_was_received(name: str, told: dict[str, Told]) -> None:
    found = told[name]
    (received,) = entries(found.status, "CancellationReceived")
    (posted,) = entries(found.status, "CancellationPosted")
    assert received["commandId"] == posted["commandId"] == found.command["id"]
    assert moment(received["time"]) >= moment(found.command["acceptedAt"])


@pytest.mark.conformance("C18")
def test_texts_that_no_datagram_has_room_for_come_with_the_mailbox(told: dict[str, Told]) -> None:
    found = told["a run under Cancel"]
    assert (found.mailbox["reason"], found.mailbox["details"]) == ("wrong address", "x" * 1000)


@pytest.mark.conformance("C18")
def test_history_has_it_while_the_process_still_cleans_up(window: Window) -> None:
    assert entries(window.early, "CancellationReceived")
    assert window.early["phase"] == "Cancelling"
    assert "endTime" not in window.early
