"""What a watch's probes are told, and its back-off: told by hand what happened, and when. No clock, no server."""

from __future__ import annotations

import pytest

from desist.kube.liveness import STEADY, Liveness, Timing

TIMING = Timing(watch=60, margin=15, backoff=1, backoff_max=8, patience=10)
LONGEST = 60 + 15 + 5 + 8
"""What one step may take: a silent watch, a request, a back-off."""


def watched() -> Liveness:
    """A watch that was listed and let in at 100."""
    held = Liveness("pods", TIMING, request_timeout=5)
    held.running = held.listed = True
    held.turn(100)
    held.opened(100)
    return held


def test_a_task_that_does_not_run_is_stuck_whatever_came_last() -> None:
    held = watched()
    held.running = False
    assert held.stuck(100) == "watch of pods: its task does not run"


def test_it_is_stuck_once_it_has_done_nothing_for_longer_than_any_step_may_take() -> None:
    held = watched()
    assert held.stuck(100 + LONGEST) is None
    assert held.stuck(101 + LONGEST) == f"watch of pods: stuck for {LONGEST + 1} s"


def test_a_wait_that_the_server_asked_for_is_none_in_which_it_is_stuck() -> None:
    held = watched()
    held.failed(100)
    assert held.pause(100, least=600) == 600
    assert held.stuck(700 + LONGEST) is None
    assert held.stuck(701 + LONGEST) is not None


def test_it_is_behind_until_it_was_listed_and_a_watch_was_let_in() -> None:
    held = Liveness("pods", TIMING, request_timeout=5)
    held.turn(100)
    assert held.behind(100) == "watch of pods: not listed yet"
    held.failed(100, "503: away")
    assert held.behind(100) == "watch of pods: not listed yet: 503: away"
    held.listed = True
    assert held.behind(100) == "watch of pods: not open yet: 503: away"
    held.opened(101)
    assert held.behind(101) is None


def test_a_quiet_watch_is_behind_after_its_silence_and_a_failing_one_after_its_patience() -> None:
    held = watched()
    assert held.behind(175) is None
    assert held.behind(176) == "watch of pods: nothing heard for 76 s"
    held.failed(105, "503: away")
    assert held.behind(110) is None
    assert held.behind(111) == "watch of pods: nothing heard for 11 s: 503: away"


def test_a_failure_of_which_nothing_is_said_leaves_the_reason_and_an_open_watch_takes_it_away() -> None:
    held = watched()
    held.failed(100, "503: away")
    held.failed(101)
    assert "503: away" in (held.behind(120) or "")
    assert held.opened(120)
    assert not held.opened(121)
    assert held.behind(121) is None


@pytest.mark.parametrize(("open_for", "worked", "failures"), [(STEADY, True, 0), (STEADY / 2, False, 3)])
def test_a_watch_that_ends_at_once_is_one_more_failure(open_for: float, worked: bool, failures: int) -> None:
    held = watched()
    held.turn(200)
    held.failed(200)
    held.failed(200)
    held.opened(200)
    assert held.ended(200 + open_for) is worked
    assert held.failures == failures


def test_a_failure_after_a_steady_watch_is_the_first_of_a_row() -> None:
    held = watched()
    held.turn(200)
    held.failed(200)
    held.failed(200)
    held.opened(200)
    held.failed(200 + STEADY)
    assert held.failures == 1


@pytest.mark.parametrize(("failures", "most"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (5_000, 8)])
def test_the_wait_doubles_with_each_failure_up_to_its_bound(failures: int, most: int) -> None:
    assert most / 2 <= TIMING.delay(failures) <= most


def test_how_long_a_watch_is_open_counts_from_when_it_was_let_in_and_anew_in_each_turn() -> None:
    of = Liveness("pods", Timing(), 15)
    assert of.open_for(100) < 0
    of.turn(100)
    of.opened(101)
    of.heard(105)
    assert of.open_for(111) == 10
    of.turn(112)
    assert of.open_for(200) < 0
