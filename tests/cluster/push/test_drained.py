"""A pod that is being drained with a grace of ten minutes: no mailbox arrives in it any more, but a push does.

Kubernetes itself shortens no grace that has begun, and its own kill would come when the test is long over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.push.conftest import moment, noted
from tests.support import programs, proof
from tests.support.lab import Execution, Lab, phase_of, template
from tests.support.last_states import LastStates, last_states
from tests.support.logs import log_of, wait_for_log, wait_until_started
from tests.support.receipts import receipt
from tests.support.watching import Object

pytestmark = pytest.mark.usefixtures("datagrams_arrive", "release_operator")

GRACE_OF_POD = 600
GRACE = 2
PROMISED = 5
NOISE = 10
"""Seconds that a busy machine may take beyond those that are promised."""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("heard", flush=True))
print("started", flush=True)
while True:
    time.sleep(3600)
"""
LEAVES_DEAF_CHILDREN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for number in range(2):
    subprocess.run(["setsid", "--fork", "python3", "-c", "import time; time.sleep(3600)", sys.argv[-1]])
def leave(*_):
    print("heard", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("started", flush=True)
while True:
    time.sleep(3600)
"""
"""Its children have inherited that the signal is ignored."""


def evict(execution: Execution) -> None:
    pod, lab = execution.pods()[0].metadata.name, execution.lab
    lab.core.create_namespaced_pod_eviction(pod, lab.name, {"metadata": {"name": pod, "namespace": lab.name}})


def delete(execution: Execution) -> None:
    execution.lab.core.delete_namespaced_pod(execution.pods()[0].metadata.name, execution.lab.name)


RUNS: dict[str, tuple[str, Callable[[Execution], None]]] = {
    "evicted": (DEAF, evict),
    "deleted": (DEAF, delete),
    "cancelled later": (DEAF, evict),
    "cancelled before": (LEAVES_DEAF_CHILDREN, evict),
}


@pytest.fixture(scope="module")
def kept(place: Lab) -> Iterator[LastStates]:
    with last_states(place) as states:
        yield states


@pytest.fixture(scope="module")
def drained(place: Lab, kept: LastStates) -> Iterator[dict[str, Execution]]:
    """All of them, told by their kubelet."""
    runs = {name: _start(place, RUNS[name][0]) for name in RUNS}
    for execution in runs.values():
        wait_until_started(execution)
    runs["cancelled before"].stop("Cancel")
    wait_for_log(runs["cancelled before"], "heard")
    for name, execution in runs.items():
        RUNS[name][1](execution)
    for execution in runs.values():
        wait_for_log(execution, "heard")
    yield runs
    # What a test that failed has left would hold its namespace for ten minutes.
    for execution in runs.values():
        if execution.processes():
            execution.stop("Kill", gracePeriodSeconds=GRACE)


def _start(lab: Lab, source: str) -> Execution:
    marker = f"mark-{len(lab.executions)}-{lab.name}"
    made = template(programs.command(source, marker), terminationGracePeriodSeconds=GRACE_OF_POD)
    return lab.create({"workflowSpec": {"template": made, "stopPolicy": {"signalTo": "All"}}}, marker)


def killed(execution: Execution) -> float:
    """Kill it; gives the seconds from the acceptance to the death of its last process."""
    execution.stop("Kill", gracePeriodSeconds=GRACE)
    record = execution.wait_for("KillCancelling").object["status"]["commands"][-1]
    proof.wait_until_gone(execution.marker, GRACE_OF_POD / 10)
    took = time.time() - moment(record["acceptedAt"]).timestamp()
    print(f"{execution.name} was dead {took:.1f} s after its Kill had been accepted")
    execution.wait_for("Cancelled")
    return took


@pytest.mark.conformance("C18")
@pytest.mark.parametrize("name", ["evicted", "deleted"])
def test_a_kill_ends_it_in_five_seconds(name: str, drained: dict[str, Execution], kept: LastStates) -> None:
    execution = drained[name]
    assert GRACE - 0.5 < killed(execution) < PROMISED + NOISE
    said = receipt(kept.of(execution))
    (command,) = execution.get()["status"]["commands"]
    assert (said["stop"]["by"], said["stop"]["mode"], said["stop"]["commandId"]) == ("push", "Kill", command["id"])
    assert moment(said["sigterm"]) < moment(said["stop"]["at"])
    assert said["killed"] is True


@pytest.mark.conformance("C18", "C15")
def test_it_says_how_many_processes_are_left_when_the_main_program_has_ended(drained: dict[str, Execution]) -> None:
    execution = drained["cancelled before"]
    words = f"the main program of pod {execution.pods()[0].metadata.name} has ended, 2 processes have not"
    seen = execution.wait_for(waits_for(words))
    assert phase_of(seen.object) == "Cancelling"
    assert len(proof.workflow_processes(execution.marker)) == 2
    assert killed(execution) < PROMISED + NOISE


def waits_for(words: str) -> Callable[[Object], bool]:
    return lambda held: any(words in text for text in held.get("status", {}).get("waitingOn", ()))


@pytest.mark.conformance("C18")
def test_a_cancel_of_it_is_told_by_push_and_signals_nobody_again(
    drained: dict[str, Execution], kept: LastStates
) -> None:
    """The drain's SIGTERM was passed on; that the user asked comes after it, and tells the program nothing new."""
    execution = drained["cancelled later"]
    execution.stop("Cancel", reason="not needed")
    assert noted(execution)["phase"] == "Cancelling"
    assert log_of(execution).count("heard") == 1
    assert proof.workflow_processes(execution.marker), "a Cancel shortens nothing"
    assert killed(execution) < PROMISED + NOISE
    said = receipt(kept.of(execution))
    assert (said["stop"]["by"], said["stop"]["mode"], said["last"]["mode"]) == ("push", "Cancel", "Kill")


@pytest.mark.conformance("C15", "C18")
def test_nothing_of_any_is_alive_some_seconds_later(place: Lab, drained: dict[str, Execution]) -> None:
    for execution in drained.values():
        proof.wait_until_gone(execution.marker)
    assert proof.gone_for_good(f"-{place.name}"), "every marker of the namespace has its name in it"
