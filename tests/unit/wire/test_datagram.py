"""The datagram: a stop that always fits, and an answer that is taken by its shape."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desist.api.vocabulary import Mode
from desist.lifecycle.observed.pushes import PushAnswer
from desist.lifecycle.wire import datagram, mailbox
from tests.unit.wire.builders import NOW, stop

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=1024)
NONCE = "0123456789abcdef" * 2
ANSWER: dict[str, Any] = {
    "nonce": NONCE,
    "podUid": "8a4b0b8e-5d0c-4a53-a2b1-0f6a1d4e9c11",
    "commandId": "01KB0Q8Z9T4N7V2M5X1C3R6W8D",
    "sequence": 2,
    "did": "told",
    "told": 3,
    "refused": 1,
    "mainEnded": True,
    "left": 2,
}


def written(text: str | None) -> dict[str, Any]:
    assert text is not None
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_stop_is_the_mailboxs_without_details_and_without_the_time_of_a_repeat() -> None:
    whole = stop(Mode.KILL, 7, reason="why", details="what", repeated_at=NOW)
    assert datagram.stop_text(whole) == mailbox.render(replace(whole, details=None, repeated_at=None))


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        (None, None),
        ("", ""),
        ("x" * 256, 256),
        ("x" * 257, 256),
        ("é" * 128, 128),
        ("xé" * 128, 171),  # 85 times three bytes, and one
        ("€" * 86, 85),
        ("\N{GRINNING FACE}" * 70, 64),
        ("\n" * 129, 128),  # two bytes each, as JSON has it
        ("\x01" * 43, 42),  # six bytes each
        ('"' * 129, 128),
        ("x" + "\x01" * 43, 43),
    ],
)
def test_a_reason_is_cut_to_so_many_bytes_between_characters(reason: str | None, kept: int | str | None) -> None:
    found = written(datagram.stop_text(stop(reason=reason))).get("reason")
    expected = reason[:kept] if reason is not None and isinstance(kept, int) else kept
    assert found == expected


@given(TEXTS)
def test_what_is_cut_is_the_beginning_and_as_much_as_fits(reason: str) -> None:
    text = datagram.stop_text(stop(reason=reason))
    assert text is not None
    found = json.loads(text)["reason"]
    assert reason.startswith(found)
    size = len(json.dumps(found, ensure_ascii=False).encode()) - 2
    more = json.dumps(reason[: len(found) + 1], ensure_ascii=False).encode()
    assert size <= 256 and (found == reason or len(more) - 2 > 256)
    assert mailbox.parse(text) == stop(reason=found)


@given(TEXTS, st.sampled_from(list(Mode)), st.one_of(st.none(), st.floats(0, 3.2e8)), st.integers(1, 2**53 - 1))
def test_a_whole_datagram_fits_whatever_is_asked(reason: str, mode: Mode, grace: float | None, sequence: int) -> None:
    asked = stop(mode, grace, reason=reason, details=reason, sequence=sequence, signal="SIGRTMIN+15")
    body = datagram.body(NONCE, datagram.stop_text(asked) or "")
    assert datagram.BEFORE_BODY + len(body) <= datagram.SIZE_LIMIT
    assert json.loads(body)["nonce"] == NONCE


def test_what_does_not_fit_is_not_pushed() -> None:
    huge = "\x01" * 64
    assert datagram.stop_text(stop(command_id=huge, run_id=huge, signal="\x01" * 16, reason=huge)) is None
    assert datagram.stop_text(stop(command_id=huge)) is not None


def test_half_of_a_pair_is_no_reason_to_fail() -> None:
    text = datagram.stop_text(stop(reason="\ud800"))
    assert text is not None and datagram.body(NONCE, text)


def test_an_answer_is_read() -> None:
    found = datagram.parse_answer(json.dumps(ANSWER).encode(), NOW)
    answer = PushAnswer(ANSWER["commandId"], 2, "told", told=3, refused=1, main_ended=True, left=2, at=NOW)
    assert found == (NONCE, ANSWER["podUid"], answer)


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "a" * 33},
        {"nonce": "a" * 31},
        {"nonce": "A" * 32},
        {"nonce": None},
        {"podUid": 5},
        {"commandId": ""},
        {"sequence": 0},
        {"sequence": True},
        {"did": ""},
        {"left": -1},
        {"left": 2**31},
        {"told": 1.5},
        {"mainEnded": "yes"},
    ],
)
def test_an_answer_of_another_shape_is_none(wrong: dict[str, Any]) -> None:
    assert datagram.parse_answer(json.dumps(ANSWER | wrong).encode(), NOW) is None


@pytest.mark.parametrize("missing", ANSWER)
def test_an_answer_has_all_of_it(missing: str) -> None:
    less = {key: value for key, value in ANSWER.items() if key != missing}
    assert datagram.parse_answer(json.dumps(less).encode(), NOW) is None


@given(st.binary(max_size=200))
def test_bytes_of_anybodys_are_no_answer_and_no_error(data: bytes) -> None:
    assert datagram.parse_answer(data, NOW) is None
