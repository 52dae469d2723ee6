from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desist.api.vocabulary import Mode
from desist.lifecycle.wire.mailbox import (
    HIGHEST_SEQUENCE,
    LONGEST_GRACE,
    Stop,
    above,
    merge,
    parse,
    render,
    repeat_at,
    repeated,
)
from tests.unit.wire.builders import NOW, RUN_ID, stop

WORDS = st.text(st.characters(codec="utf-8"), max_size=20)
STOPS = st.builds(
    Stop,
    sequence=st.integers(1, 10_000),
    run_id=st.just(RUN_ID),
    command_id=WORDS.filter(bool),
    mode=st.sampled_from(Mode),
    signal=st.sampled_from(["SIGTERM", "SIGINT"]),
    grace_seconds=st.none() | st.floats(0, 3600) | st.integers(0, 3600).map(float),
    reason=st.none() | WORDS,
    details=st.none() | WORDS,
    posted_at=st.floats(-3600, 3600).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    repeated_at=st.none() | st.floats(0, 3600).map(lambda seconds: NOW + timedelta(seconds=seconds)),
)


def due(given_stop: Stop) -> datetime:
    return given_stop.deadline or datetime.max.replace(tzinfo=UTC)


def merged(present: Stop, wanted: Stop) -> Stop:
    """What holds after a merge, posted or not."""
    return merge(present, wanted) or present


@given(STOPS)
def test_what_is_rendered_is_read_back_as_it_was(posted: Stop) -> None:
    assert parse(render(posted)) == posted


@given(STOPS, STOPS)
def test_a_posting_is_never_weaker_than_what_is_there_nor_than_what_is_wanted(present: Stop, wanted: Stop) -> None:
    held = merged(present, wanted)
    assert held.mode.strength == max(present.mode.strength, wanted.mode.strength)


@given(STOPS, STOPS)
def test_a_deadline_never_moves_away(present: Stop, wanted: Stop) -> None:
    assert due(merged(present, wanted)) == min(due(present), due(wanted))


@given(STOPS, STOPS)
def test_grace_and_time_come_from_one_posting(present: Stop, wanted: Stop) -> None:
    held = merged(present, wanted)
    assert (held.grace_seconds, held.posted_at) in [(s.grace_seconds, s.posted_at) for s in (present, wanted)]


@given(STOPS, STOPS)
def test_what_was_posted_once_is_not_posted_again(present: Stop, wanted: Stop) -> None:
    held = merged(present, wanted)
    assert merge(held, wanted) is None
    assert merge(held, present) is None


@given(STOPS, STOPS)
def test_the_sequence_rises_with_each_posting_and_the_signal_is_never_taken_over(present: Stop, wanted: Stop) -> None:
    posting = merge(present, wanted)
    if posting is not None:
        assert posting.sequence == max(wanted.sequence, present.sequence + 1)
        assert posting.signal == wanted.signal


@given(STOPS, STOPS, st.integers(HIGHEST_SEQUENCE - 2, HIGHEST_SEQUENCE))
def test_what_is_posted_after_any_valid_posting_is_valid(present: Stop, wanted: Stop, sequence: int) -> None:
    present = replace(present, sequence=sequence)
    assert parse(render(present)) == present
    for posting in (merge(present, wanted), above(wanted, present)):
        if posting is not None:
            assert parse(render(posting)) == posting
            assert posting.sequence > present.sequence or posting.sequence == HIGHEST_SEQUENCE


@given(st.lists(STOPS, min_size=1, max_size=6))
def test_any_number_of_stops_in_any_order_ends_at_the_strongest_mode_and_the_earliest_deadline(
    stops: list[Stop],
) -> None:
    held: Stop | None = None
    for wanted in stops:
        held = merge(held, wanted) or held
    assert held is not None
    assert held.mode.strength == max(wanted.mode.strength for wanted in stops)
    assert due(held) == min(due(wanted) for wanted in stops)


@given(STOPS)
def test_the_first_posting_is_the_wanted_stop(wanted: Stop) -> None:
    assert merge(None, wanted) == replace(wanted, repeated_at=None)


@given(STOPS, STOPS)
def test_a_new_posting_was_not_repeated_yet(present: Stop, wanted: Stop) -> None:
    posting = merge(present, wanted)
    assert posting is None or posting.repeated_at is None


@given(STOPS)
def test_a_posting_is_repeated_at_each_time_once(posted: Stop) -> None:
    held, seen = replace(posted, repeated_at=None), []
    while (due := repeat_at(held, (3.0, 20.0))) is not None:
        seen.append((due - held.posted_at).total_seconds())
        held = repeated(held, due)
    assert seen == [3, 20]
    assert replace(held, repeated_at=None) == replace(posted, repeated_at=None)


KILL = stop(Mode.KILL, 30)
MERGES: list[tuple[str, Stop, Stop, tuple[Mode, float | None, float] | None]] = [
    ("the same again", stop(), stop(after=5), None),
    ("a weaker one", stop(Mode.TERMINATE, 0), stop(Mode.CANCEL, after=5), None),
    ("the same with a later deadline", KILL, stop(Mode.KILL, 30, after=5), None),
    ("Cancel becomes Kill", stop(), stop(Mode.KILL, 5, after=9), (Mode.KILL, 5, 9)),
    ("Cancel becomes Force", stop(), stop(Mode.FORCE, 0, after=9), (Mode.FORCE, 0, 9)),
    ("Force becomes Kill: its SIGKILL was due at once", stop(Mode.FORCE, 0), stop(Mode.KILL, 5, 9), (Mode.KILL, 0, 0)),
    ("a shorter grace that ends earlier", KILL, stop(Mode.KILL, 5, after=9), (Mode.KILL, 5, 9)),
    ("a shorter grace that ends later", KILL, stop(Mode.KILL, 20, after=19), None),
    ("a weaker mode with an earlier deadline", KILL, stop(Mode.TERMINATE, 0, after=9), (Mode.KILL, 0, 9)),
]


@pytest.mark.parametrize(("present", "wanted", "expected"), [m[1:] for m in MERGES], ids=[m[0] for m in MERGES])
def test_a_new_stop_is_merged_with_the_present_one(
    present: Stop, wanted: Stop, expected: tuple[Mode, float | None, float] | None
) -> None:
    posting = merge(present, wanted)
    found = posting and (posting.mode, posting.grace_seconds, (posting.posted_at - NOW).total_seconds())
    assert found == expected


def test_the_stronger_command_names_itself_and_its_reason() -> None:
    present = stop(Mode.TERMINATE, 0, command_id="first", reason="a", details="b", signal="SIGINT")
    posting = merge(present, stop(Mode.KILL, 5, command_id="second", reason=""))
    assert posting is not None
    assert (posting.command_id, posting.reason, posting.details, posting.signal) == ("second", "", None, "SIGTERM")


@pytest.mark.parametrize(("present", "wanted"), list(product(Mode, Mode)))
def test_every_pair_of_modes_is_posted_where_the_wanted_one_is_stronger(present: Mode, wanted: Mode) -> None:
    posting = merge(stop(present, 0), stop(wanted, 0, after=1))
    assert (posting is not None) == (wanted.strength > present.strength)


def test_an_absent_reason_and_an_empty_one_are_different_on_the_wire() -> None:
    assert "reason" not in json.loads(render(stop()))
    assert json.loads(render(stop(reason="")))["reason"] == ""


def test_the_annotation_holds_exactly_the_names_that_the_launcher_reads() -> None:
    posted = stop(Mode.KILL, 5.0, reason="customer asked", details="order 123")
    assert render(posted) == (
        f'{{"sequence":1,"runId":"{RUN_ID}","commandId":"command-Kill","mode":"Kill","signal":"SIGTERM",'
        '"graceSeconds":5,"reason":"customer asked","details":"order 123","postedAt":"2030-05-01T12:00:00.250000Z"}'
    )


def wire(**changes: Any) -> str:
    found = json.loads(render(stop(Mode.KILL, 5)))
    return json.dumps({name: value for name, value in (found | changes).items() if value is not ...})


REQUIRED = ("sequence", "runId", "commandId", "mode", "signal", "postedAt")
WRONG: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(REQUIRED, (..., None, [], {})),
    "sequence": (..., 0, -1, 1.0, True, "1", None, 2**53, 2**63 - 1, 10**30),
    "mode": (..., "cancel", "", 1, None, []),
    "commandId": (..., "", "x" * 65, 5),
    "graceSeconds": (-1, "5", True, None, float("nan"), float("inf")),
    "postedAt": (..., "", "now", 5, "2030-05-01T12:00:00", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z", None),
    "reason": (5, None, [], "x" * 5000, "\ud800"),
}
MALFORMED = [
    *("", " ", "{", wire()[:-7], "null", "[]", '"x"', "NaN", "[" * 5000),
    *(wire(**{name: value}) for name, values in WRONG.items() for value in values),
]


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: text[:80])
def test_a_malformed_stop_is_no_stop(text: str) -> None:
    assert parse(text) is None


@given(st.text() | STOPS.map(render).flatmap(lambda text: st.integers(0, len(text)).map(lambda cut: text[:cut])))
def test_reading_never_raises(text: str) -> None:
    parse(text)


def test_fields_of_a_newer_version_are_skipped() -> None:
    assert parse(wire(fieldOfTomorrow={"a": [1]})) == stop(Mode.KILL, 5)


def test_a_time_with_nanoseconds_and_another_zone_is_read() -> None:
    read = parse(wire(postedAt="2030-05-01T14:00:00.250000999+02:00"))
    assert read is not None
    assert read.posted_at == NOW


def test_a_huge_grace_is_cut_and_its_deadline_can_be_told() -> None:
    read = parse(wire(graceSeconds=1e300))
    assert read is not None
    assert read.deadline == NOW + timedelta(seconds=LONGEST_GRACE)


def test_no_grace_is_no_deadline_and_zero_is_due_at_once() -> None:
    assert stop(Mode.CANCEL).deadline is None
    assert stop(Mode.FORCE, 0).deadline == NOW
