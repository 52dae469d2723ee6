"""What waits says for what: one row for each kind of wait, by name, with what bounds it or what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from desist.api.vocabulary import Mode, OnLostNode, Phase
from desist.controller.cluster import TAKEN
from desist.lifecycle.observed.pods import ContainerKind, ContainerPhase, ContainerView
from desist.lifecycle.observed.questions import Answer, CreateAnswer, PodCall, Refusal
from desist.lifecycle.operation.shown import ASKED_AGAIN, ITS_TIME
from desist.lifecycle.run import operations
from desist.lifecycle.shown.waits import Wait
from tests.support.builders import PodBuilder, at, make_execution, make_node, receipt
from tests.unit.lifecycle.test_coherence import edited
from tests.unit.lifecycle.world import World

DOCS = Path(__file__).parents[3] / "docs" / "troubleshooting.md"
STOP = "nothing bounds this wait but a stop"
WAITING, RUNNING = ContainerPhase.WAITING, ContainerPhase.RUNNING


def with_pod(change: Callable[[PodBuilder], PodBuilder], after: float = 0) -> Callable[[], World]:
    """A run whose pod is like this, so many seconds later."""

    def make() -> World:
        world = World()
        world.settle()
        world.change_pod(change)
        world.settle(after)
        return world

    return make


def bound(**fields: Any) -> Callable[[PodBuilder], PodBuilder]:
    """A bound pod whose workflow container waits."""
    return lambda pod: pod.bound().container("workflow", phase=WAITING, **fields)


def _between_attempts() -> World:
    world = World().running()
    world.change_pod(lambda pod: pod.deleting().exited(143, receipt(sigterm=2)).over())
    return world


def _refused() -> World:
    world = World(creates=False)
    world.step()
    world.created = CreateAnswer(Answer.REFUSED, "exceeded quota: pods", at(0), retry_after=10.0)
    world.settle(1)
    return world


def _name_taken() -> World:
    world = World(creates=False)
    world.step()
    world.created = CreateAnswer(Answer.TAKEN, TAKEN.format("order-1-x"), at(0), retry_after=10.0)
    world.settle(1)
    return world


def _without_workflow() -> World:
    world = World(workflow=None)
    world.settle()
    return world


def _without_template() -> World:
    world = World(creates=False)
    world.step()
    edited(world, workflowSpec=None)
    world.workflow = None
    world.settle(1)
    return world


def _unseen() -> World:
    world = World(creates=False)
    world.step()
    world.step(11)
    return world


def _stopped(mode: Mode, **fields: Any) -> Callable[[], World]:
    def make() -> World:
        world = World().running()
        world.request(mode, after=1, **fields)
        return world

    return make


def _with_sidecar() -> World:
    world = World()
    world.settle()
    world.change_pod(lambda pod: pod.with_sidecar("proxy").running(), after=1)
    world.change_pod(lambda pod: pod.exited(0, receipt()), after=1)
    return world


def _with_added() -> World:
    world = World().running()
    ended = world.pod.exited(0, receipt()).obj().containers
    agent = ContainerView("agent", ContainerKind.ADDED, ContainerPhase.RUNNING, "containerd://agent")
    world.change_pod(lambda pod: pod.having(containers=(*ended, agent)), after=1)
    return world


def _vanished() -> World:
    world = World().running()
    world.lose_pod(seen=False)
    world.settle(1)
    return world


def _lost_node() -> World:
    world = _stopped(Mode.KILL)()
    world.nodes = [make_node(ready=False, since=world.seconds)]
    world.settle(60)
    return world


def _unkillable() -> World:
    world = _stopped(Mode.FORCE)()
    world.settle(60)
    return world


@dataclass
class Refusing(World):
    """A world whose API server refuses one call."""

    call: PodCall = PodCall.POST

    def observe(self) -> Any:
        uids = [pod.obj().uid for pod in self.pods.values()]
        refusals = tuple(Refusal(uid, self.call, "", "policy: no", at(0), 9) for uid in uids)
        return replace(super().observe(), refusals=refusals)


def _refusing(call: PodCall) -> Callable[[], World]:
    def make() -> World:
        world = Refusing(call=call)
        world.settle()
        world.pods = {name: pod.running() for name, pod in world.pods.items()}
        world.step(1)
        return world

    return make


ROWS: list[tuple[Wait, Callable[[], World], tuple[str, ...]]] = [
    (Wait.NEXT_ATTEMPT, _between_attempts, ("2026-01-02T03:04:",)),
    (Wait.NOT_BEGUN, _without_workflow, ("WorkflowNotFound", "'job'")),
    (Wait.CREATE_REFUSED, _refused, ("exceeded quota",)),
    (Wait.NAME_TAKEN, _name_taken, ("pod order-1-x", "delete it")),
    (Wait.TEMPLATE_LOST, _without_template, ("a stop ends the run",)),
    (Wait.UNSEEN, _unseen, (STOP,)),
    (Wait.GATED, with_pod(lambda pod: pod.having(gates=("example.test/quota",))), ("example.test/quota", STOP)),
    (Wait.NO_NODE, with_pod(lambda pod: pod.having(unschedulable="0/3 nodes")), ("0/3 nodes", STOP)),
    (
        Wait.NO_SCHEDULER,
        with_pod(lambda pod: pod.having(scheduler="nobody", scheduling=False), 11),
        ("nobody", STOP),
    ),
    (Wait.NO_KUBELET, with_pod(lambda pod: pod.bound(), 11), ("node-1", STOP)),
    (
        Wait.NO_SANDBOX,
        with_pod(lambda pod: bound(reason="ContainerCreating")(pod).having(sandbox=False), 11),
        ("node-1", "ConfigMap", "kubectl describe pod", STOP),
    ),
    (
        Wait.BEING_MADE,
        with_pod(lambda pod: bound(reason="ContainerCreating")(pod).having(sandbox=True), 11),
        ("container workflow", STOP),
    ),
    (
        Wait.NOT_PULLED,
        with_pod(bound(reason="ImagePullBackOff", message="no such image")),
        ("no such image", "again and again", STOP),
    ),
    (
        Wait.NOT_CONFIGURED,
        with_pod(bound(reason="CreateContainerConfigError", message='configmap "x" not found')),
        ("CreateContainerConfigError", 'configmap "x" not found', STOP),
    ),
    (Wait.NOT_MADE, with_pod(bound(reason="RunContainerError", message="no runc")), ("RunContainerError", "no runc")),
    (
        Wait.INIT,
        with_pod(lambda pod: pod.bound().with_init("prepare", phase=RUNNING, started_at=at(1)), 12),
        ("init container prepare", STOP),
    ),
    (Wait.SIDECAR, _with_sidecar, ("proxy", "terminationGracePeriodSeconds, 30 s")),
    (Wait.ADDED, _with_added, ("container agent", "a stop with a deadline deletes the pod")),
    (Wait.TOLD, _stopped(Mode.CANCEL), ("container workflow", "(Cancel)", "nothing bounds this wait but a Kill")),
    (Wait.TOLD, _stopped(Mode.CANCEL, kill_after_seconds=60), ("it becomes a Kill at 2026-01-02T03:05:",)),
    (Wait.TOLD, _stopped(Mode.KILL, grace_period_seconds=7), ("(Kill)", "after their grace of 7 s")),
    (
        Wait.DELETED,
        with_pod(lambda pod: pod.running().deleting(3600)),
        ("2026-01-02T04:04:06", "nothing can shorten"),
    ),
    (
        Wait.FINALIZERS,
        with_pod(lambda pod: pod.running().deleting(5).having(finalizers=("example.test/hold",))),
        ("example.test/hold", "nothing bounds"),
    ),
    (Wait.VANISHED, _vanished, ("node-1", "at 2026-01-02T03:05:07", "unproven")),
    (Wait.NODE_LOST, _lost_node, ("node-1", "out-of-service", "onLostNode: Forget", "nothing bounds")),
    (Wait.UNKILLABLE, _unkillable, ("node-1", "restart the node")),
    (Wait.STOP_REFUSED, _refusing(PodCall.POST), ("policy: no", "a Kill deletes it")),
    (Wait.DELETE_REFUSED, _refusing(PodCall.DELETE), ("policy: no", "again and again")),
]


@pytest.mark.parametrize(("wait", "make", "words"), ROWS, ids=[f"{row[0].name}-{n}" for n, row in enumerate(ROWS)])
def test_what_waits_says_for_what_by_name_and_what_bounds_it(
    wait: Wait, make: Callable[[], World], words: tuple[str, ...]
) -> None:
    world = make()
    (text,) = [text for text in world.status.waiting_on if wait in text]
    assert all(word in text for word in words), text
    assert world.status.open
    assert any(wait in condition.message for condition in world.status.conditions)


def test_every_kind_of_wait_has_a_row() -> None:
    assert {wait for wait, _, _ in ROWS} == set(Wait)


@pytest.mark.parametrize("wait", [*Wait, operations.OPEN, operations.PODS, ASKED_AGAIN, ITS_TIME])
def test_every_text_is_found_in_the_docs(wait: str) -> None:
    headings = [line for line in DOCS.read_text().splitlines() if line.startswith("### ")]
    assert any(wait in line for line in headings), f"docs/troubleshooting.md has no section on {wait!r}"


def test_a_start_that_takes_no_longer_than_others_costs_no_write() -> None:
    world = World()
    world.settle()
    world.change_pod(bound(reason="ContainerCreating"), after=2)
    writes = world.writes
    world.change_pod(lambda pod: pod.having(sandbox=False), after=2)
    world.change_pod(lambda pod: pod.container("workflow", reason="PodInitializing"), after=2)
    assert (world.writes, world.status.waiting_on) == (writes, ())


def test_a_wait_that_a_deadline_bounds_says_until_when() -> None:
    world = World(make_execution(active_deadline_seconds=60)).running()
    world.change_pod(lambda pod: pod.deleting().exited(143, receipt(sigterm=2)).over())
    world.settle(2)
    world.change_pod(bound(reason="ErrImagePull", message="x"))
    (text,) = [text for text in world.status.waiting_on if Wait.NOT_PULLED in text]
    assert "at most until 2026-01-02T03:05:" in text and "activeDeadlineSeconds" in text


def test_a_stop_that_waits_for_a_vanished_pod_can_be_told_to_forget_it() -> None:
    world = _vanished()
    world.request(Mode.KILL, after=1)
    assert any(Wait.VANISHED in text for text in world.status.waiting_on)
    world.request(Mode.KILL, after=1, on_lost_node=OnLostNode.FORGET)
    assert world.phase in (Phase.CANCELLED, Phase.KILL_CANCELLING)
