"""What counts as a request that hangs, by how soon others were answered."""

from __future__ import annotations

import pytest

from desist.kube.answers import Answers


@pytest.mark.parametrize(("each", "within"), [(0.01, 2.0), (0.45, 2.0), (1.5, 6.0), (60, 15.0)])
def test_the_wait_grows_with_what_is_usual_and_has_an_end(each: float, within: float) -> None:
    answers = Answers()
    for _ in range(200):
        answers.took(each, 0)
    assert answers.within(2, 15, 0) == pytest.approx(within)


def test_one_late_answer_changes_little_and_a_busy_time_is_forgotten() -> None:
    answers = Answers()
    for _ in range(200):
        answers.took(0.02, 0)
    answers.took(4, 0)
    assert answers.within(2, 15, 0) == 2
    for _ in range(30):
        answers.took(4, 0)
    assert answers.within(2, 15, 0) > 12
    for _ in range(30):
        answers.took(0.02, 0)
    assert answers.within(2, 15, 0) == 2


def test_who_may_wait_long_anyhow_is_not_cut_short() -> None:
    assert Answers().within(20, 15, 0) == 20


def test_a_busy_time_is_forgotten_also_where_nothing_is_asked_after_it() -> None:
    answers = Answers()
    for _ in range(200):
        answers.took(4, 0)
    found = [round(answers.within(2, 15, now), 1) for now in (0, 30, 60, 90, 3600)]
    assert found == [15, 8, 4, 2, 2]
