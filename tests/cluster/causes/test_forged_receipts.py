"""A receipt that the program itself has written: it does not make the process one that was told of a stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hack.cluster.api import start_kubelet, stop_kubelet
from hack.cluster.engine import current
from tests.support import proof
from tests.support.lab import Execution, Lab, template
from tests.support.logs import wait_until_started
from tests.support.operator_process import OperatorProcess
from tests.support.receipts import ended
from tests.support.spaces import shared

LOST = "desist-worker2"
FORGES = """
import json, signal
stop = {"sequence": 1, "commandId": "01K0ZJ5S9N8D4C3B2A1QRSTVWX", "mode": "Cancel", "at": "2030-01-01T00:00:00Z"}
def forge(*_):
    with open("/dev/termination-log", "w") as message:
        message.write(json.dumps({"receipt": 1, "started": True, "stop": stop, "outcome": "absent"}))
    print("forged", flush=True)
signal.signal(signal.SIGUSR1, forge)
print("started", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture(scope="module")
def place(api: Any, host_operator: OperatorProcess, request: pytest.FixtureRequest) -> Iterator[Lab]:
    with shared(request, api, host_operator) as lab:
        yield lab


def wait_until_forged(execution: Execution) -> None:
    """Until the program has said so. Its log is read on the node: the kubelet that hands logs out is stopped."""
    (pod,) = execution.pods()
    log = f"/var/log/pods/{pod.metadata.namespace}_{pod.metadata.name}_{pod.metadata.uid}/workflow/0.log"
    current().docker("exec", LOST, "timeout", "60", "bash", "-c", f"until grep -q forged {log}; do sleep 0.1; done")


@pytest.mark.conformance("B17")
def test_a_receipt_with_a_command_id_that_nobody_issued_does_not_count_as_told(place: Lab) -> None:
    """The kubelet is stopped, so that no stop arrives; the launcher is killed, so that it has no last word."""
    marker = f"mark-forged-{place.name}"
    made = template(["python3", "-uc", FORGES, marker], nodeSelector={"kubernetes.io/hostname": LOST})
    execution = place.create({"workflowSpec": {"template": made}}, marker)
    wait_until_started(execution)
    stop_kubelet(LOST)
    try:
        execution.stop("Cancel")
        execution.wait_for("Cancelling")
        (program,) = proof.workflow_processes(marker)
        (launcher,) = (p for p in proof.processes(marker) if p.pid != program.pid)
        current().docker("exec", LOST, "kill", "-USR1", str(program.pid))
        wait_until_forged(execution)
        current().docker("exec", LOST, "kill", "-KILL", str(launcher.pid))
    finally:
        start_kubelet(LOST)
    held = execution.wait_for("Failed").object
    assert "01K0ZJ5S9N8D4C3B2A1QRSTVWX" in ended(execution.pods()[0]).message, "the forged receipt is what was left"
    assert held["status"]["commands"][0]["supersededBy"] == "completion"
