"""The push keys: one is made at the first start, rotated by age and by hand, and dropped when no pod names it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeVar, cast

import pytest

from desist.controller import push_ring
from desist.controller.cluster import Cluster, Outdated, SecretData, Vanished
from desist.controller.push_keys import Place, PushKeys
from desist.kube.errors import ApiError, Forbidden, NoAnswer, ServerUnavailable
from tests.unit.controller.fakes import NOW
from tests.unit.kube.virtual import run

T = TypeVar("T")
PLACE = Place("desist-system", "desist-push")
AGE = timedelta(hours=6)


@dataclass
class Secret:
    """Stands in for the cluster: one Secret, whose version counts its changes."""

    data: dict[str, str] = field(default_factory=dict)
    version: int = 1
    refuses: Exception | None = None
    slow: float = 0.0
    asked: list[tuple[float, str]] = field(default_factory=list)
    before_change: Callable[[], None] = lambda: None

    @property
    def cluster(self) -> Cluster:
        return cast(Cluster, self)

    async def secret(self, namespace: str, name: str) -> SecretData:
        await self._ask("get", namespace, name)
        return SecretData(str(self.version), dict(self.data))

    async def change_secret(self, namespace: str, name: str, version: str, changes: push_ring.Changes) -> SecretData:
        await self._ask("patch", namespace, name)
        self.before_change()
        if version != str(self.version):
            raise Outdated(version)
        self.change(changes)
        return SecretData(str(self.version), dict(self.data))

    def change(self, changes: push_ring.Changes) -> None:
        self.version += 1
        for name, value in changes.items():
            self.data.pop(name, None)
            self.data |= {} if value is None else {name: value}

    async def _ask(self, verb: str, *place: str) -> None:
        assert place == (PLACE.namespace, PLACE.name)
        self.asked.append((asyncio.get_running_loop().time(), verb))
        await asyncio.sleep(self.slow)
        if self.refuses is not None:
            raise self.refuses

    @property
    def ids(self) -> set[str]:
        return set(push_ring.read(self.data).keys)


class Operator:
    """A controller's keys, started and running, on a clock that jumps."""

    def __init__(self, secret: Secret, rotate_after: timedelta | None = AGE, place: Place | None = PLACE) -> None:
        self.named: set[str] = set()
        self.keys = PushKeys(secret.cluster, place, rotate_after, lambda: self.named, self.now)

    def now(self) -> datetime:
        return NOW + timedelta(seconds=asyncio.get_running_loop().time())

    async def started(self) -> None:
        await self.keys.load()
        self.running = asyncio.create_task(self.keys.run())

    @property
    def current(self) -> str:
        return self.keys.current.id if self.keys.current else ""


def after(act: Callable[[], Awaitable[T]]) -> T:
    async def whole() -> T:
        return await act()

    return run(whole())


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


FORBIDDEN = Forbidden(403, "Forbidden", "no")


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


LOST: list[ApiError] = [
    ServerUnavailable(0, "Unreachable", "x"),
    NoAnswer(0, "T", "x"),
    ServerUnavailable(503, "S", "x"),
]


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
