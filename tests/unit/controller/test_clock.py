"""A controller's time goes on evenly, whatever is done to the machine's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from desist.controller.clock import Clock, steady_seconds

START = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(hours=2)])
def test_a_step_of_the_wall_clock_changes_nothing(step: timedelta) -> None:
    wall, seconds = [START], [1000.0]
    clock = Clock(lambda: wall[0], lambda: seconds[0])
    assert clock() == START
    wall[0], seconds[0] = START + step, 1007.5
    assert clock() == START + timedelta(seconds=7.5)


def test_it_begins_with_the_wall_clock_and_follows_the_steady_one() -> None:
    before = datetime.now(UTC)
    clock = Clock()
    assert before <= clock() <= datetime.now(UTC) + timedelta(seconds=1)
    assert clock() <= clock()
    assert steady_seconds() <= steady_seconds()
