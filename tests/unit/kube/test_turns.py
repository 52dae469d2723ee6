"""Groups take turns: whoever has many keys waits for itself, whatever the others add."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desist.kube.queue import QueueOptions, WorkQueue
from desist.kube.turns import Turns
from tests.unit.kube.virtual import run

ONE = QueueOptions(workers=1, reserved=0)
Asked = Sequence[tuple[str, bool]]
"""Keys (`group/number`) and whether they are urgent, in the order in which they are added."""


def order(asked: Asked, options: QueueOptions = ONE) -> list[str]:
    """Keys in the order of their reconciles, each of which takes a second."""
    began: list[str] = []

    async def work(key: str) -> None:
        began.append(key)
        await asyncio.sleep(1)

    async def play() -> None:
        queue = WorkQueue(work, options, lambda key: key.partition("/")[0])
        queue.add("busy/0", urgent=True)
        for key, urgent in asked:
            queue.add(key, urgent)
        await asyncio.sleep(len(asked) + 2)
        await queue.stop(1)

    run(play())
    return began[1:]


def of(group: str, count: int, urgent: bool = False) -> list[tuple[str, bool]]:
    return [(f"{group}/{number}", urgent) for number in range(count)]


@pytest.mark.parametrize("urgent", [False, True])
def test_a_group_with_ten_thousand_keys_delays_anothers_key_by_one_turn(urgent: bool) -> None:
    began: list[str] = []

    async def play() -> None:
        async def work(key: str) -> None:
            began.append(key)
            await asyncio.sleep(1)

        queue = WorkQueue(work, QueueOptions(workers=4, reserved=0), lambda key: key.partition("/")[0])
        for key, _ in of("a", 10_000):
            queue.add(key, urgent)
        queue.add("b/0", urgent)
        await asyncio.sleep(1.5)
        await queue.stop(1)

    run(play())
    assert began.index("b/0") <= 4


def test_groups_alternate_whatever_each_of_them_has() -> None:
    assert order([*of("a", 4), *of("b", 2), *of("c", 1)]) == ["a/0", "b/0", "c/0", "a/1", "b/1", "a/2", "a/3"]


def test_an_urgent_key_overtakes_the_ordinary_ones_of_its_own_group_and_of_others() -> None:
    assert order([*of("a", 2), *of("b", 2), ("a/9", True)])[0] == "a/9"


def test_urgent_keys_that_never_end_leave_one_reconcile_in_eight_to_the_others() -> None:
    began = order([*of("a", 40, urgent=True), *of("b", 3)])
    assert began.index("b/0") <= 8
    assert began.index("b/2") <= 24


def test_a_group_whose_reconciles_hang_leaves_places_to_the_others() -> None:
    began: dict[str, float] = {}

    async def play() -> None:
        async def work(key: str) -> None:
            began[key] = asyncio.get_running_loop().time()
            await asyncio.sleep(1000 if key.startswith("slow") else 1)

        queue = WorkQueue(work, QueueOptions(workers=16, reserved=0), lambda key: key.partition("/")[0])
        for key, _ in [*of("slow", 100), *of("slower", 100)]:
            queue.add(key)
        await asyncio.sleep(5)
        for key, _ in of("b", 3):
            queue.add(key)
        await asyncio.sleep(10)
        await queue.stop(0)

    run(play())
    assert sum(key.startswith("slow") for key in began) < 16
    assert all(began[key] <= 8 for key, _ in of("b", 3))


def test_a_group_that_is_alone_still_gets_most_places() -> None:
    at_once: list[int] = []

    async def play() -> None:
        async def work(key: str) -> None:
            await asyncio.sleep(1)

        queue = WorkQueue(work, QueueOptions(workers=16, reserved=0), lambda key: "a")
        for number in range(100):
            queue.add(str(number))
        at_once.append(queue.running)
        await queue.stop(1)

    run(play())
    assert at_once == [12]


asked = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9), st.booleans()), max_size=60).map(
    lambda drawn: [(f"{group}/{number}", urgent) for group, number, urgent in drawn]
)


@given(asked)
def test_no_key_waits_for_more_than_its_turns(asked: Asked) -> None:
    began = order(asked)
    assert sorted(began) == sorted({key for key, _ in asked})
    urgent = {key for key, urgently in asked if urgently}
    groups = {key.partition("/")[0] for key in urgent}
    ahead: Counter[str] = Counter()
    for place, key in enumerate(key for key in began if key in urgent):
        group = key.partition("/")[0]
        ahead[group] += 1
        # Each turn of its group: at most one key of each other group before it.
        assert place < ahead[group] * len(groups)
        assert began.index(key) <= place + place // 7 + 1


@given(st.lists(st.tuples(st.sampled_from(["add", "discard", "take"]), st.sampled_from("abc"), st.integers(0, 4))))
def test_turns_hold_what_was_added_and_not_taken(acts: list[tuple[str, str, int]]) -> None:
    turns: Turns[str] = Turns()
    held: set[str] = set()
    for act, group, number in acts:
        key = f"{group}{number}"
        if act == "add":
            turns.add(key, group)
            held.add(key)
        elif act == "discard":
            turns.discard(key)
            held.discard(key)
        else:
            taken = turns.take(lambda asked, mine=group: asked == mine)  # type: ignore[misc]
            mine = {key for key in held if key[0] == group}
            assert (taken is None) == (not mine)
            if taken is not None:
                assert taken[0] in mine
                held.discard(taken[0])
        assert len(turns) == len(held)
        assert all(key in turns for key in held)
