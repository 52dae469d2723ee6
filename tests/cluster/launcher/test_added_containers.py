"""Containers that were added to a running pod take from the termination message: the receipt and the end stay right.

The kubelet shares 12,288 bytes among all containers of a pod, and cuts each message at its end. Ephemeral containers,
as `kubectl debug` adds them, stand for whatever admission may add.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import programs
from tests.support.lab import Execution, Lab
from tests.support.logs import wait_until_started
from tests.support.operator_process import OperatorProcess
from tests.support.receipts import ended, receipt
from tests.support.spaces import shared

ADDED = 4
LARGE = 3000
REPORTS = """
import json, os, signal, sys, time
def stop(*_):
    with open(os.environ["DESIST_OUTCOME"], "w") as report:
        json.dump({"result": "r" * int(sys.argv[2]), "outcome": sys.argv[1]}, report)
    sys.exit(3)
signal.signal(signal.SIGTERM, stop)
print("started", flush=True)
while True:
    time.sleep(3600)
"""


@pytest.fixture
def place(api: Any, host_operator: OperatorProcess, request: pytest.FixtureRequest) -> Iterator[Lab]:
    with shared(request, api, host_operator) as lab:
        yield lab


def reporting(lab: Lab, says: str) -> Execution:
    marker = f"mark-{says.lower()}-{lab.name}"
    container = {
        "name": "workflow",
        "image": programs.WORKLOAD,
        "command": ["python3", "-uc", REPORTS, says, str(LARGE), marker],
    }
    return lab.create({"workflowSpec": {"template": {"spec": {"containers": [container]}}}}, marker)


def add_containers(execution: Execution) -> None:
    """Four that end at once, and are there all the same."""
    added = [{"name": f"added-{number}", "image": programs.WORKLOAD, "command": ["true"]} for number in range(ADDED)]
    execution.lab.core.patch_namespaced_pod_ephemeralcontainers(
        execution.pods()[0].metadata.name, execution.lab.name, {"spec": {"ephemeralContainers": added}}
    )


@pytest.mark.conformance("B17")
def test_a_large_outcome_in_a_pod_with_added_containers_costs_neither_the_receipt_nor_the_end(place: Lab) -> None:
    runs = {says: reporting(place, says) for says in ("Cancelled", "Succeeded", "Failed")}
    for execution in runs.values():
        wait_until_started(execution)
        add_containers(execution)
        execution.stop("Cancel")
    for says, execution in runs.items():
        held = execution.wait_for(says).object
        pod = execution.pods()[0]
        assert len(ended(pod).message) < LARGE, "it was cut"
        assert receipt(pod)["stop"]["commandId"] == held["status"]["commands"][0]["id"]
        assert held["status"]["processes"][0]["exitCode"] == 3
