"""A run that is stopped while its image is pulled: the kubelet starts the container of a deleted pod all the same."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from desist.lifecycle.shown.waits import Wait
from hack.cluster.api import node_names
from tests.support import proof
from tests.support.lab import Execution, Lab, condition
from tests.support.logs import wait_for_log
from tests.support.receipts import receipt
from tests.support.registry import SlowRegistry, slow_registry
from tests.support.watching import Object

pytestmark = pytest.mark.usefixtures("release_operator")

ENDS = {"Cancel": "Cancelled", "Force": "Cancelled", "Terminate": "Terminated", "Kill": "Cancelled"}
LATE_SECONDS = 6.0
"""A launcher takes a start for late that comes more than 5 s after its pod's volumes were made."""
LOOK_SECONDS = 0.05
WITHIN = 90


@dataclass
class Lookout:
    """Looks at the nodes' /proc again and again, and keeps what of a command was ever there."""

    markers: list[str]
    seen: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        while not self.over.wait(LOOK_SECONDS):
            for marker in self.markers:
                if proof.workflow_processes(marker):
                    self.seen.add(marker)


@contextmanager
def lookout(*executions: Execution) -> Iterator[Lookout]:
    keeper = Lookout([execution.marker for execution in executions])
    thread = threading.Thread(target=keeper.look)
    thread.start()
    try:
        yield keeper
    finally:
        keeper.over.set()
        thread.join()


@pytest.fixture
def registry(lab: Lab, release_operator: Any) -> Iterator[SlowRegistry]:
    with slow_registry(lab, node_names()[1]) as made:
        yield made


def sleeper(lab: Lab, registry: SlowRegistry, **stop_policy: Any) -> Execution:
    """An execution of `sleep`, the registry's image; the marker is a number, as sleep takes no other word."""
    marker = str(random.randrange(10**14, 10**15))
    container = {"name": "workflow", "image": registry.image, "command": ["/usr/bin/sleep", marker]}
    pod = {"nodeName": node_names()[1], "terminationGracePeriodSeconds": 2, "containers": [container]}
    return lab.create({"workflowSpec": {"template": {"spec": pod}, "stopPolicy": stop_policy}}, marker)


def names_the_pull(held: Object) -> bool:
    """Whether the run says that it waits for an image."""
    return any(Wait.BEING_MADE in text for text in held.get("status", {}).get("waitingOn", ()))


@pytest.mark.conformance("C20")
def test_a_run_that_is_stopped_while_its_image_is_pulled_never_runs(lab: Lab, registry: SlowRegistry) -> None:
    stopped = {mode: sleeper(lab, registry, gracePeriodSeconds=2) for mode in ENDS}
    left_alone = sleeper(lab, registry)
    registry.wait_until_pulled()
    with lookout(*stopped.values()) as keeper:
        for mode, execution in stopped.items():
            execution.wait_for(names_the_pull)
            execution.stop(mode)
        # The pods are deleted, and pull on: past the time in which a launcher's start is prompt.
        threading.Event().wait(LATE_SECONDS)
        registry.release()
        for mode, execution in stopped.items():
            execution.wait_for(ENDS[mode], WITHIN)
        left_alone.wait_for("Running", WITHIN)
    assert keeper.seen == set()
    for execution in stopped.values():
        assert not execution.processes()
        unkillable = [condition(seen.object, "Unkillable").get("status") for seen in execution.history()]
        assert "True" not in unkillable
    # Nobody stopped this one: it waited, and runs.
    wait_for_log(left_alone, "a late start")
    proof.wait_until_started(left_alone.marker)
    left_alone.stop("Cancel")
    left_alone.wait_for("Cancelled")
    pod = left_alone.pods()[0]
    assert receipt(pod)["started"] is True
    assert receipt(pod)["stop"]["mode"] == "Cancel"
