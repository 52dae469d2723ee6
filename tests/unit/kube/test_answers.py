"""What counts as a request that hangs, by how soon others were answered."""

from __future__ import annotations

import pytest

from desist.kube.answers import Answers


@pytest.mark.parametrize(("each", "within"), [(0.01, 2.0), (0.45, 2.0), (1.5, 6.0), (60, 15.0)])
def test_the_wait_grows_with_what_is_usual_and_has_an_end(each: float, within: float) -> None:
    answers = Answers()
    for _ in range(200):
        answers.took(each)
    assert answers.within(2, 15) == pytest.approx(within)


def test_one_late_answer_changes_little_and_a_busy_time_is_forgotten() -> None:
    answers = Answers()
    for _ in range(200):
        answers.took(0.02)
    answers.took(4)
    assert answers.within(2, 15) == 2
    for _ in range(30):
        answers.took(4)
    assert answers.within(2, 15) > 12
    for _ in range(30):
        answers.took(0.02)
    assert answers.within(2, 15) == 2


def test_who_may_wait_long_anyhow_is_not_cut_short() -> None:
    assert Answers().within(20, 15) == 20
