"""A lane's pace and seats, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from desist.kube.lanes import APART, CROWD, Allowance, Lane
from tests.unit.kube.virtual import run


def entries(allowance: Allowance, requests: int, takes: float = 0, start: float = 0) -> list[float]:
    """When each of so many requests, all asked for at once, was let in."""
    times: list[float] = []

    async def request(lane: Lane) -> None:
        async with lane.enter():
            times.append(round(asyncio.get_running_loop().time() - start, 6))
            await asyncio.sleep(takes)

    async def play() -> None:
        await asyncio.sleep(start)
        lane = Lane(allowance)
        await asyncio.gather(*(request(lane) for _ in range(requests)))

    run(play())
    return times


@pytest.mark.parametrize("start", [0, 1000])
def test_a_burst_is_let_in_at_once_and_the_rest_at_the_pace(start: float) -> None:
    assert entries(Allowance(at_a_time=100, a_second=10, burst=3), 6, start=start) == [0, 0, 0, 0.1, 0.2, 0.3]


def test_no_more_than_there_are_seats_are_in_at_a_time() -> None:
    assert entries(Allowance(at_a_time=2, a_second=1000, burst=100), 5, takes=1) == [0, 0, 1, 1, 2]


def test_a_closed_lane_lets_nobody_in_until_its_time_not_even_those_who_wait_for_their_turn() -> None:
    async def play() -> float:
        lane = Lane(Allowance(at_a_time=10, a_second=1, burst=1))
        async with lane.enter():
            pass
        asyncio.get_running_loop().call_later(0.5, lane.close_for, 5)
        async with lane.enter():
            return asyncio.get_running_loop().time()

    assert run(play()) == pytest.approx(5.5)


def test_what_hangs_keeps_no_lane_busy() -> None:
    async def play() -> float:
        lane = Lane(Allowance(at_a_time=9, a_second=1000, burst=100))

        async def request() -> None:
            async with lane.enter():
                await asyncio.sleep(60)

        hangs = asyncio.gather(*(request() for _ in range(CROWD)))
        await asyncio.sleep(0)
        await lane.calm(9)
        waited = asyncio.get_running_loop().time()
        await hangs
        return round(waited, 6)

    assert run(play()) == 0.5


def test_a_lane_is_calm_when_a_crowd_has_left() -> None:
    assert calm_after(takes=[1] + [2] * CROWD, within=9) == 2


def test_a_few_at_once_make_no_lane_busy() -> None:
    assert calm_after(takes=[1] * CROWD + [2] * (CROWD - 1), within=9) == 1


def test_nobody_waits_longer_for_calm_than_a_storm_lasts() -> None:
    assert calm_after(takes=[1] + [60] * CROWD, within=9) == 9


def test_crowds_that_follow_each_other_are_one_and_one_after_a_calm_time_is_another() -> None:
    async def play() -> list[bool]:
        lane = Lane(Allowance(at_a_time=40, a_second=1000, burst=1000))
        lane.answers.took(1, 0)

        async def crowd() -> None:
            await asyncio.gather(*(request() for _ in range(CROWD)))

        async def request() -> None:
            async with lane.enter():
                await asyncio.sleep(0.4)

        found = []
        for pause in (0, 0, 0.1, 0, APART):
            await asyncio.sleep(pause)
            crowd_is_there = asyncio.ensure_future(crowd())
            await asyncio.sleep(0.1)
            assert lane.busy()
            found.append(lane.busy(since=1))
            await crowd_is_there
        return found

    assert run(play()) == [True, True, False, False, True]


def calm_after(takes: Sequence[float], within: float) -> float:
    async def play() -> float:
        lane = Lane(Allowance(at_a_time=40, a_second=1000, burst=100))
        for _ in range(99):
            lane.answers.took(15, 0)

        async def request(seconds: float) -> None:
            async with lane.enter():
                await asyncio.sleep(seconds)

        requests = [asyncio.ensure_future(request(each)) for each in takes]
        await asyncio.sleep(0)
        assert lane.busy() and lane.busy(since=1)
        await lane.calm(within)
        waited = asyncio.get_running_loop().time()
        await asyncio.gather(*requests)
        assert not lane.busy()
        await lane.calm(within)
        return round(waited, 6)

    return run(play())


@pytest.mark.parametrize("steps", range(6))
def test_whoever_is_cancelled_in_the_moment_of_calm_does_not_go_on(steps: int) -> None:
    async def play() -> bool:
        lane = Lane(Allowance(at_a_time=100, a_second=1000, burst=100))
        crowd = [asyncio.create_task(stay(lane)) for _ in range(CROWD)]
        await asyncio.sleep(0.1)
        waits = asyncio.create_task(in_calm(lane))
        await asyncio.sleep(0)
        crowd[0].cancel()
        for _ in range(steps):
            await asyncio.sleep(0)
        waits.cancel()
        await asyncio.wait((waits,), timeout=1)
        return waits.cancelled()

    async def stay(lane: Lane) -> None:
        async with lane.enter():
            await asyncio.sleep(60)

    async def in_calm(lane: Lane) -> None:
        await lane.calm(9)
        await asyncio.sleep(60)

    assert run(play())
