"""Calls that hang take few slots, and never all of them for one group; who gets none is woken in turn."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from desist.kube.slots import Slots


def one_slot_and_three_who_want_it(woken: list[str]) -> Slots[str]:
    """The first has it, and the reconciles of all are under way; who is woken is written down."""
    slots = Slots(1, woken.append)
    for key in ("a/1", "a/2", "a/3"):
        slots.take(key, "a")
    return slots


def test_a_key_without_a_slot_is_woken_when_one_is_kept_for_it() -> None:
    woken: list[str] = []
    slots = Slots(1, woken.append)
    assert slots.take("a/1", "a")
    assert not slots.take("a/2", "a")
    slots.release("a/2")
    assert woken == []
    slots.release("a/1")
    assert woken == ["a/2"]
    assert not slots.take("a/3", "a")
    assert slots.take("a/2", "a")


def test_a_slot_that_is_kept_for_a_key_whose_reconcile_still_runs_is_its_next_ones() -> None:
    woken: list[str] = []
    slots = one_slot_and_three_who_want_it(woken)
    slots.release("a/1")
    slots.release("a/2")
    assert woken == ["a/2"], "it found none, and was still under way when one was kept for it"
    assert slots.take("a/2", "a")
    slots.release("a/2")
    assert woken == ["a/2", "a/3"]


def test_a_slot_that_is_not_used_goes_to_the_next() -> None:
    woken: list[str] = []
    slots = one_slot_and_three_who_want_it(woken)
    slots.release("a/2")
    slots.release("a/1")
    slots.release("a/2")
    assert woken == ["a/2", "a/3"]


def test_no_slot_is_kept_for_a_key_whose_reconcile_failed() -> None:
    woken: list[str] = []
    slots = one_slot_and_three_who_want_it(woken)
    slots.leave("a/2")
    slots.release("a/1")
    assert woken == ["a/3"]
    assert not slots.take("a/2", "a")
    slots.leave("a/3")
    assert woken == ["a/3", "a/2"]


def test_one_group_leaves_as_many_slots_free_as_it_holds() -> None:
    slots: Slots[str] = Slots(4, lambda key: None)
    assert [slots.take(f"a/{number}", "a") for number in range(9)].count(True) == 2
    assert [slots.take(f"b/{number}", "b") for number in range(9)].count(True) == 1
    assert slots.take("c/1", "c")
    assert not slots.take("d/1", "d")


def test_groups_take_turns_for_what_falls_free() -> None:
    woken: list[str] = []
    slots = Slots(1, woken.append)
    for key in ("a/0", "a/1", "a/2", "a/3", "b/1"):
        if not slots.take(key, key[0]):
            slots.release(key)
    for _ in range(4):
        slots.release((["a/0", *woken])[-1])
    assert woken == ["a/1", "b/1", "a/2", "a/3"]


def test_there_must_be_a_slot() -> None:
    with pytest.raises(ValueError, match="must be a slot"):
        Slots(0, print)


class Reconciles(RuleBasedStateMachine):
    """Keys come, get a slot or wait, and go; each is a reconcile that takes and then releases."""

    keys = st.tuples(st.sampled_from("abc"), st.integers(0, 6)).map(lambda drawn: f"{drawn[0]}/{drawn[1]}")

    def __init__(self) -> None:
        super().__init__()
        self.slots: Slots[str] = Slots(4, self.woken)
        self.kept: set[str] = set()
        self.wanted: set[str] = set()
        self.found_none: set[str] = set()
        """Keys whose reconcile goes on without a slot."""

    def woken(self, key: str) -> None:
        assert key in self.wanted, "woken for nothing"
        self.wanted.discard(key)
        self.kept.add(key)

    @rule(key=keys)
    def comes(self, key: str) -> None:
        if self.slots.take(key, key[0]):
            self.kept.add(key)
            self.wanted.discard(key)
            self.found_none.discard(key)
        else:
            self.wanted.add(key)
            self.found_none.add(key)

    @rule(key=keys)
    def goes(self, key: str) -> None:
        if key not in self.found_none:
            self.kept.discard(key)
        self.found_none.discard(key)
        self.slots.release(key)

    @rule(key=keys)
    def fails(self, key: str) -> None:
        self.kept.discard(key)
        self.wanted.discard(key)
        self.found_none.discard(key)
        self.slots.leave(key)

    @invariant()
    def no_slot_is_lost_and_none_is_free_for_somebody_who_waits(self) -> None:
        assert len(self.slots) == len(self.kept) <= 4
        assert self.slots.waiting == len(self.wanted)
        free = 4 - len(self.kept)
        for key in self.wanted:
            assert sum(held[0] == key[0] for held in self.kept) >= free


TestReconciles = Reconciles.TestCase
TestReconciles.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
