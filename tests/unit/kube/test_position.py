"""Where a watch goes on, and when it cannot."""

from __future__ import annotations

import pytest

from desist.kube.errors import ServerUnavailable, error_from
from desist.kube.position import REFUSED, Position, refuses
from desist.kube.wire import NOT_AN_EVENT


def refused(position: Position, times: int) -> list[bool]:
    return [position.refused() for _ in range(times)]


def test_a_version_is_given_up_after_so_many_refusals_in_a_row() -> None:
    position = Position()
    position.reach("7")
    assert refused(position, REFUSED) == [False] * (REFUSED - 1) + [True]


def test_a_step_on_begins_the_row_anew_and_the_same_version_once_more_does_not() -> None:
    position = Position()
    position.reach("7")
    refused(position, REFUSED - 1)
    position.reach("8")
    assert refused(position, REFUSED - 1) == [False] * (REFUSED - 1)
    position.reach("8")
    assert position.refused()


def test_where_nothing_is_known_nothing_can_be_given_up() -> None:
    position = Position()
    assert not any(refused(position, 2 * REFUSED))
    position.reach("7")
    assert not position.refused()
    position.lose()
    assert (position.version, position.refused()) == ("", False)


@pytest.mark.parametrize("status", [400, 422, 500, 504])
def test_the_server_has_refused_the_watch(status: int) -> None:
    assert refuses(error_from(status, b'{"kind":"Status"}'))


@pytest.mark.parametrize("status", [302, 400, 403, 410, 422])
def test_a_page_of_a_proxy_has_refused_nothing(status: int) -> None:
    assert not refuses(error_from(status, b"<h1>no</h1>"))


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
def test_a_server_that_is_busy_or_away_or_does_not_know_us_has_refused_nothing(status: int) -> None:
    assert not refuses(error_from(status, b""))


def test_a_lost_connection_is_no_refusal_and_something_that_is_no_event_is() -> None:
    assert not refuses(ServerUnavailable(0, "ServerDisconnectedError", "gone"))
    assert refuses(ServerUnavailable(0, NOT_AN_EVENT, "a proxy's page"))
