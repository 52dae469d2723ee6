"""Push keys that are not to be had: a Secret that is away, refused, wrong or slow is said once, and ends nothing."""

from __future__ import annotations

import asyncio

import pytest

from desist.controller import push_ring
from desist.controller.cluster import Vanished
from desist.kube.errors import ApiError, Forbidden, NoAnswer, ServerUnavailable
from tests.unit.controller.fakes import NOW
from tests.unit.controller.push_secret import AGE, Operator, Secret, after

FORBIDDEN = Forbidden(403, "Forbidden", "no")
LOST: list[ApiError] = [
    ServerUnavailable(0, "Unreachable", "x"),
    NoAnswer(0, "T", "x"),
    ServerUnavailable(503, "S", "x"),
]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Vanished("x"), "push is off: there is no Secret desist-system/desist-push"),
        (FORBIDDEN, "push is off: the Secret desist-system/desist-push cannot be read: 403 Forbidden: no"),
    ],
)
def test_a_secret_that_is_not_to_be_had_is_said_once_and_asked_for_seldom_and_found_when_it_is_there(
    error: Exception, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = Secret(refuses=error)

    async def act() -> None:
        made = Operator(secret)
        await made.started()
        await asyncio.sleep(3600)
        assert made.current == ""
        assert made.keys.get("0a1b2c3d") is None
        assert 10 < len(secret.asked) < 22
        secret.refuses = None
        await asyncio.sleep(301)
        assert made.current != ""

    after(act)
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [words]


def test_a_current_that_is_no_key_is_said_and_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret()
    secret.change({**push_ring.new_key(NOW), "current": "MGExYjJjM2Q="})
    held = dict(secret.data)

    async def act() -> None:
        made = Operator(secret)
        await made.started()
        await asyncio.sleep(3600)
        assert (made.current, secret.data) == ("", held)

    after(act)
    (said,) = (r.getMessage() for r in caplog.records if r.levelname == "WARNING")
    assert "current names '0a1b2c3d', which is no key there" in said


@pytest.mark.parametrize("error", LOST)
def test_while_the_api_server_is_away_what_is_known_counts(error: ApiError, caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret()

    async def act() -> None:
        made = Operator(secret)
        await made.started()
        key = made.current
        secret.refuses = error
        await asyncio.sleep(3600)
        assert made.current == key

    after(act)
    (said,) = (r.getMessage() for r in caplog.records if r.levelname == "WARNING")
    assert said.endswith("push goes on with the keys that are known")


def test_a_rotation_that_is_refused_is_said_once_and_leaves_the_key_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret()

    async def act() -> None:
        made = Operator(secret)
        await made.started()
        key = made.current

        def refuse() -> None:
            raise FORBIDDEN

        secret.before_change = refuse
        await asyncio.sleep(2 * AGE.total_seconds())
        assert made.current == key

    after(act)
    (said,) = (r.getMessage() for r in caplog.records if r.levelname == "WARNING")
    assert said == "the Secret desist-system/desist-push: it cannot be changed: 403 Forbidden: no"


@pytest.mark.parametrize("error", [Vanished("x"), FORBIDDEN])
def test_a_secret_that_is_taken_away_takes_push_away(error: Exception) -> None:
    secret = Secret()

    async def act() -> None:
        made = Operator(secret)
        await made.started()
        old = made.current
        secret.refuses = error
        await asyncio.sleep(61)
        assert (made.current, made.keys.get(old)) == ("", None)

    after(act)


def test_the_start_waits_a_moment_for_it_and_no_longer(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(slow=10)

    async def act() -> float:
        made = Operator(secret)
        await made.started()
        waited = asyncio.get_running_loop().time()
        assert made.current == ""
        await asyncio.sleep(60)
        assert made.current != ""
        return waited

    assert after(act) == 2.0


def test_what_fails_in_an_unknown_way_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(refuses=KeyError("metadata"))

    async def act() -> bool:
        made = Operator(secret)
        await made.started()
        await asyncio.sleep(600)
        return made.running.done()

    assert not after(act)
    assert sum(r.levelname == "WARNING" for r in caplog.records) == 1
