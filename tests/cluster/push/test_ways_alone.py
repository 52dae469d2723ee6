"""Where the network drops, delays, repeats or cuts datagrams, a stop does what it does by mailbox alone.

A program is signalled once, the run ends the same, and only the receipt tells by which way it heard first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.push.conftest import HEARS, Told
from tests.support import programs, proof
from tests.support.lab import Execution, Lab, template
from tests.support.last_states import last_states
from tests.support.logs import wait_until_started
from tests.support.packets import Dropped, Relay, Way, dropped, relayed
from tests.support.push import Target, target
from tests.support.sight import HOSTNAME, STEADY_NODE

pytestmark = pytest.mark.usefixtures("datagrams_arrive", "release_operator")

LATE = 3.0
"""Seconds that a datagram is held back: the mailbox is there before, unless a busy kubelet misses its first posting."""


@dataclass(frozen=True)
class Case:
    """What is done to the datagrams, and how the stop arrives all the same."""

    way: Way | None
    """None: they are dropped."""
    by: str = ""
    """Empty: by whichever way. The relay is one more program, for which a busy node may have no time."""
    mode: str = "Cancel"
    exit_code: int = 0


CASES = {
    "untouched": Case(Way()),
    "dropped": Case(None, "mailbox"),
    "dropped, under Kill": Case(None, "mailbox", "Kill", 137),
    "delayed": Case(Way(delay=LATE)),
    "delayed, under Kill": Case(Way(delay=LATE), mode="Kill", exit_code=137),
    "repeated": Case(Way(times=5)),
    "repeated, under Kill": Case(Way(times=5), mode="Kill", exit_code=137),
    "cut": Case(Way(cut=40), "mailbox"),
}
PROMPT = ("untouched", "repeated", "repeated, under Kill")
"""Those whose datagrams are led on whole and at once."""
SPARED = ("untouched", "repeated")
"""Those of them whose launchers answer in time: no mailbox is posted again."""
GRACE = 4
"""Of the Kills: less than the program lives on, more than a datagram is late."""


@dataclass(frozen=True)
class Window:
    """All cases, stopped at the same time, and what the rules have met."""

    told: dict[str, Told]
    sent: dict[str, int]
    again: dict[str, Told]
    """Once more those of SPARED whose mailbox was repeated all the same."""


@pytest.fixture(scope="module")
def window(place: Lab) -> Iterator[Window]:
    told, sent = _tried(place, [*CASES])
    # The relay, the launcher or the operator may get no processor for as long as an answer is waited for.
    late = [name for name in SPARED if "repeatedAt" in told[name].mailbox]
    again = _tried(place, late)[0] if late else {}
    yield Window(told, sent, again)
    assert proof.gone_for_good(place.name), "every marker of the namespace has its name in it"


def _tried(place: Lab, names: Sequence[str]) -> tuple[dict[str, Told], dict[str, int]]:
    """These cases, stopped at the same time: what became of them, and what their rules have met."""
    runs = {name: _start(place) for name in names}
    for execution in runs.values():
        wait_until_started(execution)
    where = {name: target(execution) for name, execution in runs.items()}
    silent = [where[name] for name in names if CASES[name].way is None]
    led = [(where[name], way) for name in names if (way := CASES[name].way) is not None]
    with ExitStack() as rules:
        lost = rules.enter_context(dropped(silent)) if silent else None
        relay = rules.enter_context(relayed(place, led))
        kept = rules.enter_context(last_states(place))
        for name, execution in runs.items():
            grace = {"gracePeriodSeconds": GRACE} if CASES[name].mode == "Kill" else {}
            execution.stop(CASES[name].mode, **grace)
        told = {name: Told.of(execution, "Cancelled", kept) for name, execution in runs.items()}
        return told, {name: _sent(lost, relay, where[name], CASES[name]) for name in names}


def _start(lab: Lab) -> Execution:
    marker = f"mark-way-{len(lab.executions)}-{lab.name}"
    made: dict[str, Any] = template(programs.command(HEARS, marker), nodeSelector={HOSTNAME: STEADY_NODE})
    return lab.create({"workflowSpec": {"template": made}}, marker)


def _sent(lost: Dropped | None, relay: Relay, to: Target, case: Case) -> int:
    return lost.count(to) if lost and case.way is None else len(relay.seen(to))


@pytest.mark.conformance("C18")
@pytest.mark.parametrize("name", CASES)
def test_the_process_is_signalled_once_and_the_run_ends_the_same(name: str, window: Window) -> None:
    found = window.told[name]
    assert found.times in (1, None), found.log
    assert found.status["processes"][0]["exitCode"] == CASES[name].exit_code
    assert found.receipt["stop"]["commandId"] == found.command["id"]
    assert found.receipt["stop"]["sequence"] == found.mailbox["sequence"]
    assert "last" not in found.receipt


@pytest.mark.conformance("C18")
@pytest.mark.parametrize("name", CASES)
def test_it_is_told_by_the_way_that_comes_through_first(name: str, window: Window) -> None:
    assert window.told[name].way in ((CASES[name].by,) if CASES[name].by else ("mailbox", "push"))
    assert window.sent[name] >= 1, "nothing was sent, so nothing was tried"


@pytest.mark.conformance("C18")
def test_a_datagram_that_is_led_on_at_once_is_faster_than_the_mailbox(window: Window) -> None:
    # One of them at least: each kubelet's posting races with the relay.
    assert "push" in {window.told[name].way for name in PROMPT}


@pytest.mark.conformance("C18")
def test_the_mailbox_is_repeated_where_no_answer_comes_and_spared_where_one_does(window: Window) -> None:
    last = window.told | window.again
    repeated = {name for name, found in last.items() if "repeatedAt" in found.mailbox}
    assert {"dropped", "cut"} <= repeated
    assert not {*SPARED} & repeated
