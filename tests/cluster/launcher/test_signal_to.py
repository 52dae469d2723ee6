"""Whom the stop signal goes to: a pool whose parent drains its workers, and a wrapper that passes the signal on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import programs, proof
from tests.support.lab import Execution, Lab, template
from tests.support.last_states import last_states
from tests.support.logs import log_of, wait_for_log, wait_until_started
from tests.support.receipts import ended, receipt

pytestmark = pytest.mark.usefixtures("release_operator")

POOL = """
import os, signal, sys, time
WORKERS = 3
def work(number, ends):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    print("worker", number, "works", flush=True)
    os.read(ends, 1)
    print("worker", number, "drained", flush=True)
    os._exit(0)
def drain(*_):
    print("draining", flush=True)
    time.sleep(1)
    os.write(end, b"x" * WORKERS)
    codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(WORKERS)]
    print("workers ended with", codes, flush=True)
    os._exit(0 if codes == [0] * WORKERS else 9)
ends, end = os.pipe()
for number in range(WORKERS):
    if os.fork() == 0:
        work(number, ends)
signal.signal(signal.SIGTERM, drain)
print("started", flush=True)
while True:
    time.sleep(3600)
"""
"""Workers that die of SIGTERM, and a parent that lets them finish when it comes."""

CHILD = """
import signal, sys, time
told = []
signal.signal(signal.SIGTERM, lambda *_: (told.append(1), print("told", flush=True)))
print("started", flush=True)
while not told:
    time.sleep(0.01)
time.sleep(1)
print("told", len(told), "times in all", flush=True)
"""
WRAPPER = ["bash", "-c", """trap 'kill -TERM $!' TERM; "$@" & wait; wait $!""", "wrapper"]
"""A shell that passes SIGTERM on, as many entry points do."""


def pool(lab: Lab, to: str) -> Execution:
    made = template(programs.command(POOL, f"mark-{to}-{lab.name}"), terminationGracePeriodSeconds=20)
    spec = {"template": made, "stopPolicy": {"signalTo": to}}
    execution = lab.create({"workflowSpec": spec}, f"mark-{to}-{lab.name}")
    wait_until_started(execution)
    return execution


@pytest.mark.conformance("C21")
@pytest.mark.parametrize(("to", "code", "drained"), [("Main", 0, 3), ("All", 9, 0)])
def test_a_pools_workers_live_until_their_parent_has_drained_them_under_main(
    lab: Lab, to: str, code: int, drained: int
) -> None:
    execution = pool(lab, to)
    execution.stop("Cancel")
    execution.wait_for("Cancelled")
    said = log_of(execution)
    assert said.count("drained") == drained, said
    assert ended(execution.pods()[0]).exit_code == code
    assert receipt(execution.pods()[0])["stop"]["mode"] == "Cancel"
    assert proof.gone_for_good(execution.marker)


@pytest.mark.conformance("C21")
def test_a_drains_sigterm_goes_to_the_parent_alone_under_main(lab: Lab) -> None:
    execution = pool(lab, "Main")
    first = execution.pods()[0].metadata.name
    lab.core.create_namespaced_pod_eviction(first, lab.name, {"metadata": {"name": first, "namespace": lab.name}})
    wait_for_log(execution, "workers ended with [0, 0, 0]")
    execution.wait_for(lambda held: held.get("status", {}).get("attempt") == 2)
    execution.stop("Kill", gracePeriodSeconds=1)
    execution.wait_for("Cancelled")


@pytest.mark.conformance("C21")
def test_sigkill_goes_to_all_under_main(lab: Lab) -> None:
    deaf = POOL.replace("signal.SIG_DFL", "signal.SIG_IGN").replace("SIGTERM, drain", "SIGTERM, signal.SIG_IGN")
    marker = f"mark-deaf-{lab.name}"
    spec = {"template": template(programs.command(deaf, marker)), "stopPolicy": {"signalTo": "Main"}}
    execution = lab.create({"workflowSpec": spec}, marker)
    wait_until_started(execution)
    with last_states(lab) as kept:
        execution.stop("Kill", gracePeriodSeconds=1)
        execution.wait_for("Cancelled")
        assert receipt(kept.of(execution))["killed"] is True
    assert proof.gone_for_good(marker)


@pytest.mark.conformance("C21")
@pytest.mark.parametrize(("to", "times"), [("Main", (1,)), ("All", (1, 2))])
def test_a_wrapper_that_passes_the_signal_on_tells_its_child_once_under_main(
    lab: Lab, to: str, times: tuple[int, ...]
) -> None:
    marker = f"mark-wrapped-{lab.name}"
    made: dict[str, Any] = template([*WRAPPER, *programs.command(CHILD, marker)])
    execution = lab.create({"workflowSpec": {"template": made, "stopPolicy": {"signalTo": to}}}, marker)
    wait_until_started(execution)
    execution.stop("Cancel")
    execution.wait_for("Cancelled")
    said = log_of(execution)
    assert [number for number in (1, 2) if f"told {number} times in all" in said] in [[number] for number in times]
    assert proof.gone_for_good(marker)
