"""A killed run ends though whoever holds its token goes on asking for operations, as an ended pod's token lets him."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support import programs, proof
from tests.support.lab import TERMINAL, phase_of
from tests.support.logs import wait_until_started
from tests.support.operations import Author, Operations

SECONDS = 120


@contextmanager
def asking(author: Author) -> Iterator[None]:
    """One after the other, for as long as the block takes."""
    enough = threading.Event()
    end = time.monotonic() + 2 * SECONDS

    def ask() -> None:
        for number in itertools.count():
            if enough.is_set() or time.monotonic() > end:
                return
            author.runs(f"n/{number}", programs.WORKS)

    asks = threading.Thread(target=ask)
    asks.start()
    try:
        yield
    finally:
        enough.set()
        asks.join()


@pytest.mark.conformance("B22", "D7")
def test_a_kill_comes_to_its_end(operations: Operations) -> None:
    execution = operations.lab.start(programs.POLITE)
    wait_until_started(execution)
    with asking(Author.of(operations, execution)):
        execution.stop("Kill", gracePeriodSeconds=1)
        execution.wait_for(lambda held: phase_of(held) in TERMINAL, SECONDS)
        assert not proof.processes(execution.marker), "it outlives its run's end"
    assert phase_of(execution.get()) == "Cancelled"
    assert proof.gone_for_good(execution.marker)
