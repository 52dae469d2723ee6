"""An image with a STOPSIGNAL of its own: the runtime drains its pods with that, and not with SIGTERM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hack.cluster.api import WORKLOAD, Build, Progress, build_and_load
from tests.support import programs, proof
from tests.support.lab import Lab, template
from tests.support.logs import wait_for_log, wait_until_started
from tests.support.receipts import receipt
from tests.support.watching import Object

pytestmark = pytest.mark.usefixtures("release_operator")

IMAGE = "localhost/desist-sigquit:1"
ENDS_WELL = """
import signal, sys, time
signal.signal(signal.SIGQUIT, lambda *_: sys.exit(0))
print("started", flush=True)
while True:
    time.sleep(3600)
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, release_operator: Any) -> str:
    folder: Path = tmp_path_factory.mktemp("sigquit")
    (folder / "Dockerfile").write_text(f"FROM {WORKLOAD}\nSTOPSIGNAL SIGQUIT\n")
    with Progress(1).step("an image with a STOPSIGNAL") as step:
        build_and_load(Build(IMAGE, folder, folder / "Dockerfile"), step)
    return IMAGE


def runs_again(held: Object) -> bool:
    """Whether the second attempt's container has started: only then is the boot known in which it did."""
    status = held.get("status", {})
    return status.get("attempt") == 2 and any(process.get("bootId") for process in status.get("processes", ()))


@pytest.mark.conformance("E11", "B20")
def test_an_eviction_is_one_also_where_the_process_then_exits_with_0(lab: Lab, image: str) -> None:
    marker = f"mark-{lab.name}"
    made = template(programs.command(ENDS_WELL, marker))
    made["spec"]["containers"][0]["image"] = image
    execution = lab.create({"workflowSpec": {"template": made}}, marker)
    wait_until_started(execution)
    first = execution.pods()[0].metadata.name
    lab.core.create_namespaced_pod_eviction(first, lab.name, {"metadata": {"name": first, "namespace": lab.name}})
    held = execution.wait_for(runs_again).object
    assert (held["status"]["phase"], held["status"]["disruptions"]) == ("Running", 1)
    wait_for_log(execution, "started")
    execution.stop("Cancel")
    ended = execution.wait_for("Cancelled").object
    # The stop signal is the workflow's, SIGTERM, whatever the image says.
    assert ended["status"]["processes"][0]["exitCode"] == 143
    again = next(pod for pod in execution.pods() if pod.metadata.name != first)
    assert "passed" not in receipt(again)
    assert proof.gone_for_good(execution.marker)
