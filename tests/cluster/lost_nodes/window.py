"""The window itself: what happens to each execution while its node is lost, and what is seen of it at which time.

Contract: `look_through` goes through the window once and gives all that was seen; the node is back when it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hack.cluster.api import Process, start_kubelet
from tests.cluster.lost_nodes import deeds
from tests.cluster.lost_nodes.conftest import LOST, OTHER
from tests.support import programs, proof
from tests.support.lab import TERMINAL, Execution, Lab, condition, phase_of, template
from tests.support.logs import wait_until_started
from tests.support.nodes import wait_for_ready
from tests.support.operator_process import OperatorProcess
from tests.support.watching import Object

POD_GRACE = 2
MARGIN = 30
PHASE_OF = {
    None: "Running",
    "Cancel": "Cancelling",
    "Force": "ForceCancelling",
    "Terminate": "Terminating",
    "Kill": "KillCancelling",
}
AGAIN = "run again"


@dataclass(frozen=True)
class Case:
    """What happens to one execution while its node is lost, and what becomes of it when the node is back."""

    mode: str | None
    deed: deeds.Deed
    end: str
    """Its terminal phase, or AGAIN: another attempt; or Running: as if nothing had been."""
    proven: bool = True
    source: str = programs.DEAF

    @property
    def phase(self) -> str:
        """While nothing is proven."""
        return PHASE_OF[self.mode]


CASES = {
    "running": Case(None, deeds.nothing, "Running"),
    "cancelled": Case("Cancel", deeds.nothing, "Cancelled", source=programs.POLITE),
    "forced": Case("Force", deeds.nothing, "Cancelled"),
    "terminated": Case("Terminate", deeds.nothing, "Terminated"),
    "killed": Case("Kill", deeds.nothing, "Cancelled"),
    "deleted": Case(None, deeds.delete, AGAIN),
    "deleted and killed": Case("Kill", deeds.delete, "Cancelled"),
    "vanished": Case(None, deeds.force_delete, AGAIN, proven=False),
    "vanished and cancelled": Case("Cancel", deeds.force_delete, "Cancelled", proven=False),
    "vanished and killed": Case("Kill", deeds.force_delete, "Cancelled", proven=False),
    "collected": Case(None, deeds.collect, AGAIN),
    # The API server removes a pod of a terminal phase at once when it is deleted.
    "collected and terminated": Case("Terminate", deeds.collect, "Terminated", proven=False),
    "out of sight": Case("Kill", deeds.lose_sight, "Cancelled"),
}
FORGOTTEN = {
    "given up": Case("Kill", deeds.nothing, "Cancelled", proven=False),
    "given up, vanished": Case("Terminate", deeds.force_delete, "Terminated", proven=False),
    "given up from the start": Case("Kill", deeds.nothing, "Cancelled", proven=False),
}
SWEPT = {
    "swept": Case(None, deeds.force_delete, AGAIN, proven=False),
    "swept and killed": Case("Kill", deeds.force_delete, "Cancelled", proven=False),
}
"""Force-deleted on a node that is well: its kubelet ends what it finds, and nobody says so any more."""


@dataclass(frozen=True)
class Shot:
    """One execution at one time: the object, and its live processes on the node."""

    held: Object
    processes: tuple[Process, ...]

    @property
    def process(self) -> dict[str, Any]:
        """Its entry in status.processes."""
        found: dict[str, Any] = self.held["status"]["processes"][0]
        return found


@dataclass
class Window:
    """All that was seen."""

    runs: dict[str, Execution] = field(default_factory=dict)
    early: dict[str, Shot] = field(default_factory=dict)
    """The kubelet is stopped, and nobody has noticed yet."""
    lost: dict[str, Shot] = field(default_factory=dict)
    """The node counts as lost."""
    given_up: dict[str, Shot] = field(default_factory=dict)
    later: dict[str, Shot] = field(default_factory=dict)
    """After the operator was killed and started again."""
    end: dict[str, Shot] = field(default_factory=dict)
    ended_at: dict[str, float] = field(default_factory=dict)
    deletion: dict[str, Any] = field(default_factory=dict)
    """The pods' deletionTimestamps while the node was lost."""
    unready_since: datetime | None = None
    ready_since: datetime | None = None


def shot(execution: Execution) -> Shot:
    return Shot(execution.get(), tuple(proof.workflow_processes(execution.marker)))


def look_through(lab: Lab, operator: OperatorProcess, stop: Callable[[], None]) -> Window:
    """From the start of all executions to their ends."""
    seen = Window()
    open_(lab, seen, stop)
    lose(lab, seen)
    operator.kill()
    operator.start()
    seen.later = {name: shot(seen.runs[name]) for name in (*CASES, "waiting")}
    give_back(lab, seen)
    return seen


def start(lab: Lab, name: str, case: Case, node: str = LOST) -> Execution:
    marker = f"mark-{name.replace(' ', '-').replace(',', '')}-{lab.name}"
    command = programs.command(case.source, marker)
    made = template(command, nodeSelector={"kubernetes.io/hostname": node}, terminationGracePeriodSeconds=POD_GRACE)
    return lab.create({"workflowSpec": {"template": made, "stopPolicy": {"gracePeriodSeconds": 1}}}, marker)


def open_(lab: Lab, seen: Window, stop: Callable[[], None]) -> None:
    """Everything runs; the kubelet is stopped; everything is asked and done at once."""
    seen.runs = {name: start(lab, name, case) for name, case in (CASES | FORGOTTEN).items()}
    seen.runs |= {name: start(lab, name, case, OTHER) for name, case in SWEPT.items()}
    for execution in seen.runs.values():
        wait_until_started(execution)
    stop()
    seen.runs["waiting"] = start(lab, "waiting", Case("Kill", deeds.nothing, "Cancelled"))
    seen.runs["waiting"].wait_for(lambda held: bool(held["status"].get("processes", [{}])[0].get("node")))
    for name, case in SWEPT.items():
        case.deed(seen.runs[name])
        seen.early[name] = shot(seen.runs[name])
    for name, case in (CASES | FORGOTTEN).items():
        case.deed(seen.runs[name])
    for name, case in (CASES | FORGOTTEN | SWEPT).items():
        if case.mode:
            forget = {"onLostNode": "Forget"} if name == "given up from the start" else {}
            seen.runs[name].stop(case.mode, reason=name, **forget)
    seen.runs["waiting"].stop("Kill")
    for name, case in (CASES | FORGOTTEN | SWEPT).items():
        seen.runs[name].wait_for(lambda held, case=case: settled(held, case))  # type: ignore[misc]  # case is bound
    seen.runs["waiting"].wait_for("KillCancelling")
    for name in (*CASES, *FORGOTTEN, "waiting"):
        seen.early[name] = shot(seen.runs[name])


def settled(held: Object, case: Case) -> bool:
    """Whether the request was judged, and a pod that has vanished is missed."""
    vanished = case.deed is deeds.force_delete
    return phase_of(held) == case.phase and (
        not vanished or held["status"]["processes"][0].get("reason") == "PodMissed"
    )


def lose(lab: Lab, seen: Window) -> None:
    """The node counts as lost; what is to be given up is given up."""
    seen.unready_since = wait_for_ready(lab.core, LOST, ready=False)
    for name in (*CASES, "given up", "given up, vanished", "waiting"):
        seen.runs[name].wait_for(lambda held: bool(held["status"].get("unconfirmed")))
        seen.lost[name] = shot(seen.runs[name])
    for name in (*CASES, "waiting"):
        pods = seen.runs[name].pods()
        seen.deletion[name] = pods[0].metadata.deletion_timestamp if pods else None
    for name, case in FORGOTTEN.items():
        if name != "given up from the start":
            seen.runs[name].stop(case.mode or "", reason=name, onLostNode="Forget")
    for name, case in FORGOTTEN.items():
        seen.runs[name].wait_for(case.end)
        seen.given_up[name] = shot(seen.runs[name])


def give_back(lab: Lab, seen: Window) -> None:
    """The node returns; everything ends as it should."""
    start_kubelet(LOST)
    seen.ready_since = wait_for_ready(lab.core, LOST, ready=True)
    for name, case in (CASES | SWEPT | {"waiting": CASES["killed"]}).items():
        came = seen.runs[name].wait_for(lambda held, case=case: became(held, case.end))  # type: ignore[misc]  # case is bound
        seen.end[name], seen.ended_at[name] = Shot(came.object, ()), came.at
    for name, case in (CASES | SWEPT).items():
        if case.end not in TERMINAL:
            seen.runs[name].stop("Kill", reason="tidy up")
            seen.runs[name].wait_for("Cancelled")


def became(held: Object, end: str) -> bool:
    """Whether it is what it should become when the node is back."""
    status = held.get("status", {})
    if end == "Running":
        lost = condition(held, "NodeLost")
        return lost.get("status") == "False" and status["processes"][0]["state"] == "alive"
    return status.get("attempt") == 2 if end == AGAIN else phase_of(held) == end
