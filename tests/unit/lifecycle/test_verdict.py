"""The table of proof, line by line, and its traps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desist.api.status import ProcessStatus
from desist.api.vocabulary import ProcessReason, ProcessState
from desist.lifecycle.observed.pods import ContainerPhase, NodeView, PodView
from desist.lifecycle.proof.process import CLOSED, Process
from desist.lifecycle.proof.verdict import (
    needs_live_node,
    needs_live_pod,
    next_change,
    verdict,
)
from desist.lifecycle.settings import Settings
from tests.support.builders import PodBuilder, at, make_node, make_pod

NOW = 1000.0
GONE, UNPROVEN = ProcessState.GONE, ProcessState.UNPROVEN
ALIVE, UNCONFIRMED = ProcessState.ALIVE, ProcessState.UNCONFIRMED

RUNNING = make_pod(run_id="R").running()
READY = make_node()
BLIP = make_node(ready=False, since=NOW - 29)
LOST = make_node(ready=False, since=NOW - 30)
JUST_BACK = make_node(since=NOW - 59)
LONG_BACK = make_node(since=NOW - 60)


def judge(
    pod: PodBuilder | None,
    seen: NodeView | None,
    *,
    present: bool = True,
    missed: float | None = None,
    **process: object,
) -> Process:
    view: PodView | None = pod.obj() if pod else None
    found = ProcessStatus(
        pod="pod",
        pod_uid="uid-of-pod",
        node=(view.node or None) if view else "node-1",
        boot_id="boot-1",
        state=ALIVE,
        since=at(0 if missed is None else missed),
        reason=None if missed is None else ProcessReason.MISSED,
    ).model_copy(update=process)
    since = None if missed is None else at(missed)
    return Process(found, view, present, seen, 30.0, Settings(), node_live=True, pod_live=True, missed_since=since)


def vanished(seen: NodeView | None, missed: float, pod: PodBuilder | None = None, **process: object) -> Process:
    return judge(pod, seen, present=False, missed=missed, **process)


ENDED = RUNNING.exited(0)
CASES = [
    ("the kubelet wrote Succeeded", judge(ENDED.over(), READY), GONE),
    ("the kubelet wrote Failed, the node is lost since", judge(ENDED.over(), LOST), GONE),
    ("pod GC wrote Failed", judge(RUNNING.having(phase="Failed", disruption_reason="DeletionByPodGC"), READY), ALIVE),
    (
        "pod GC wrote Failed, the node is lost",
        judge(RUNNING.having(phase="Failed", disruption_reason="DeletionByPodGC"), LOST),
        UNCONFIRMED,
    ),
    (
        "an eviction wrote the condition, the kubelet the phase",
        judge(ENDED.having(phase="Failed", disruption_reason="EvictionByEvictionAPI"), READY),
        GONE,
    ),
    ("every container is terminated", judge(ENDED, READY), GONE),
    ("a sidecar still runs", judge(ENDED.with_sidecar(), READY), ALIVE),
    ("one has no container ID", judge(ENDED.container("workflow", container_id=""), READY), ALIVE),
    ("one is ContainerStatusUnknown", judge(RUNNING.exited(137, reason="ContainerStatusUnknown"), READY), ALIVE),
    ("its container is waiting", judge(make_pod().bound(), READY), ALIVE),
    ("it has a deletionTimestamp", judge(RUNNING.deleting(), READY), ALIVE),
    ("deleted before it was bound", vanished(None, NOW, make_pod(), node=None, boot_id=None), GONE),
    ("deleted as unbound, but a node was recorded", vanished(READY, NOW, make_pod(), node="node-1"), ALIVE),
    ("deleted while bound", vanished(READY, NOW, RUNNING.deleting()), ALIVE),
    ("deleted after the kubelet reported its end", vanished(READY, NOW, ENDED.over()), GONE),
    ("the node has another boot ID", judge(RUNNING, make_node(boot_id="boot-2")), GONE),
    ("another boot ID, the pod has vanished", vanished(make_node(boot_id="boot-2"), NOW), GONE),
    ("another boot ID, the container may still start", judge(make_pod().bound(), make_node(boot_id="boot-2")), ALIVE),
    ("no boot ID was recorded", judge(RUNNING, make_node(boot_id="boot-2"), boot_id=None), ALIVE),
    ("the Node object is deleted", judge(RUNNING, None), GONE),
    ("the Node object was never seen", judge(RUNNING, None, boot_id=None), ALIVE),
    ("the pod vanished and its Node is deleted", vanished(None, NOW), GONE),
    ("the node is out of service", judge(RUNNING, replace(LOST, out_of_service=True)), GONE),
    ("vanished, the node is out of service", vanished(replace(LOST, out_of_service=True), NOW), GONE),
    ("there, the node not Ready for 30 s", judge(RUNNING, LOST), UNCONFIRMED),
    ("there, the node not Ready for less", judge(RUNNING, BLIP), ALIVE),
    ("there and waiting, the node not Ready for 30 s", judge(make_pod().bound(), LOST), UNCONFIRMED),
    ("there, the node Ready", judge(RUNNING, READY), ALIVE),
    ("there, not bound", judge(make_pod(), None, node=None, boot_id=None), ALIVE),
    ("vanished, Ready for the pod's grace and 30 s", vanished(READY, NOW - 60), UNPROVEN),
    ("vanished, Ready for less, counted from when it was missed", vanished(READY, NOW - 59), ALIVE),
    ("vanished long ago, Ready again for less", vanished(JUST_BACK, NOW - 600), ALIVE),
    ("vanished long ago, Ready again for long enough", vanished(LONG_BACK, NOW - 600), UNPROVEN),
    ("vanished, no node known, that much time gone by", vanished(None, NOW - 60, node=None, boot_id=None), UNPROVEN),
    ("vanished, no node known, less time", vanished(None, NOW - 59, node=None, boot_id=None), ALIVE),
    ("vanished just now, not marked yet", judge(None, READY, present=False), ALIVE),
    ("vanished, the node not Ready for 30 s", vanished(LOST, NOW - 600), UNCONFIRMED),
    ("vanished, the node not Ready for less", vanished(BLIP, NOW - 600), ALIVE),
]


@pytest.mark.conformance("C7", "C14", "C15")
@pytest.mark.parametrize(("evidence", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_line_of_the_table_of_proof(evidence: Process, expected: ProcessState) -> None:
    assert verdict(evidence, at(NOW)) is expected


BY_NODE = {
    "the node has another boot ID",
    "another boot ID, the pod has vanished",
    "the Node object is deleted",
    "the pod vanished and its Node is deleted",
    "the node is out of service",
    "vanished, the node is out of service",
}


@pytest.mark.parametrize(("name", "evidence", "expected"), CASES, ids=[case[0] for case in CASES])
def test_what_only_a_cached_node_says_is_no_proof_and_is_asked_for(
    name: str, evidence: Process, expected: ProcessState
) -> None:
    cached = replace(evidence, node_live=False)
    assert (verdict(cached, at(NOW)) is not expected) == (name in BY_NODE)
    assert needs_live_node(cached, at(NOW)) == (name in BY_NODE)
    assert not needs_live_node(evidence, at(NOW)), "it is asked for twice"


BY_ABSENCE = {
    "deleted before it was bound",
    "vanished, Ready for the pod's grace and 30 s",
    "vanished long ago, Ready again for long enough",
    "vanished, no node known, that much time gone by",
}


@pytest.mark.parametrize(("name", "evidence", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_pod_that_only_the_cache_misses_closes_nothing_and_is_asked_for(
    name: str, evidence: Process, expected: ProcessState
) -> None:
    cached = replace(evidence, pod_live=False)
    assert (verdict(cached, at(NOW)) is not expected) == (name in BY_ABSENCE)
    closed = expected in CLOSED and name not in BY_ABSENCE
    assert needs_live_pod(cached, at(NOW)) == (not evidence.present and not closed)
    assert not needs_live_pod(evidence, at(NOW)), "it is asked for twice"


@pytest.mark.parametrize(("evidence", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_verdict_never_changes_by_time_before_it_is_announced(evidence: Process, expected: ProcessState) -> None:
    announced = next_change(evidence, at(NOW))
    last = at(NOW + 10_000) if announced is None else announced
    for seconds in (0.001, 0.5, 1, 29, 30, 31, 59, 60, 61, 5_000):
        moment = at(NOW + seconds)
        # A pod whose absence is not marked yet counts from the pass that marks it.
        marked = evidence.present or evidence.status.reason == ProcessReason.MISSED
        if moment < last and marked:
            assert verdict(evidence, moment) is expected


def test_a_container_that_waits_again_is_no_proof_even_in_a_pod_that_is_being_deleted() -> None:
    pod = RUNNING.deleting().container("workflow", phase=ContainerPhase.WAITING, reason="PodInitializing")
    assert verdict(judge(pod, READY), at(NOW)) is ALIVE
