"""The push keys: one is made at the first start, rotated by age and by hand, and dropped when no pod names it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from desist.controller import push_ring
from tests.unit.controller.fakes import NOW
from tests.unit.controller.push_secret import AGE, Operator, Secret, after


def test_the_first_start_makes_a_key_and_the_next_one_takes_it() -> None:
    secret = Secret()

    async def act() -> None:
        first, second = Operator(secret), Operator(secret)
        await first.started()
        await second.started()
        assert first.current == second.current != ""
        assert secret.ids == {first.current}
        assert [verb for _, verb in secret.asked] == ["get", "patch", "get"]

    after(act)


def test_of_two_controllers_that_start_at_once_one_makes_the_key_and_both_use_it() -> None:
    secret = Secret(slow=0.01)

    async def act() -> None:
        both = Operator(secret), Operator(secret)
        await asyncio.gather(*(each.started() for each in both))
        assert both[0].current == both[1].current != ""
        assert secret.ids == {both[0].current}

    after(act)


def test_a_key_is_replaced_by_age_and_the_old_one_stays_until_no_pod_names_it() -> None:
    secret = Secret()

    async def act() -> None:
        made = Operator(secret)
        await made.started()
        old = made.current
        made.named = {old}
        await asyncio.sleep(AGE.total_seconds() + 120)
        new = made.current
        assert new not in ("", old)
        assert (secret.ids, made.keys.get(old) is not None) == ({old, new}, True)
        await asyncio.sleep(3600)
        assert secret.ids == {old, new}
        made.named = {new}
        await asyncio.sleep(120)
        assert secret.ids == {new}
        assert made.keys.get(old) is None

    after(act)


def test_an_old_key_stays_for_a_while_whatever_pods_name() -> None:
    """A create that is on its way, and another controller, may still go by it."""
    secret = Secret()

    async def act() -> None:
        made = Operator(secret)
        await made.started()
        secret.change({"current": None})
        await asyncio.sleep(599)
        assert len(secret.ids) == 2
        await asyncio.sleep(181)
        assert secret.ids == {made.current}

    after(act)


@pytest.mark.parametrize(("ahead", "kept"), [(timedelta(minutes=59), True), (timedelta(days=3000), False)])
def test_a_key_that_a_wrong_clock_has_made_is_replaced_at_once_and_by_one_controller_alone(
    ahead: timedelta, kept: bool
) -> None:
    secret = Secret()

    async def act() -> None:
        secret.change(push_ring.new_key(NOW + ahead))
        (of_the_future,) = secret.ids
        both = Operator(secret), Operator(secret)
        for each in both:
            await each.started()
        assert {each.current == of_the_future for each in both} == {kept}
        await asyncio.sleep(300)
        assert both[0].current == both[1].current
        assert len([verb for _, verb in secret.asked if verb == "patch"]) == (0 if kept else 1)

    after(act)


def test_without_an_age_nothing_is_replaced_but_by_hand() -> None:
    secret = Secret()

    async def act() -> None:
        made = Operator(secret, rotate_after=None)
        await made.started()
        first = made.current
        await asyncio.sleep(10 * AGE.total_seconds())
        assert made.current == first
        secret.change({"current": None})
        await asyncio.sleep(61)
        assert made.current not in ("", first)

    after(act)


def test_another_controllers_key_is_found_soon_after_a_pod_has_named_it() -> None:
    secret = Secret()

    async def act() -> None:
        made = Operator(secret)
        await made.started()
        await asyncio.sleep(10)
        secret.change(push_ring.new_key(NOW))
        (new,) = secret.ids - {made.current}
        for _ in range(100):
            if made.keys.get(new) is not None:
                break
            await asyncio.sleep(0.1)
        assert made.current == new
        asked = [at for at, _ in secret.asked]
        assert all(later - sooner >= 5 for sooner, later in pairwise(asked[1:]))

    after(act)


def test_where_push_is_off_nobody_is_asked_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret()

    async def act() -> bool:
        made = Operator(secret, place=None)
        await made.started()
        assert (made.current, made.keys.get("0a1b2c3d")) == ("", None)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(made.running), 0)
        return made.running.done()

    assert not after(act)
    assert (secret.asked, caplog.records) == ([], [])


def test_no_line_of_the_log_holds_a_private_half(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    secret = Secret()

    async def act() -> None:
        made = Operator(secret)
        await made.started()
        secret.change({"current": None})
        await asyncio.sleep(1200)

    after(act)
    assert caplog.records
    assert not [text for text in secret.data.values() if text in caplog.text]
