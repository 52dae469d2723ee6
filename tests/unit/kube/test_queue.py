"""The queue's contract, sentence by sentence, on a clock that jumps."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable

import pytest

from desist.kube.queue import QueueOptions, WorkQueue
from tests.unit.kube.diary import Diary, after
from tests.unit.kube.virtual import run


def test_adds_of_a_waiting_key_are_one_reconcile() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        for key in ("busy", "a", "b", "a", "b", "a"):
            queue.add(key)

    assert after(act, QueueOptions(workers=1)).order == ["busy", "a", "b"]


@pytest.mark.parametrize("times", [1, 2, 5])
def test_adds_during_a_reconcile_guarantee_exactly_one_more_after_it(times: int) -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        queue.add("a")
        await asyncio.sleep(0.5)
        for _time in range(times):
            queue.add("a")

    assert after(act).times("a") == [0, 1]


def test_an_add_by_the_reconcile_itself_leads_to_one_more() -> None:
    async def act(queue: WorkQueue[str], diary: Diary) -> None:
        async def work(key: str) -> None:
            await diary.work(key)
            if len(diary.began) < 3:
                queue.add(key)

        queue._work = work
        queue.add("a")

    assert after(act).times("a") == [0, 1, 2]


def test_one_key_has_one_reconcile_at_a_time_and_many_keys_have_as_many_as_there_are_workers() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        for number in range(10):
            queue.add(f"k{number}")
            queue.add(f"k{number}")

    diary = after(act, QueueOptions(workers=4))
    assert diary.at_once == 4
    assert sorted(set(diary.order)) == sorted(f"k{number}" for number in range(10))


def test_an_urgent_key_overtakes_all_that_wait() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        for key in ("busy", "a", "b", "c"):
            queue.add(key)
        queue.add("c", urgent=True)
        queue.add("d", urgent=True)

    assert after(act, QueueOptions(workers=1, reserved=0)).order == ["busy", "c", "d", "a", "b"]


def test_an_urgent_key_stays_urgent_when_it_is_added_again() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        queue.add("busy")
        queue.add("a")
        queue.add("b", urgent=True)
        queue.add("b")

    assert after(act, QueueOptions(workers=1, reserved=0)).order == ["busy", "b", "a"]


def test_reconciles_that_hang_leave_places_to_urgent_keys() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        for key in ("h1", "h2", "h3"):
            queue.add(key)
        await asyncio.sleep(1)
        queue.add("stop", urgent=True)
        queue.add("other", urgent=True)

    diary = after(act, QueueOptions(workers=2, reserved=1), takes=50, seconds=300)
    assert diary.times("stop") == [1]
    assert diary.times("other")[0] >= 50


@pytest.mark.parametrize("groups", [1, 50])
@pytest.mark.parametrize(("workers", "reserved"), [(1, 1), (1, 4), (4, 0), (16, 4)])
def test_urgent_reconciles_that_hang_leave_a_place_to_ordinary_keys(workers: int, reserved: int, groups: int) -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        queue._group_of = lambda key: int(key[1:]) % groups
        for number in range(50):
            queue.add(f"h{number}", urgent=True)
        await asyncio.sleep(1)
        for number in range(3):
            queue.add(f"k{number}")

    diary = after(act, QueueOptions(workers=workers, reserved=reserved), takes=50, seconds=160)
    assert diary.times("k0") == [1]
    assert diary.times("k2")[0] <= 101


def test_an_urgent_add_during_a_reconcile_makes_the_next_one_urgent() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        queue.add("a")
        queue.add("b")
        await asyncio.sleep(0.5)
        queue.add("a", urgent=True)

    assert after(act, QueueOptions(workers=1, reserved=0)).order == ["a", "a", "b"]


def test_stop_begins_no_reconcile_lets_the_running_end_and_cuts_the_late() -> None:
    async def play() -> tuple[frozenset[str], Diary, float]:
        diary = Diary()
        queue = WorkQueue(diary.work, QueueOptions(workers=2))

        async def work(key: str) -> None:
            diary.takes = {"short": 1.0, "long": 50.0}.get(key, 1.0)
            await diary.work(key)

        queue._work = work
        for key in ("short", "long", "waiting"):
            queue.add(key)
        queue.add_after("timed", 2)
        await asyncio.sleep(0.1)
        queue.add("short")
        cut = await queue.stop(3)
        queue.add("late")
        stopped = asyncio.get_running_loop().time()
        await asyncio.sleep(20)
        return cut, diary, stopped

    cut, diary, stopped = run(play())
    assert cut == {"long"}
    assert diary.order == ["short", "long"]
    assert [key for _, key in diary.ended] == ["short"]
    assert stopped == pytest.approx(3.1)


def test_a_reconcile_does_not_inherit_the_context_of_whoever_added_its_key() -> None:
    field = contextvars.ContextVar("field", default="none")
    seen: list[str] = []

    async def play() -> None:
        async def work(key: str) -> None:
            seen.append(field.get())

        queue = WorkQueue(work)
        field.set("another key's")
        queue.add("a")
        await asyncio.sleep(1)

    run(play())
    assert seen == ["none"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: QueueOptions(workers=0),
        lambda: QueueOptions(reserved=-1),
        lambda: QueueOptions(aside=-1),
        lambda: QueueOptions(backoff=0.0),
        lambda: QueueOptions(backoff=2.0, backoff_max=1.0),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: Callable[[], QueueOptions]) -> None:
    with pytest.raises(ValueError, match="make no queue"):
        wrong()


Leaves = Callable[[str], float | None]


def leaving(options: QueueOptions, when: Leaves, count: int) -> Diary:
    """Reconciles of a second each, of which some leave their place after a while."""

    async def act(queue: WorkQueue[str], diary: Diary) -> None:
        async def work(key: str) -> None:
            if (moment := when(key)) is not None:
                asyncio.get_running_loop().call_later(moment, queue.leave, key)
            await diary.work(key)

        queue._work = work
        for number in range(count):
            queue.add(f"k{number}", urgent=True)

    return after(act, options)


def test_a_reconcile_that_leaves_its_place_goes_on_and_another_begins() -> None:
    diary = leaving(QueueOptions(workers=1, reserved=0), lambda key: 0.25 if key == "k0" else None, 3)
    assert diary.began == [(0, "k0"), (0.25, "k1"), (1.25, "k2")]
    assert diary.ended == [(1, "k0"), (1.25, "k1"), (2.25, "k2")]


def test_one_that_has_left_gives_no_place_back_a_second_time() -> None:
    # One of the three is kept for ordinary keys.
    diary = leaving(QueueOptions(workers=3, reserved=0), lambda key: 0.5 if key == "k0" else None, 8)
    assert diary.at_once == 3
    assert [time for time, _ in diary.began] == [0, 0, 0.5, 1, 1.5, 2, 2.5, 3]


def test_no_more_are_aside_than_there_may_be() -> None:
    diary = leaving(QueueOptions(workers=1, reserved=0, aside=2), lambda key: 0.1, 6)
    assert diary.at_once == 3


def test_a_key_that_has_left_its_place_still_has_one_reconcile_at_a_time() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        queue.add("a")
        await asyncio.sleep(0.1)
        queue.leave("a")
        queue.leave("a")
        queue.add("a", urgent=True)

    assert after(act, QueueOptions(workers=1)).times("a") == [0, 1]


def test_leaving_without_a_reconcile_is_nothing() -> None:
    async def act(queue: WorkQueue[str], _: Diary) -> None:
        queue.leave("a")
        queue.add("a")

    assert after(act, QueueOptions(workers=1)).times("a") == [0]
