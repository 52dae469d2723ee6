"""Signals that the container's own processes send to PID 1: passed on, and no stop is used up."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.support import proof
from tests.support.inside import inside
from tests.support.lab import Execution, Lab
from tests.support.last_states import last_states
from tests.support.logs import wait_for_log, wait_until_started
from tests.support.receipts import ended, receipt

pytestmark = pytest.mark.usefixtures("release_operator")

COUNTS = """
import signal, sys, time
told = []
def heard(*_):
    told.append(1)
    print("told", len(told), flush=True)
    if len(told) == 2:
        sys.exit(0)
signal.signal(signal.SIGTERM, heard)
print("started", flush=True)
while True:
    time.sleep(3600)
"""
"""Exits with code 0 when it is told for the second time."""

EXITS = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("started", flush=True)
os.kill(1, signal.SIGTERM)
time.sleep(3600)
"""
"""Ends itself in an orderly way, by a signal to PID 1 as a script may do."""

FAULTS = "ILL TRAP BUS FPE SEGV STKFLT SYS"


def shell(execution: Execution, script: str) -> str:
    """Run a shell in the container; gives what it printed."""
    return inside(execution.lab, execution.pods()[0].metadata.name, ["bash", "-c", script])


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.conformance("C22")
def test_a_sigterm_from_inside_is_passed_on_and_a_later_stop_is_still_told(lab: Lab) -> None:
    execution = lab.start(COUNTS)
    wait_until_started(execution)
    shell(execution, "kill -TERM 1")
    wait_for_log(execution, "told 1")
    assert execution.get()["status"]["phase"] == "Running"
    execution.stop("Cancel")
    status = execution.wait_for("Cancelled").object["status"]
    assert status["processes"][0]["exitCode"] == 0
    found = receipt(execution.pods()[0])
    assert time_of(found["sigterm"]) < time_of(found["stop"]["at"])
    assert "lastSigterm" not in found
    assert proof.gone_for_good(execution.marker)


@pytest.mark.conformance("C22")
def test_an_orderly_exit_after_a_sigterm_from_inside_is_the_programs_own(lab: Lab) -> None:
    execution = lab.start(EXITS)
    status = execution.wait_for("Succeeded").object["status"]
    assert (status["attempt"], status.get("disruptions", 0)) == (1, 0)
    assert receipt(execution.pods()[0])["sigterm"]


@pytest.mark.conformance("C22")
def test_no_signal_from_inside_ends_the_launcher_and_none_lets_it_be_read(lab: Lab) -> None:
    execution = lab.start(COUNTS)
    wait_until_started(execution)
    refused = "cat /proc/1/environ /proc/1/mem 2>&1 >/dev/null | grep -c 'denied\\|not permitted'"
    sent = f"for name in {FAULTS} KILL STOP; do kill -$name 1; done; {refused}"
    assert shell(execution, sent).strip() == "2"
    with last_states(lab) as kept:
        execution.stop("Kill", gracePeriodSeconds=1)
        execution.wait_for("Cancelled")
        pod = kept.of(execution)
    found = receipt(pod)
    assert (found["killed"], found["stop"]["mode"], "passed" in found) == (True, "Kill", False)
    assert ended(pod).exit_code == 137
    assert proof.gone_for_good(execution.marker)
