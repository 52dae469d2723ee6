"""The queue's contract, sentence by sentence, on a clock that jumps."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from desist.kube.errors import ServerUnavailable, TooManyRequests
from desist.kube.queue import LONGEST_SLEEP, QueueOptions, WorkQueue
from tests.unit.kube.virtual import run

Act = Callable[[WorkQueue[str], "Diary"], Awaitable[None]]


class Diary:
    """Reconciles that take a while; writes down when each began and ended."""

    def __init__(self, takes: float = 1.0) -> None:
        self.began: list[tuple[float, str]] = []
        self.ended: list[tuple[float, str]] = []
        self.takes = takes
        self.errors: list[Exception] = []
        self.at_once = 0
        self._now: list[str] = []

    async def work(self, key: str) -> None:
        time = asyncio.get_running_loop().time
        self.began.append((time(), key))
        assert key not in self._now, f"two reconciles of {key} at a time"
        self._now.append(key)
        self.at_once = max(self.at_once, len(self._now))
        try:
            await asyncio.sleep(self.takes)
            if self.errors:
                raise self.errors.pop(0)
        finally:
            self._now.remove(key)
        self.ended.append((time(), key))

    @property
    def order(self) -> list[str]:
        return [key for _, key in self.began]

    def times(self, key: str) -> list[float]:
        return [round(time, 6) for time, began in self.began if began == key]


def after(act: Act, options: QueueOptions | None = None, takes: float = 1.0, seconds: float = 100) -> Diary:
    """The diary of a queue that `act` used and that then had time."""
    diary = Diary(takes)

    async def play() -> None:
        queue = WorkQueue(diary.work, options)
        await act(queue, diary)
        await asyncio.sleep(seconds)
        await queue.stop(1)

    run(play())
    return diary


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


def test_forget_drops_timer_and_back_off() -> None:
    async def act(queue: WorkQueue[str], diary: Diary) -> None:
        diary.errors = [ServerUnavailable(503, "x", "y", retry_after=20)]
        queue.add("a")
        await asyncio.sleep(5)
        queue.forget("a")

    assert after(act).times("a") == [0]


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
        lambda: QueueOptions(backoff=0.0),
        lambda: QueueOptions(backoff=2.0, backoff_max=1.0),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: Callable[[], QueueOptions]) -> None:
    with pytest.raises(ValueError, match="make no queue"):
        wrong()
