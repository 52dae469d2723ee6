"""An exit before the telling and one after it, told apart: in a module of its own, as it stops a kubelet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from hack.cluster.api import start_kubelet, stop_kubelet
from hack.cluster.engine import current
from tests.cluster.delivery.test_reports import run
from tests.support import proof
from tests.support.lab import Execution, Lab
from tests.support.logs import wait_until_started
from tests.support.packets import by_mailbox_alone
from tests.support.receipts import receipt

pytestmark = pytest.mark.usefixtures("release_operator")

LOST = "desist-worker2"
ON_LOST = {"nodeSelector": {"kubernetes.io/hostname": LOST}}
ENDS_WHEN_ASKED = """
import signal, sys, time
code = int(sys.argv[1])
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(code))
print("started", flush=True)
while True:
    time.sleep(3600)
"""


@pytest.mark.conformance("B17", "B18")
def test_an_exit_before_the_telling_is_told_from_one_after_it(place: Lab) -> None:
    """With the kubelet stopped no mailbox arrives, and no datagram: what exits then has not heard of the cancel."""
    command = ["python3", "-uc", ENDS_WHEN_ASKED]
    before = {code: run(place, [*command, str(code)], f"before-{code}", **ON_LOST) for code in (0, 6)}
    after = {code: run(place, [*command, str(code)], f"after-{code}") for code in (0, 6)}
    for execution in (*before.values(), *after.values()):
        wait_until_started(execution)
    with cut_off(before.values()):
        for execution in (*before.values(), *after.values()):
            execution.stop("Cancel", reason="too late")
            execution.wait_for("Cancelling")
        for execution in before.values():
            usr1(execution)
        # A kubelet is back within seconds, and the mailbox with it: until then they must have ended.
        for execution in before.values():
            proof.wait_until_gone(execution.marker)
    for code, end in ((0, "Succeeded"), (6, "Failed")):
        held = before[code].wait_for(end).object
        assert "stop" not in receipt(before[code].pods()[0]), "it was not told"
        assert held["status"]["commands"][0]["supersededBy"] == "completion"
        assert held["status"]["processes"][0]["exitCode"] == code
    for code, execution in after.items():
        held = execution.wait_for("Cancelled").object
        command_id = held["status"]["commands"][0]["id"]
        assert receipt(execution.pods()[0])["stop"]["commandId"] == command_id
        assert "supersededBy" not in held["status"]["commands"][0]
        # SIGTERM ends it as it ends any program.
        assert held["status"]["processes"][0]["exitCode"] == 143, code


@contextmanager
def cut_off(executions: Iterable[Execution]) -> Iterator[None]:
    """Neither way leads to these, which are on LOST; then the mailbox does again."""
    with by_mailbox_alone(executions):
        stop_kubelet(LOST)
        try:
            yield
        finally:
            start_kubelet(LOST)


def usr1(execution: Execution) -> None:
    """SIGUSR1 to the workflow process, from the node; returns when it has been sent."""
    (process,) = proof.workflow_processes(execution.marker)
    current().docker("exec", process.node, "kill", "-USR1", str(process.pid))
