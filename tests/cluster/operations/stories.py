"""Runs with an operation in each situation, stopped or ended in each way, and what is seen of all at each step.

Contract: `tell(way, operations)` goes through one run's story and gives what was seen: `working`, before anything is
done; `told`, under Cancel while the workflow process goes on; `ended`, when it has and operations may still be waited
for; `closed`, with the terminal phase; `reaped`, after the Kill of what was left over. Keys of operations are
POLICY-SITUATION, as `asked` says. Processes are those of the nodes' tables.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.support import programs, proof
from tests.support.lab import TERMINAL, Execution, phase_of, template
from tests.support.logs import wait_for_log
from tests.support.operations import OPERATION_UID, Author, Operation, Operations, signal_user
from tests.support.sight import HOSTNAME, STEADY_NODE
from tests.support.watching import Object

ENDS = ("natural", "Cancel")
"""Ways in which the workflow process ends by itself, so that closePolicy counts."""
WAYS = (*ENDS, "Force", "Terminate", "Kill", "deadline")
DEADLINE_SECONDS = 120
"""Until then all operations of that run must have begun."""
OWN_GRACE = 5
"""Seconds in which a program hears its signal also where many end at once."""
LONG_GRACE = 600
"""That of the run, which is not an operation's; under a Kill that of the operation, where the request names less."""
PATIENCE = 180.0
"""Longer than that deadline and what follows it."""
NEVER = {"maximumAttempts": 5, "initialIntervalSeconds": 3600}
HOUR = {"timer": {"delayMilliseconds": 3_600_000}}


@dataclass(frozen=True)
class Sight:
    """What there is at one moment."""

    run: Object
    operations: dict[str, Object]
    pods: dict[str, list[Any]]
    running: dict[str, int]
    """How many programs of each key live on the nodes."""
    logs: dict[str, str | None]
    """What the process of each key has printed, where it has run; None: its pod was deleted."""


Story = dict[str, Sight]


def start(way: str, operations: Operations) -> Execution:
    """A run for that way, whose images are never pulled: one that is not there never starts."""
    source = programs.ENDS_WHEN_ASKED if way in ENDS else programs.POLITE
    marker = f"mark-{way.lower()}-{operations.lab.name}"
    made = template(programs.command(source, marker), nodeSelector={HOSTNAME: STEADY_NODE})
    made["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    policy = {"gracePeriodSeconds": OWN_GRACE if way == "Kill" else LONG_GRACE}
    spec: dict[str, Any] = {"template": made, "stopPolicy": policy}
    limit = {"activeDeadlineSeconds": DEADLINE_SECONDS} if way == "deadline" else {}
    return operations.lab.create({"workflowSpec": spec | limit}, marker)


def asked(way: str, author: Author) -> Iterator[Operation]:
    """Ask for everything that the table has a column for, and for what has ended before."""
    grace = {"stopPolicy": {"gracePeriodSeconds": LONG_GRACE if way == "Kill" else OWN_GRACE}}
    for policy in ("Stop", "Wait", "Abandon"):
        own: dict[str, Any] = {"closePolicy": policy, **grace}
        source = programs.ENDS_WHEN_ASKED if policy == "Wait" else programs.DEAF
        yield author.runs(f"{policy}-running", source, **own)
        yield author.asks(f"{policy}-timer", **HOUR, closePolicy=policy)
        # Where the policy does not count, one of each tells as much as three do.
        if policy == "Stop" or way in ENDS:
            yield author.runs(f"{policy}-back_off", programs.FAILS, retryPolicy=NEVER, **own)
            yield author.runs(f"{policy}-unstarted", programs.WORKS, {"image": "desist.test/none:1"}, **own)
    # A later attempt's than status knows is not touched while the run goes on.
    yield author.of_another_attempt(9).runs("Stop-not_begun", programs.WORKS)
    yield author.runs("Stop-done", programs.FINISHES)
    yield author.asks("Stop-local", local={"outcome": {"outcome": "Succeeded", "result": {"kept": True}}})


READY: dict[str, Callable[[Object], bool]] = {
    "running": lambda held: phase_of(held) == "Running",
    "timer": lambda held: "dueAt" in held["status"],
    "back_off": lambda held: "nextAttemptAt" in held["status"],
    "unstarted": lambda held: any(p.get("podUid") for p in held["status"].get("processes", ())),
    "not_begun": lambda held: True,
    "done": lambda held: phase_of(held) == "Succeeded",
    "local": lambda held: phase_of(held) == "Succeeded",
}


def tell(way: str, operations: Operations, execution: Execution, begun: threading.Event) -> Story:
    """The story of that run; says when its operations have begun."""
    execution.wait_for("Running", PATIENCE)
    held = list(asked(way, Author.of(operations, execution)))
    for operation in held:
        operation.wait_for(READY[operation.key.rpartition("-")[2]], PATIENCE)
        if operation.key.endswith("running"):
            wait_for_log(operation, "started")
    begun.set()
    story = {"working": look(execution, held)}
    if way in ENDS:
        _ends(way, execution, held, story)
    elif way == "Kill":
        execution.stop(way, gracePeriodSeconds=OWN_GRACE, reason="enough")
    elif way != "deadline":
        execution.stop(way, reason="enough")
    ended = execution.wait_for(lambda found: phase_of(found) in TERMINAL, PATIENCE)
    story["closed"] = look(execution, held)
    if way in (*ENDS, "Force"):
        execution.stop("Kill", gracePeriodSeconds=1)
        execution.wait_for(_reaped, PATIENCE, after=ended)
        story["reaped"] = look(execution, held)
    return story


def look(execution: Execution, operations: list[Operation]) -> Sight:
    """What there is now: the nodes first, so that nothing that the API says is newer news."""
    running = _by_key(execution)
    by_uid: dict[str, list[Any]] = defaultdict(list)
    for pod in execution.pods():
        by_uid[pod.metadata.labels.get(OPERATION_UID, "")].append(pod)
    pods = {operation.key: by_uid[operation.uid] for operation in operations}
    found: dict[str, Object] = {operation.key: {"status": {}, **operation.get()} for operation in operations}
    return Sight(
        execution.get(), found, pods, running, {op.key: _log(op) for op in operations if _has_run(pods[op.key])}
    )


def _ends(way: str, execution: Execution, operations: list[Operation], story: Story) -> None:
    """The workflow process ends; then what its run waits for does."""
    if way == "Cancel":
        execution.stop("Cancel", reason="enough")
        execution.wait_for("Cancelling", PATIENCE)
        wait_for_log(_Workflow(execution), "heard")
        story["told"] = look(execution, operations)
    signal_user(execution.marker)
    execution.wait_for(lambda held: "endTime" in held["status"], PATIENCE)
    by_key = {operation.key: operation for operation in operations}
    for key, operation in by_key.items():
        if key.startswith("Stop-") or key == "Abandon-timer":
            operation.wait_until_ended(PATIENCE)
    execution.wait_for(_waits_for_the_last_four, PATIENCE)
    story["ended"] = look(execution, operations)
    by_key["Wait-running"].ends_by_itself()
    by_key["Wait-running"].wait_until_ended(PATIENCE)
    for situation, mode in (("back_off", "Cancel"), ("unstarted", "Kill"), ("timer", "Cancel")):
        by_key[f"Wait-{situation}"].stop(mode)


@dataclass(frozen=True)
class _Workflow:
    """The run's own pod, which is made before those of its operations."""

    execution: Execution

    @property
    def lab(self) -> Any:
        return self.execution.lab

    @property
    def name(self) -> str:
        return self.execution.name

    def pods(self) -> list[Any]:
        return [min(self.execution.pods(), key=lambda found: found.metadata.creation_timestamp)]


def _by_key(execution: Execution) -> dict[str, int]:
    running: dict[str, int] = defaultdict(int)
    for process in proof.workflow_processes(execution.marker):
        running[process.arguments[-1].removeprefix(f"{execution.marker}-")] += 1
    return running


def _has_run(pods: list[Any]) -> bool:
    return any(c.container_id for pod in pods for c in pod.status.container_statuses or ())


def _log(operation: Operation) -> str | None:
    pods = operation.pods()
    # Where a busy kubelet reports an end too late, the backstop deletes the pod.
    if any(pod.metadata.deletion_timestamp for pod in pods) or not _has_run(pods):
        return None
    text: str = operation.lab.core.read_namespaced_pod_log(
        pods[0].metadata.name, operation.lab.name, container="workflow"
    )
    return text


def _waits_for_the_last_four(held: Object) -> bool:
    # Each one's end does not cost the run a write: the text follows with the counts.
    return any(text.startswith("4 operations") for text in held["status"].get("waitingOn", ()))


def _reaped(held: Object) -> bool:
    return any(command.get("outcome") == "reaped" for command in held["status"].get("commands", ()))
