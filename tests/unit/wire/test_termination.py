from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desist.api.base import Opaque
from desist.api.vocabulary import Mode, Phase
from desist.lifecycle.wire.termination import CUT, PassedSignal, Receipt, ReceivedStop, Termination, UserOutcome, parse
from tests.unit.wire.builders import NOW

AT = "2030-05-01T12:00:00.250000Z"
STOP = {"sequence": 1, "commandId": "c1", "mode": "Cancel", "at": AT, "by": "mailbox"}
PASSED = {"signal": "37", "at": AT}
STARTED = Receipt(started=True)


def receipt(**fields: Any) -> str:
    return json.dumps({"receipt": 1, "started": True, "outcome": "absent", **fields})


def message(written: Any, **fields: Any) -> str:
    return f"{receipt(**fields)}\n{json.dumps(written)}"


def test_the_receipt_tells_what_was_read_when_and_by_which_way() -> None:
    last = {"sequence": 3, "commandId": "c2", "mode": "Kill", "at": "2030-05-01T12:00:01.25Z"}
    text = receipt(stop=STOP, last=last, sigterm=AT, passed=PASSED, deadline=AT, killed=True, error="no")
    assert parse(text) == Termination(
        Receipt(
            started=True,
            stop=ReceivedStop(1, "c1", Mode.CANCEL, NOW, "mailbox"),
            last=ReceivedStop(3, "c2", Mode.KILL, NOW + timedelta(seconds=1)),
            sigterm=NOW,
            passed=PassedSignal("37", NOW),
            deadline=NOW,
            killed=True,
            error="no",
        )
    )


@pytest.mark.parametrize("ending", ["", "\n", "\n\n\n", "\r\n"])
def test_blank_lines_at_the_end_do_not_hide_the_receipt(ending: str) -> None:
    assert parse(receipt() + ending) == Termination(STARTED)


LONG = "x" * 1021 + "..."
OUTCOMES: list[tuple[str, Any, UserOutcome]] = [
    ("cancelled", {"outcome": "Cancelled"}, UserOutcome(Phase.CANCELLED)),
    ("succeeded", {"outcome": "Succeeded", "result": {"a": [1]}}, UserOutcome(Phase.SUCCEEDED, Opaque.of({"a": [1]}))),
    (
        "failed with a message",
        {"outcome": "Failed", "failure": {"message": "no stock"}},
        UserOutcome(Phase.FAILED, failure_message="no stock"),
    ),
    (
        "a failure that is a text",
        {"outcome": "Failed", "failure": "no"},
        UserOutcome(Phase.FAILED, failure_message="no"),
    ),
    ("a failure of another shape", {"outcome": "Failed", "failure": [1]}, UserOutcome(Phase.FAILED)),
    ("a message that is none", {"outcome": "Failed", "failure": {"message": 5}}, UserOutcome(Phase.FAILED)),
    ("a result that is no object", {"outcome": "Succeeded", "result": 0}, UserOutcome(Phase.SUCCEEDED, Opaque.of(0))),
    ("no result", {"outcome": "Succeeded", "result": None}, UserOutcome(Phase.SUCCEEDED)),
    ("cut", {"outcome": "Succeeded", "truncated": True}, UserOutcome(Phase.SUCCEEDED, truncated=True)),
    (
        "a long message",
        {"outcome": "Failed", "failure": "x" * 3000},
        UserOutcome(Phase.FAILED, None, "x" * 1021 + "..."),
    ),
    ("other fields", {"outcome": "Cancelled", "later": 1}, UserOutcome(Phase.CANCELLED)),
]


@pytest.mark.parametrize(("written", "expected"), [o[1:] for o in OUTCOMES], ids=[o[0] for o in OUTCOMES])
def test_an_outcome_is_read_behind_the_receipt(written: Any, expected: UserOutcome) -> None:
    assert parse(message(written)) == Termination(STARTED, expected)


@pytest.mark.parametrize(("written", "expected"), [o[1:] for o in OUTCOMES], ids=[o[0] for o in OUTCOMES])
def test_an_outcome_is_read_in_front_of_the_receipt_of_an_earlier_launcher(written: Any, expected: UserOutcome) -> None:
    assert parse(f"{json.dumps(written)}\n{receipt(outcome='ok')}") == Termination(STARTED, expected)


@pytest.mark.parametrize(("written", "expected"), [o[1:] for o in OUTCOMES], ids=[o[0] for o in OUTCOMES])
def test_an_outcome_without_a_receipt_still_counts(written: Any, expected: UserOutcome) -> None:
    assert parse(json.dumps(written)) == Termination(None, expected)


@pytest.mark.parametrize("torn", ["", "\n", '\n{"receipt":1,"star', "\n{}", "\nlog line"])
def test_an_outcome_counts_where_the_receipt_is_torn(torn: str) -> None:
    assert parse('{"outcome":"Cancelled"}' + torn) == Termination(None, UserOutcome(Phase.CANCELLED))


INVALID: list[tuple[str, str, str]] = [
    ("the launcher says so", message({"invalid": "{oops"}), "{oops"),
    ("another word", message({"outcome": "Terminated"}), "must be Cancelled, Succeeded or Failed"),
    ("no word", message({"result": 1}), "must be Cancelled, Succeeded or Failed"),
    ("a word of another type", message({"outcome": ["Failed"]}), "must be Cancelled"),
    ("a list", message([1]), CUT),
    ("cut at its end by the kubelet", f'{receipt()}\n{{"outcome":"Fai', CUT),
    ("cut at its head, in front of an earlier launcher's receipt", f'come":"Failed"}}\n{receipt()}', CUT),
    ("a number that nothing holds", f'{receipt()}\n{{"outcome":"Failed","result":1e999}}', CUT),
    ("not a number", f'{receipt()}\n{{"outcome":"Failed","result":NaN}}', CUT),
    ("nested too deep", f"{receipt()}\n{'[' * 3000}", CUT),
    ("not even its word fits", receipt(outcome="tooLarge"), CUT),
    ("a lost outcome", receipt(outcome="ok"), CUT),
    ("a word that no launcher writes", receipt(outcome="ok", says="Terminated"), CUT),
    ("what says nothing, though it has a word", receipt(outcome="invalid", says="Failed"), CUT),
    ("a lone surrogate", message({"outcome": "Failed", "failure": "\ud800"}), CUT),
]


@pytest.mark.parametrize(("text", "said"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID])
def test_an_invalid_outcome_is_said_and_does_not_count(text: str, said: str) -> None:
    found = parse(text)
    assert found.receipt == STARTED
    assert found.outcome is None
    assert said in (found.invalid or "")
    assert len(found.invalid or "") <= 1024


NOTHING = [
    "",
    "\n",
    "Traceback (most recent call last):\n  File ...",
    "failed to create containerd task: exec: no such file",
    '{"my":"json"}',
    '{"outcome":"Great"}',
    "[" * 5000,
    "null",
    *(json.dumps({"started": True, "receipt": value}) for value in (True, 2, "1", None)),
    json.dumps({"receipt": 1}),
    json.dumps({"receipt": 1, "started": "yes"}),
    *(receipt(stop=value) for value in (None, 5, {}, {**STOP, "mode": "Stop"}, {**STOP, "sequence": 0})),
    *(receipt(stop={**STOP, key: value}) for key, value in [("at", "now"), ("commandId", ""), ("commandId", "x" * 65)]),
    receipt(sigterm="soon"),
    *(
        receipt(passed=value)
        for value in (None, "37", {}, {"signal": "37"}, {**PASSED, "at": "now"}, {**PASSED, "signal": ""})
    ),
    receipt(killed=1),
    receipt(error="x" * 2000),
    *(receipt(outcome=value) for value in (None, "", 1, ["ok"], "fine")),
]


@pytest.mark.parametrize("text", NOTHING, ids=lambda text: text[:90])
def test_what_is_not_whole_is_no_receipt_and_claims_nothing(text: str) -> None:
    assert parse(text) == Termination()


def test_an_integer_beyond_64_bits_is_read_as_kubernetes_reads_it() -> None:
    found = parse(message({"outcome": "Succeeded", "result": 10**30}))
    assert found.outcome == UserOutcome(Phase.SUCCEEDED, Opaque.of(1e30))


@given(st.text(), st.text())
def test_reading_never_raises(first: str, last: str) -> None:
    parse(f"{first}\n{last}")


@given(st.integers(0, 300))
def test_a_message_cut_anywhere_never_raises_and_never_invents_a_receipt(cut: int) -> None:
    whole = message({"outcome": "Cancelled", "result": {"text": "ü"}}, stop=STOP)
    for text in (whole, "\n".join(reversed(whole.split("\n")))):
        assert parse(text).receipt is not None
        assert parse(text[:cut]).receipt in (None, parse(text).receipt)
        assert parse(text[cut:]).receipt in (None, parse(text).receipt)


@pytest.mark.parametrize("containers", range(1, 16))
def test_whatever_the_kubelet_keeps_of_the_head_tells_of_the_stop_and_of_the_outcome(containers: int) -> None:
    """A message is cut to 12,288 bytes by the number of the pod's containers, those included that others have added."""
    whole = message({"outcome": "Failed", "result": "r" * 3000}, stop=STOP, outcome="ok", says="Failed")
    found = parse(whole[: 12_288 // containers])
    assert found.receipt == Receipt(started=True, stop=ReceivedStop(1, "c1", Mode.CANCEL, NOW))
    assert found.outcome is not None and found.outcome.phase is Phase.FAILED
    assert found.outcome.truncated == (containers > 3)


FORGED = receipt(stop=STOP, outcome="Succeeded")
SUCCEEDED = UserOutcome(Phase.SUCCEEDED)


@pytest.mark.parametrize(
    "text",
    [f"{receipt(outcome='ok')}\n{FORGED}", f"{FORGED}\n{receipt(outcome='ok')}"],
    ids=["behind the receipt", "in front of an earlier launcher's"],
)
def test_an_outcome_that_looks_like_a_receipt_is_none(text: str) -> None:
    assert parse(text) == Termination(STARTED, SUCCEEDED)


@pytest.mark.parametrize("torn", ["", '{"receipt":1,"star', receipt()[:-1]])
def test_an_outcome_that_looks_like_a_receipt_is_none_where_the_receipt_is_torn(torn: str) -> None:
    assert parse(f"{torn}\n{FORGED}").receipt is None
    assert parse(f"{FORGED}\n{torn}") == Termination(None, SUCCEEDED)


def test_of_two_receipts_the_first_counts() -> None:
    assert parse(f"{receipt()}\n{receipt(stop=STOP)}").receipt == STARTED
