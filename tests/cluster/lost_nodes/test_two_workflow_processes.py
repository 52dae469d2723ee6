"""Two workflow processes of one run at once: one object for each key, and one effect.

The first attempt's node does not answer, and an administrator has said that nothing runs there, which is not true: its
process lives, and reaches the API server. The second attempt runs elsewhere. What the first asks for now does not begin
until the second asks for it again, by its own pod's token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from kubernetes import client

from hack.cluster.api import start_kubelet
from tests.cluster.lost_nodes.conftest import LOST, OTHER
from tests.support import programs, proof
from tests.support.lab import Execution, phase_of, template
from tests.support.logs import wait_for_log, wait_until_started
from tests.support.nodes import put_in_service, put_out_of_service, wait_for_return
from tests.support.operations import Author, Operation, Operations
from tests.support.sight import HOSTNAME
from tests.support.watching import Object

ELSEWHERE = {"nodeSelector": {HOSTNAME: OTHER}}
WAITS = "the current attempt of the workflow process, which has to ask for it again"


@dataclass
class Story:
    """What was seen."""

    run: Execution
    asked: dict[str, Operation] = field(default_factory=dict)
    alive: dict[str, Counter[str]] = field(default_factory=dict)
    """Programs on the nodes at each moment, by their last argument."""
    nodes: set[str] = field(default_factory=set)
    """Where workflow processes of the run lived at once."""
    unasked: Object = field(default_factory=dict)
    """What the first has asked for, before the second did."""
    refused: dict[str, int] = field(default_factory=dict)
    """The API's answers to a second create of a key, by who was second."""
    pods: dict[str, list[str]] = field(default_factory=dict)
    end: Object = field(default_factory=dict)
    fenced: Object = field(default_factory=dict)
    """A run whose operation was on that node."""
    fenced_operation: Object = field(default_factory=dict)
    fenced_lives: bool = False


def start(operations: Operations, name: str, node: str) -> Execution:
    marker = f"mark-{name}-{operations.lab.name}"
    wish = {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [node]}]}
    wishes = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": wish}]}
    made = template(programs.command(programs.POLITE, marker), affinity={"nodeAffinity": wishes})
    spec = {"template": made, "stopPolicy": {"gracePeriodSeconds": 1}}
    execution = operations.lab.create({"workflowSpec": spec}, marker)
    wait_until_started(execution, 120)
    assert {process.node for process in execution.processes()} == {node}
    return execution


def running(operation: Operation) -> Operation:
    operation.wait_for("Running")
    wait_for_log(operation, "started")
    return operation


def refused(ask: Callable[[], Any]) -> int:
    """The status with which the API refuses it."""
    with pytest.raises(client.ApiException) as caught:
        ask()
    return int(caught.value.status or 0)


def alive(run: Execution) -> Counter[str]:
    return Counter(process.arguments[-1] for process in proof.workflow_processes(run.marker))


@pytest.fixture(scope="module")
def story(operations: Operations, stopped_kubelet: Callable[[], None]) -> Story:
    """From the first attempt to the end of the run; the node is back when it returns."""
    run, fenced = start(operations, "two", LOST), start(operations, "fenced", OTHER)
    seen, first = Story(run), Author.of(operations, run)
    seen.asked["begun"] = running(first.runs("begun", programs.DEAF, ELSEWHERE))
    lost = running(Author.of(operations, fenced).runs("lost", programs.DEAF, {"nodeSelector": {HOSTNAME: LOST}}))
    stopped_kubelet()
    fenced.stop("Kill")
    fenced.wait_for("KillCancelling")
    put_out_of_service(operations.lab.core, LOST)
    seen.fenced = fenced.wait_for("Cancelled", 60).object
    seen.fenced_operation, seen.fenced_lives = lost.get(), bool(proof.workflow_processes(lost.marker))
    second = follow(seen, operations)
    ask(seen, first, second)
    run.stop("Kill", gracePeriodSeconds=1)
    seen.end = run.wait_for("Cancelled").object
    seen.alive["ended"] = alive(run)
    put_in_service(operations.lab.core, LOST)
    start_kubelet(LOST)
    wait_for_return(operations.lab.core, LOST)
    return seen


def follow(seen: Story, operations: Operations) -> Author:
    """The second attempt, when its program runs."""
    # Only a container that has started has a log, and only then is the boot known in which it did.
    seen.run.wait_for(lambda held: held["status"].get("attempt") == 2 and bool(current(held).get("bootId")), 60)
    wait_for_log(seen.run, "started")
    processes = [p for p in proof.workflow_processes(seen.run.marker) if p.arguments[-1] == seen.run.marker]
    seen.nodes = {process.node for process in processes}
    return Author.of(operations, seen.run)


def ask(seen: Story, first: Author, second: Author) -> None:
    """Both ask for what the other has asked for, and each for something of its own."""
    for key in ("again", "never"):
        seen.asked[key] = first.runs(key, programs.DEAF, ELSEWHERE)
    for key in ("again", "never"):
        seen.unasked[key] = seen.asked[key].wait_for(waits_for_the_second)
    seen.alive["unasked"] = alive(seen.run)
    seen.refused["second"] = refused(lambda: second.runs("again", programs.DEAF, ELSEWHERE))
    second.asks_again(seen.asked["again"])
    running(seen.asked["again"])
    seen.asked["own"] = running(second.runs("own", programs.DEAF, ELSEWHERE))
    seen.refused["first"] = refused(lambda: first.runs("own", programs.DEAF, ELSEWHERE))
    seen.refused["begun"] = refused(lambda: second.runs("begun", programs.DEAF, ELSEWHERE))
    seen.alive["asked"] = alive(seen.run)
    seen.pods = {key: [pod.metadata.name for pod in op.pods()] for key, op in seen.asked.items()}


def waits_for_the_second(held: Object) -> bool:
    return any(text.startswith(WAITS) for text in held["status"].get("waitingOn", ()))


def current(held: Object) -> dict[str, Any]:
    found: dict[str, Any] = held["status"]["processes"][0]
    return found


def test_both_workflow_processes_live_at_once(story: Story) -> None:
    assert story.nodes == {LOST, OTHER}
    assert story.alive["asked"][story.run.marker] == 2


@pytest.mark.conformance("D7")
@pytest.mark.parametrize("key", ["again", "never"])
def test_what_an_earlier_attempt_asks_for_is_not_started_until_the_current_one_asks_again(
    story: Story, key: str
) -> None:
    held = story.unasked[key]
    assert phase_of(held) == "Pending"
    assert "attempt" not in held["status"]
    assert story.alive["unasked"][story.asked[key].marker] == 0


def test_one_that_is_asked_for_again_by_the_current_attempts_token_starts_once(story: Story) -> None:
    operation = story.asked["again"]
    assert len(story.pods["again"]) == 1
    assert story.alive["asked"][operation.marker] == 1
    assert operation.phases()[:2] == ["Pending", "Running"]
    held = operation.get()
    assert (held["spec"]["createdBy"]["podName"], held["status"]["attempt"]) == (current(story.end)["pod"], 1)


def test_one_key_is_one_object_and_one_effect_whoever_asks_first(story: Story) -> None:
    assert story.refused == {"second": 409, "first": 409, "begun": 409}
    names = {key: len(pods) for key, pods in story.pods.items()}
    assert names == {"begun": 1, "again": 1, "never": 0, "own": 1}
    programs_of = {key: story.alive["asked"][operation.marker] for key, operation in story.asked.items()}
    assert programs_of == {"begun": 1, "again": 1, "never": 0, "own": 1}


@pytest.mark.conformance("E11")
def test_what_an_earlier_attempt_has_begun_goes_on(story: Story) -> None:
    assert story.alive["unasked"][story.asked["begun"].marker] == 1
    assert story.asked["begun"].get()["status"]["attempt"] == 1


@pytest.mark.conformance("A3", "D1", "D6", "D7", "B22")
def test_the_end_of_the_run_closes_what_nobody_asked_for_again_without_a_pod(story: Story) -> None:
    assert phase_of(story.end) == "Cancelled"
    assert {key: phase_of(op.get()) for key, op in story.asked.items()} == dict.fromkeys(story.asked, "Cancelled")
    assert "attempt" not in story.asked["never"].get()["status"]
    assert story.asked["never"].pods() == []
    closed = Counter(e["operation"] for e in story.end["status"]["history"] if e["type"] == "OperationCancelled")
    assert closed == Counter(list(story.asked))
    # Of all that ran, the process on the node of which the administrator spoke is left.
    assert story.alive["ended"] == {story.run.marker: 1}


@pytest.mark.conformance("C7", "C14")
def test_the_administrators_word_ends_an_operation_on_that_node_and_its_run(story: Story) -> None:
    assert story.fenced_lives, "the word was not true, and Desist took it"
    assert phase_of(story.fenced) == phase_of(story.fenced_operation) == "Cancelled"
    assert current(story.fenced_operation)["state"] == "gone"
    assert "unconfirmed" not in story.fenced["status"]


@pytest.mark.conformance("B20", "C15", "C16")
def test_nothing_is_left_when_the_node_is_back(story: Story) -> None:
    proof.wait_until_gone(story.run.lab.name)
    assert proof.gone_for_good(story.run.lab.name), "every marker has the namespace's name in it"
