"""A run that has operations and, for a while, no workflow process: drained, deleted, or killed from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from hack.cluster.engine import current
from tests.support import programs, proof
from tests.support.lab import Execution, Lab, phase_of
from tests.support.logs import wait_for_log, wait_until_started
from tests.support.operations import Author, Operation, Operations, workflow_pods

TESTS = 8
BACK_OFF = 12
"""Seconds: long enough for a stop to come in between, short enough to wait for."""


@pytest.fixture(scope="module")
def operator_environment() -> dict[str, str]:
    return {"DESIST_RESTART_BACKOFF_SECONDS": str(BACK_OFF)}


def evict(lab: Lab, pod: str) -> None:
    """As a drain does."""
    lab.core.create_namespaced_pod_eviction(pod, lab.name, {"metadata": {"name": pod, "namespace": lab.name}})


def delete(lab: Lab, pod: str) -> None:
    """By hand."""
    lab.core.delete_namespaced_pod(pod, lab.name)


Begun = tuple[Execution, Author, Operation]


@pytest.fixture(scope="module")
def begun(operations: Operations) -> Iterator[list[Future[Begun]]]:
    """A run for each test, with one operation that runs; all begin at the same time."""
    with ThreadPoolExecutor(TESTS) as pool:
        yield [pool.submit(_begin, operations) for _ in range(TESTS)]


def _begin(operations: Operations) -> Begun:
    execution = operations.lab.start(programs.WORKS, stopPolicy={"gracePeriodSeconds": 2})
    wait_until_started(execution)
    author = Author.of(operations, execution)
    operation = author.runs("work", programs.DEAF, stopPolicy={"gracePeriodSeconds": 2})
    operation.wait_for("Running")
    wait_for_log(operation, "started")
    return execution, author, operation


def sigkill(execution: Execution) -> None:
    """End the workflow process, not its launcher, as an administrator on the node would."""
    (process,) = [p for p in proof.workflow_processes(execution.marker) if p.arguments[-1] == execution.marker]
    current().docker("exec", process.node, "kill", "-KILL", str(process.pid))


@pytest.mark.conformance("B6", "A1", "A3", "B22")
@pytest.mark.parametrize(
    ("lost", "mode"),
    [(evict, "Kill"), (evict, "Cancel"), (evict, "Terminate"), (evict, "Force"), (delete, "Kill"), (delete, "Cancel")],
)
def test_a_stop_in_the_back_off_of_a_run_acts_on_its_operations_and_starts_nothing(
    operations: Operations, begun: list[Future[Begun]], mode: str, lost: Callable[[Lab, str], None]
) -> None:
    execution, author, operation = begun.pop().result()
    timer = author.asks("timer", timer={"delayMilliseconds": 3_600_000})
    timer.wait_for("Running")
    lost(operations.lab, author.pod)
    execution.wait_for(lambda held: "nextAttemptAt" in held["status"])
    execution.stop(mode)
    held = execution.wait_for("Terminated" if mode == "Terminate" else "Cancelled").object
    left = mode == "Force"
    assert bool(proof.workflow_processes(execution.marker)) is left
    assert phase_of(operation.get()) == ("Running" if left else "Cancelled")
    assert phase_of(timer.get()) == "Cancelled"
    assert held["status"]["attempt"] == 1
    assert held["status"]["operations"].get("leftOver", 0) == int(left)
    if left:
        execution.stop("Kill", gracePeriodSeconds=1)
        operation.wait_for("Cancelled")
    assert len(operation.pods()) <= 1
    assert not [pod for pod in workflow_pods(execution) if pod.metadata.name != author.pod]
    assert proof.gone_for_good(execution.marker)


@pytest.mark.conformance("B16", "D6")
def test_operations_go_on_while_their_workflow_process_is_run_again(
    operations: Operations, begun: list[Future[Begun]]
) -> None:
    execution, first, operation = begun.pop().result()
    (process,) = proof.workflow_processes(operation.marker)
    stranger = first.of_another_attempt(2)  # what it asks for waits until the attempt of its name is known
    early = stranger.asks("early", timer={"delayMilliseconds": 1})
    delete(operations.lab, stranger.pod)
    evict(operations.lab, first.pod)
    execution.wait_for(lambda held: held["status"].get("attempt") == 2 and _there(held))
    # Whether it was just running or asleep is not compared.
    assert [(p.node, p.pid) for p in proof.workflow_processes(operation.marker)] == [(process.node, process.pid)]
    second = Author.of(operations, execution)
    assert second.pod != first.pod
    more = second.runs("more", programs.FINISHES)
    assert phase_of(more.wait_until_ended()) == "Succeeded"
    assert early.wait_until_ended()["status"]["failure"]["category"] == "not_of_this_run"
    execution.stop("Kill", gracePeriodSeconds=1)
    held = execution.wait_for("Cancelled").object
    assert [e["operation"] for e in held["status"]["history"] if e["type"] == "OperationCancelled"] == ["work"]
    assert len(operation.pods()) <= 1
    assert proof.gone_for_good(execution.marker)


@pytest.mark.conformance("D1", "D6")
def test_a_workflow_process_that_is_killed_for_good_takes_its_operations_with_it(begun: list[Future[Begun]]) -> None:
    execution, _, operation = begun.pop().result()
    sigkill(execution)
    held = execution.wait_for("Failed").object
    assert not proof.processes(execution.marker)
    (record,) = operation.get()["status"]["commands"]
    assert (record["source"], record["mode"], phase_of(operation.get())) == ("closed", "Kill", "Cancelled")
    told = [entry["type"] for entry in held["status"]["history"]]
    assert told[-2:] == ["OperationCancelled", "WorkflowFailed"]
    assert proof.gone_for_good(execution.marker)


def _there(held: dict[str, Any]) -> bool:
    return bool(held["status"]["processes"][0].get("podUid"))
