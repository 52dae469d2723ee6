"""Seats of a lane: nobody has them all, none is lost, on a clock that jumps."""

from __future__ import annotations

import asyncio
import random

import pytest

from desist.kube.lanes import Lane
from desist.kube.options import TELLS
from desist.kube.seats import Seats
from tests.unit.kube.virtual import run


def test_what_hangs_for_one_tenant_keeps_no_seat_from_another() -> None:
    async def play() -> float:
        lane = Lane(TELLS)

        async def request(group: str, seconds: float) -> None:
            async with lane.enter(group):
                await asyncio.sleep(seconds)

        hang = asyncio.gather(*(request("shop", 15) for _ in range(94)))
        await asyncio.sleep(1)
        await request("bank", 0)
        done = asyncio.get_running_loop().time()
        await hang
        return done

    assert run(play()) == 1


def test_groups_take_turns_and_the_order_in_a_group_stays() -> None:
    async def play() -> list[str]:
        seats, order = Seats(1), list[str]()

        async def request(group: str, name: str) -> None:
            async with seats.held(group):
                order.append(name)
                await asyncio.sleep(1)

        await asyncio.gather(*(request(name[0], name) for name in ("a1", "a2", "a3", "b1", "b2")))
        return order

    assert run(play()) == ["a1", "a2", "b1", "a3", "b2"]


@pytest.mark.parametrize("seed", range(20))
def test_no_seat_is_lost_and_none_is_given_twice_whoever_is_cancelled(seed: int) -> None:
    chance, inside, most = random.Random(seed), [0], [0]

    async def play() -> None:
        seats = Seats(3)

        async def request() -> None:
            async with seats.held(chance.choice(["", "a", "b"])):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                try:
                    await asyncio.sleep(chance.choice([0, 0.1, 1]))
                finally:
                    inside[0] -= 1

        requests = [asyncio.ensure_future(request()) for _ in range(60)]
        while not all(each.done() for each in requests):
            await asyncio.sleep(chance.choice([0, 0.1]))
            chance.choice(requests).cancel()
        await asyncio.gather(*(request() for _ in range(3)))

    run(play())
    assert (inside[0], most[0]) == (0, 3)


def test_a_seat_that_is_handed_to_one_who_is_cancelled_in_that_moment_goes_to_the_next() -> None:
    async def play() -> None:
        seats = Seats(1)

        async def request() -> None:
            async with seats.held("a"):
                await asyncio.sleep(1)

        async with seats.held("a"):
            second = asyncio.ensure_future(request())
            await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await request()

    run(play())
