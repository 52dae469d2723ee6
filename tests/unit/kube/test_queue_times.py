"""The queue's contract about time: what is due when, and what failed."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from desist.kube.errors import ServerUnavailable, TooManyRequests
from desist.kube.queue import LONGEST_SLEEP, QueueOptions, WorkQueue
from tests.unit.kube.diary import Diary, after


@pytest.mark.parametrize("asked", [(5.0, 9.0), (9.0, 5.0), (9.0, 5.0, 7.0)])
def test_of_several_times_the_earliest_wins_and_the_others_are_forgotten(asked: tuple[float, ...]) -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        for when in asked:
            queue.add_at("a", when)

    assert after(act).times("a") == [5]


def test_a_reconcile_drops_the_timer_that_was_set_before_it() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        queue.add_after("a", 10)
        queue.add("a")

    assert after(act).times("a") == [0]


def test_a_timer_set_during_a_reconcile_stays() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        queue.add("a")
        await asyncio.sleep(0.5)
        queue.add_after("a", 10)

    assert after(act).times("a") == [0, 10.5]


def test_a_time_that_has_passed_means_now() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        await asyncio.sleep(3)
        queue.add_at("a", 1)

    assert after(act).times("a") == [3]


def test_whether_a_timer_is_urgent_is_asked_when_it_is_due() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        time = asyncio.get_running_loop().time
        queue._is_urgent = lambda key: key == "late" and time() >= 5
        queue.add_at("late", 5.5)
        for number in range(8):
            queue.add(f"k{number}")

    assert after(act, QueueOptions(workers=1, reserved=0)).times("late") == [6]


def test_a_time_that_has_passed_is_as_urgent_as_its_key() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        queue._is_urgent = lambda key: key == "late"
        for key in ("busy", "a"):
            queue.add(key)
        queue.add_at("late", 0)

    assert after(act, QueueOptions(workers=1, reserved=0)).order == ["busy", "late", "a"]


@pytest.mark.parametrize("due", [40.0, 3600.0])
def test_what_comes_due_while_the_machine_sleeps_follows_soon_after(due: float) -> None:
    asleep = 0.0

    async def act(queue: WorkQueue[str], _: Diary) -> None:
        nonlocal asleep
        loop = asyncio.get_running_loop()
        queue._clock = lambda: loop.time() + asleep
        queue.add_after("a", due)
        await asyncio.sleep(10)
        asleep = 7200.0

    assert 10 <= after(act).times("a")[0] <= 10 + LONGEST_SLEEP


def test_a_timer_that_looks_at_the_clock_on_its_way_costs_no_reconcile() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        queue.add_after("a", 1000)

    assert after(act, seconds=1500).times("a") == [1000]


def test_a_failing_key_is_tried_again_after_a_back_off_that_doubles_up_to_its_limit_and_is_reset_by_success() -> None:
    async def act(queue: WorkQueue[str], diary: Diary) -> None:
        diary.errors = [ServerUnavailable(503, "x", "y") for _ in range(5)]
        queue.add("a")
        await asyncio.sleep(60)
        diary.errors = [ServerUnavailable(503, "x", "y")]
        queue.add("a")

    times = after(act, QueueOptions(backoff=1, backoff_max=4), takes=0).times("a")
    waits = [later - earlier for earlier, later in pairwise(times)]
    for wait, longest in zip(waits, [1, 2, 4, 4, 4], strict=False):
        assert longest * 0.75 <= wait <= longest
    assert len(times) == 8
    assert 0.75 <= waits[-1] <= 1


def test_what_the_server_asks_to_wait_is_the_least_back_off() -> None:
    async def act(queue: WorkQueue[str], diary: Diary) -> None:
        diary.errors = [TooManyRequests(429, "x", "y", retry_after=7)]
        queue.add("a")

    assert after(act, QueueOptions(backoff=1, backoff_max=4), takes=0).times("a") == [0, 7]


def test_during_a_back_off_an_ordinary_add_waits_and_an_urgent_one_does_not() -> None:
    async def act(queue: WorkQueue[str], diary: Diary) -> None:
        diary.errors = [ServerUnavailable(503, "x", "y", retry_after=20) for _ in range(2)]
        queue.add("a")
        queue.add("b")
        await asyncio.sleep(5)
        queue.add("a")
        queue.add("b", urgent=True)

    diary = after(act, takes=0)
    assert diary.times("a") == [0, 20]
    assert diary.times("b") == [0, 5]


@pytest.mark.parametrize("urgent", [False, True])
def test_what_is_due_during_a_back_off_waits_for_its_end(urgent: bool) -> None:
    async def act(queue: WorkQueue[str], diary: Diary) -> None:
        diary.errors = [ServerUnavailable(503, "x", "y", retry_after=20)]
        queue.add("a", urgent)
        await asyncio.sleep(2)
        queue.add_after("a", 1)

    assert after(act, takes=0).times("a") == [0, 20]


def test_an_add_during_a_reconcile_that_fails_waits_for_the_back_off() -> None:
    async def act(queue: WorkQueue[str], diary: Diary) -> None:
        diary.errors = [ServerUnavailable(503, "x", "y", retry_after=20)]
        queue.add("a")
        await asyncio.sleep(0.5)
        queue.add("a")

    assert after(act).times("a") == [0, 21]


def test_one_key_that_always_fails_holds_up_no_other() -> None:
    async def act(queue: WorkQueue[str], diary: Diary) -> None:
        async def work(key: str) -> None:
            await diary.work(key)
            if key == "bad":
                raise RuntimeError("a bug")

        queue._work = work
        queue.add("bad")
        for number in range(5):
            queue.add(f"k{number}")

    diary = after(act, QueueOptions(workers=1))
    assert {f"k{number}" for number in range(5)} <= set(diary.order)
    assert len(diary.times("bad")) > 3


def test_an_urgent_reconcile_that_fails_is_tried_again_as_an_urgent_one() -> None:
    async def act(queue: WorkQueue[str], diary: Diary) -> None:
        diary.errors = [ServerUnavailable(503, "x", "y")]
        queue.add("stop", urgent=True)
        for number in range(20):
            queue.add(f"k{number}")
        queue.add("stop")

    # While it waits for its second reconcile, an ordinary add takes nothing from it.
    assert after(act, QueueOptions(workers=1, reserved=0, backoff=3.0)).order[:5] == ["stop", "k0", "k1", "k2", "stop"]


@pytest.mark.parametrize("early", [False, True], ids=["an event", "an earlier timer"])
def test_what_comes_first_after_an_urgent_back_off_that_the_machine_slept_through_is_urgent(early: bool) -> None:
    asleep = 0.0

    async def act(queue: WorkQueue[str], diary: Diary) -> None:
        nonlocal asleep
        loop = asyncio.get_running_loop()
        queue._clock = lambda: loop.time() + asleep
        diary.errors = [TooManyRequests(429, "TooManyRequests", "later", retry_after=20)]
        queue.add("stop", urgent=True)
        await asyncio.sleep(2)
        if early:
            queue.add_after("stop", 3)
        asleep = 3600.0
        if early:
            await asyncio.sleep(2.5)
        for number in range(8):
            queue.add(f"k{number}")
        if not early:
            queue.add("stop")

    assert after(act, QueueOptions(workers=1, reserved=0)).order[:3] == ["stop", "k0", "stop"]
