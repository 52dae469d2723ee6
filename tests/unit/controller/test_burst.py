"""Pushes wait until a burst of acceptances is written, and for nothing else, on a clock that jumps."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

from desist.controller.burst import Burst
from desist.controller.cluster import BURST
from desist.kube.lanes import CROWD, Allowance, Lane
from tests.unit.kube.virtual import run

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="")


def sent(play: Callable[[Lane, Callable[[str], None]], Coroutine[Any, Any, None]]) -> list[tuple[str, str, float]]:
    """What was sent in that play: its name, the name that its context has, and when."""
    calls: list[tuple[str, str, float]] = []

    async def all_of_it() -> None:
        lane = Lane(Allowance(at_a_time=40, a_second=1000, burst=1000))
        for _ in range(99):
            lane.answers.took(15, 0)
        burst = Burst(lane)

        def send(name: str) -> None:
            NAME.set(name)
            burst.send(lambda: calls.append((name, NAME.get(), round(asyncio.get_running_loop().time(), 3))))

        await play(lane, send)
        burst.flush()

    run(all_of_it())
    return calls


async def one(lane: Lane, seconds: float) -> None:
    async with lane.enter():
        await asyncio.sleep(seconds)


async def accept(lane: Lane, seconds: float) -> None:
    await asyncio.gather(*(one(lane, seconds) for _ in range(CROWD)))


def test_a_single_stop_is_pushed_at_once() -> None:
    async def play(lane: Lane, send: Callable[[str], None]) -> None:
        await accept(lane, 0.1)
        send("a")

    assert sent(play) == [("a", "a", 0.1)]


def test_a_stop_beside_a_few_others_is_pushed_at_once() -> None:
    async def play(lane: Lane, send: Callable[[str], None]) -> None:
        others = asyncio.gather(*(one(lane, 9) for _ in range(CROWD - 1)))
        await asyncio.sleep(0.1)
        send("a")
        await others

    assert sent(play) == [("a", "a", 0.1)]


def test_what_is_accepted_early_in_a_burst_is_pushed_when_the_last_is_accepted() -> None:
    async def stop(lane: Lane, send: Callable[[str], None], name: str, seconds: float) -> None:
        await accept(lane, seconds)
        send(name)

    async def play(lane: Lane, send: Callable[[str], None]) -> None:
        await asyncio.gather(
            *(stop(lane, send, name, seconds) for name, seconds in (("a", 0.1), ("b", 0.2), ("c", 0.3)))
        )
        await asyncio.sleep(0.1)
        send("later")

    assert sent(play) == [("a", "a", 0.3), ("b", "b", 0.3), ("c", "c", 0.3), ("later", "later", 0.4)]


def test_where_acceptances_never_cease_nothing_waits_any_more() -> None:
    async def play(lane: Lane, send: Callable[[str], None]) -> None:
        others = asyncio.gather(*(accept(lane, seconds) for seconds in (9.0, 9.1)))
        await asyncio.sleep(0.1)
        send("early")
        await asyncio.sleep(BURST)
        send("late")
        await others

    assert sent(play) == [("early", "early", BURST), ("late", "late", BURST + 0.1)]


def test_what_is_held_back_when_the_process_ends_is_pushed() -> None:
    async def play(lane: Lane, send: Callable[[str], None]) -> None:
        other = asyncio.ensure_future(accept(lane, 9))
        await asyncio.sleep(0.01)
        send("a")
        other.cancel()

    assert sent(play) == [("a", "a", 0.01)]
