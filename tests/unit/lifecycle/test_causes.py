"""The table of causes, line by line, driven through whole passes: what proves each, and what becomes of the run."""

from __future__ import annotations

import pytest

from desist.api.vocabulary import FailureCategory, HistoryType, Mode, Phase
from desist.lifecycle.proof.cause import CAUSES, LINE_OF
from desist.lifecycle.proof.end import Cause
from tests.support.builders import make_execution, receipt
from tests.unit.lifecycle.endings import (
    AGAIN,
    OOM,
    C,
    Deed,
    F,
    being,
    by_kubelet,
    deleting,
    disrupted,
    exits,
    failed_init,
    nodes,
    over_limits,
    over_limits_at_once,
    past_deadline,
    plain,
    pod,
    probed,
    reboot,
    rejected,
    says,
    unstarted,
    vanish,
)
from tests.unit.lifecycle.world import World

TABLE: list[tuple[str, Deed, Cause, str, str]] = [
    # What happened; the cause; what becomes of the run in Running, and in Cancelling.
    ("drained with exit 0", being(disrupted("EvictionByEvictionAPI"), exits(0)), Cause.DRAINED, AGAIN, C),
    ("drained with exit 143", being(disrupted("EvictionByEvictionAPI"), exits(143)), Cause.DRAINED, AGAIN, C),
    (
        "drained, and writes Cancelled",
        being(disrupted("EvictionByEvictionAPI"), pod(says("Cancelled"))),
        Cause.DRAINED,
        AGAIN,
        C,
    ),
    (
        "drained, and writes Failed",
        being(disrupted("EvictionByEvictionAPI"), pod(says("Failed"))),
        Cause.DRAINED,
        AGAIN,
        C,
    ),
    (
        "drained before its command was started",
        being(disrupted("EvictionByEvictionAPI"), plain(143, receipt(started=False, sigterm=1.5))),
        Cause.DRAINED,
        AGAIN,
        C,
    ),
    ("deleted by hand", being(deleting, exits(143)), Cause.DELETED, AGAIN, C),
    ("deleted by hand, and writes Cancelled", being(deleting, pod(says("Cancelled"))), Cause.DELETED, AGAIN, C),
    ("deleted, and killed before any receipt", being(deleting, plain(137, "")), Cause.DELETED, AGAIN, C),
    ("deleted, and killed before SIGTERM was seen", being(deleting, exits(137, None)), Cause.DELETED, AGAIN, C),
    (
        "the same, on a node whose clock is two hours behind",
        being(deleting, exits(137, None, finished=-7200)),
        Cause.DELETED,
        AGAIN,
        C,
    ),
    ("deleted, by the STOPSIGNAL of its image", being(deleting, exits(0, None, passed=1.5)), Cause.DELETED, AGAIN, C),
    (
        "the same, on a node whose clock is two hours behind",
        being(deleting, exits(0, None, passed=-7201, finished=-7200)),
        Cause.DELETED,
        AGAIN,
        C,
    ),
    (
        "deleted before its container started",
        being(deleting, pod(unstarted), pod(lambda p: p.over())),
        Cause.DELETED,
        AGAIN,
        C,
    ),
    ("deleted while an init container ran", being(deleting, pod(failed_init)), Cause.DELETED, AGAIN, C),
    ("preempted", being(disrupted("PreemptionByScheduler"), exits(143)), Cause.PREEMPTED, AGAIN, C),
    ("preempted by its kubelet", being(by_kubelet("Preempting"), exits(143)), Cause.PREEMPTED, AGAIN, C),
    ("evicted for the node's sake", being(by_kubelet(), exits(143)), Cause.EVICTED, AGAIN, C),
    (
        "evicted like this, and killed before SIGTERM was seen",
        being(by_kubelet(), exits(137, None)),
        Cause.EVICTED,
        AGAIN,
        C,
    ),
    (
        "evicted like this, by the STOPSIGNAL of its image",
        being(by_kubelet(), exits(0, None, passed=-28)),
        Cause.EVICTED,
        AGAIN,
        C,
    ),
    ("its node is shut down", being(by_kubelet("Terminated"), exits(143)), Cause.EVICTED, AGAIN, C),
    (
        "its node has a taint that it does not tolerate",
        being(disrupted("DeletionByTaintManager"), exits(143)),
        Cause.EVICTED,
        AGAIN,
        C,
    ),
    ("its node was rebooted", reboot(143), Cause.REBOOTED, AGAIN, C),
    ("its runtime lost it", plain(255, receipt(), reason="Unknown"), Cause.REBOOTED, AGAIN, C),
    (
        "its runtime lost it, and it does not say how",
        plain(137, "", reason="ContainerStatusUnknown"),
        Cause.REBOOTED,
        AGAIN,
        C,
    ),
    ("its node was removed", nodes(), Cause.NODE_GONE, AGAIN, C),
    ("vanished", vanish, Cause.VANISHED, AGAIN, C),
    *(
        (f"rejected by the node: {reason}", pod(rejected(reason)), Cause.REJECTED, AGAIN, C)
        for reason in (
            "OutOfcpu",
            "OutOfmemory",
            "OutOfpods",
            "NodeAffinity",
            "UnexpectedAdmissionError",
            "TopologyAffinityError",
            "NodeShutdown",
            "Evicted",
            "AReasonOfTomorrow",
        )
    ),
    ("over its limits", being(over_limits, exits(143)), Cause.LIMITS, F, C),
    ("past a deadline that admission set", being(past_deadline, exits(0)), Cause.PAST_DEADLINE, F, C),
    ("over its limits, and killed before SIGTERM was seen", being(over_limits, exits(137, None)), Cause.LIMITS, F, C),
    ("over its limits, and writes Cancelled", being(over_limits, pod(says("Cancelled"))), Cause.LIMITS, F, C),
    ("over its limits, and deleted later", being(lambda p: over_limits(p).deleting(), exits(143)), Cause.LIMITS, F, C),
    (
        "rejected, with words as of a limit",
        pod(rejected("UnexpectedAdmissionError: exceeds")),
        Cause.REJECTED,
        AGAIN,
        C,
    ),
    ("over its limits before its containers had any status", pod(over_limits_at_once), Cause.LIMITS, F, C),
    ("over its limits without a receipt", being(over_limits, plain(137, "")), Cause.LIMITS, F, C),
    ("out of memory", plain(137, receipt(), OOM), Cause.OUT_OF_MEMORY, F, C),
    ("out of memory without a receipt", plain(137, "", OOM), Cause.OUT_OF_MEMORY, F, C),
    (
        "out of memory, having written Failed",
        pod(lambda p: says("Failed", 137)(p).container("workflow", reason=OOM)),
        Cause.OUT_OF_MEMORY,
        F,
        C,
    ),
    ("a probe failed", being(probed, exits(143)), Cause.PROBE, F, C),
    ("a probe failed, and it exits with 0", being(probed, exits(0)), Cause.PROBE, F, C),
    ("a probe failed, and it writes Cancelled", being(probed, pod(says("Cancelled"))), Cause.PROBE, F, C),
    ("a drained pod with a probe", being(lambda p: probed(deleting(p)), exits(143)), Cause.DELETED, AGAIN, C),
    ("an init container failed", pod(failed_init), Cause.INIT, F, C),
    ("there is no such program", plain(127, receipt(started=False, error="no such file")), Cause.START, F, C),
    ("the runtime cannot start it", plain(128, "exec format error", "StartError"), Cause.START, F, C),
    ("exit 0 without a receipt or a cause", plain(0), Cause.UNKNOWN, F, F),
    ("exit 1 without a receipt or a cause", plain(1), Cause.UNKNOWN, F, F),
    ("writes Cancelled without a receipt or a cause", plain(0, '{"outcome":"Cancelled"}'), Cause.UNKNOWN, F, F),
    ("a pod that failed, and nobody says why", pod(lambda p: unstarted(p).having(phase="Failed")), Cause.UNKNOWN, F, F),
]
IDS = [f"{i}: {row[0]}" for i, row in enumerate(TABLE)]
CATEGORIES = {
    Cause.OUT_OF_MEMORY: FailureCategory.OUT_OF_MEMORY,
    Cause.LIMITS: FailureCategory.LIMITS,
    Cause.PAST_DEADLINE: FailureCategory.LIMITS,
    Cause.PROBE: FailureCategory.PROBE,
    Cause.INIT: FailureCategory.INIT,
    Cause.START: FailureCategory.START,
    Cause.UNKNOWN: FailureCategory.APPLICATION,
}


def test_each_line_of_the_table_is_tried() -> None:
    elsewhere = {Cause.EXITED, Cause.NO_PROCESS}  # test_outcome and test_unseen_pods
    assert {row[2] for row in TABLE} | elsewhere == set(Cause) == {line.cause for line in CAUSES}


@pytest.mark.conformance("E4", "E11")
@pytest.mark.parametrize(("deed", "cause", "expected"), [row[1:4] for row in TABLE], ids=IDS)
def test_what_becomes_of_a_running_run(deed: Deed, cause: Cause, expected: str) -> None:
    world = World().running()
    deed(world)
    status = world.status
    if expected == AGAIN:
        assert (world.phase, status.disruptions, status.result) == (Phase.RUNNING, 1, None)
        kind = HistoryType.POD_VANISHED if cause is Cause.VANISHED else HistoryType.POD_DISRUPTED
        assert status.history[-1].type is kind
        assert LINE_OF[cause].words in (status.history[-1].message or "")
        return
    assert (world.phase, status.disruptions) == (expected, None)
    assert status.failure is not None
    assert (status.failure.category, status.failure.propagation) == (CATEGORIES[cause], "workflow")
    assert LINE_OF[cause].words in status.failure.message


@pytest.mark.conformance("B17", "B18")
@pytest.mark.parametrize(("deed", "cause", "expected"), [(row[1], row[2], row[4]) for row in TABLE], ids=IDS)
def test_what_becomes_of_a_run_that_is_cancelling(deed: Deed, cause: Cause, expected: str) -> None:
    world = World().running()
    world.request(Mode.CANCEL, reason="enough")
    deed(world)
    assert world.phase == expected
    assert world.status.disruptions is None
    assert world.status.failure is not None
    assert LINE_OF[cause].words in world.status.failure.message
    assert world.status.commands[0].superseded_by == (None if expected == C else "completion")


@pytest.mark.conformance("A5")
@pytest.mark.parametrize("mode", [Mode.FORCE, Mode.TERMINATE, Mode.KILL])
@pytest.mark.parametrize("deed", [row[1] for row in TABLE], ids=IDS)
def test_under_a_stronger_mode_it_is_the_modes_end(deed: Deed, mode: Mode) -> None:
    world = World().running()
    world.request(mode)
    deed(world)
    assert world.phase is (Phase.TERMINATED if mode is Mode.TERMINATE else Phase.CANCELLED)


@pytest.mark.conformance("A5", "C17")
@pytest.mark.parametrize("deed", [row[1] for row in TABLE], ids=IDS)
def test_after_a_deadline_it_is_timed_out(deed: Deed) -> None:
    world = World(make_execution(active_deadline_seconds=3)).running()
    world.settle(3)
    deed(world)
    assert world.status.phase is Phase.TIMED_OUT
