"""What is seen of a cause, and what makes none: outcomes that count, signals of others, the kubelet's words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from desist.api.vocabulary import Mode, Phase
from desist.lifecycle.observed.pods import ContainerPhase
from tests.support.builders import PodBuilder, at, receipt
from tests.unit.lifecycle.endings import (
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
    over_limits,
    plain,
    pod,
    probed,
    rejected,
    says,
    unstarted,
)
from tests.unit.lifecycle.world import World


@pytest.mark.parametrize(
    "before",
    [
        disrupted("EvictionByEvictionAPI"),
        deleting,
        by_kubelet(),
        over_limits,
        probed,
        lambda seen: seen,
    ],
)
@pytest.mark.parametrize("mode", [None, Mode.CANCEL])
def test_what_has_succeeded_has_succeeded_whoever_ended_it(
    before: Callable[[PodBuilder], PodBuilder], mode: Mode | None
) -> None:
    world = World().running()
    if mode:
        world.request(mode)
    being(before, pod(says("Succeeded")))(world)
    assert world.phase is Phase.SUCCEEDED


@pytest.mark.parametrize("before", [deleting, by_kubelet(), over_limits, probed])
@pytest.mark.parametrize(("outcome", "expected"), [("Cancelled", C), ("Failed", F)])
def test_what_was_told_before_the_kubelet_stopped_it_knows_why_it_ends(
    before: Callable[[PodBuilder], PodBuilder], outcome: str, expected: str
) -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    stop = world.command().id  # read at 1.5
    text = json.dumps({"outcome": outcome})
    told = pod(lambda seen: seen.exited(1, f"{receipt(stop=stop, sigterm=1.7)}\n{text}", finished=2).over())
    being(before, told)(world)
    assert world.phase == expected


@pytest.mark.parametrize("mode", [None, Mode.CANCEL])
def test_a_process_that_outlives_a_child_that_ran_out_of_memory_succeeds(mode: Mode | None) -> None:
    world = World().running()
    plain(0, receipt(), OOM)(world)
    assert world.phase is Phase.SUCCEEDED


@pytest.mark.parametrize("before", [deleting, by_kubelet()])
def test_a_signal_of_somebodys_long_before_the_end_is_no_disruption(
    before: Callable[[PodBuilder], PodBuilder],
) -> None:
    world = World().running()
    being(before, exits(0, None, passed=-34))(world)
    assert world.phase is Phase.SUCCEEDED


def test_a_signal_as_an_eviction_only_begins_is_the_programs_own_affair() -> None:
    world = World().running()
    being(lambda seen: seen.having(disruption_reason="EvictionByEvictionAPI"), exits(0, None, passed=1.5))(world)
    assert world.phase is Phase.SUCCEEDED


SHOWN = [
    (over_limits, exits(143), "Evicted"),
    (by_kubelet(), exits(143), "Evicted"),
    (probed, exits(143), "ProbeFailed"),
    (lambda seen: seen, pod(failed_init), "InitContainerFailed"),
    (lambda seen: seen, plain(137, receipt(), OOM), "OOMKilled"),
    (lambda seen: seen, plain(1), "Error"),
    (lambda seen: seen, pod(rejected("OutOfcpu")), "OutOfcpu"),
]


@pytest.mark.parametrize(("before", "deed", "word"), SHOWN)
def test_the_process_shows_the_cause_under_cancel_too(
    before: Callable[[PodBuilder], PodBuilder], deed: Deed, word: str
) -> None:
    world = World().running()
    world.request(Mode.CANCEL)
    being(before, deed)(world)
    assert world.status.processes[0].reason == word


KUBELETS_WORDS = [
    (being(over_limits, exits(143)), 'EmptyDir volume "data" exceeds the limit'),
    (pod(rejected("OutOfcpu")), "OutOfcpu: Pod was rejected: OutOfcpu, said the kubelet"),
    (plain(1, "", "Strange"), "Strange"),
    (pod(lambda p: unstarted(p).having(phase="Failed", message="the moon was full")), "the moon was full"),
    (plain(128, "exec format error", "StartError"), "exec format error"),
]


@pytest.mark.parametrize(("deed", "words"), KUBELETS_WORDS)
def test_what_the_kubelet_says_is_said(deed: Deed, words: str) -> None:
    world = World().running()
    deed(world)
    last = world.status.history[-1]
    assert words in (last.failure.message if last.failure else last.message or "")


def test_an_outcome_that_does_not_count_is_named() -> None:
    world = World().running()
    being(deleting, pod(says("Cancelled")))(world)
    assert "its outcome Cancelled does not count" in (world.status.history[-1].message or "")


def test_the_end_is_the_workflow_processs_whatever_its_sidecars_and_init_containers_do() -> None:
    world = World()
    world.settle()
    ended: dict[str, Any] = {"phase": ContainerPhase.TERMINATED, "exit_code": 9, "finished_at": at(900)}
    world.change_pod(lambda seen: seen.with_init(**{**ended, "exit_code": 0}).with_sidecar().running(), after=1)
    world.change_pod(lambda seen: seen.exited(0, receipt(), finished=2), after=1)
    assert (world.phase, world.status.end_time) == (Phase.RUNNING, at(2))
    world.change_pod(lambda seen: seen.container("proxy", **ended).having(phase="Failed"), after=900)
    assert (world.phase, world.status.end_time) == (Phase.SUCCEEDED, at(2))
    assert world.status.processes[0].exit_code == 0
