"""What others have written is cut in one place, and holds nothing that a terminal obeys."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from desist.api import outside
from desist.api.base import EARLIEST
from desist.api.execution import WorkflowExecution
from desist.api.rules import PRINTABLE
from desist.api.schema import structural

TEXTS = [
    ("an escape sequence", "\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
    ("a carriage return that hides what came before", "secret\rharmless", "secret\ufffdharmless"),
    ("a turned reading direction", "user\u202etxt.exe", "user\ufffdtxt.exe"),
    ("an isolate", "\u2066x\u2069", "\ufffdx\ufffd"),
    ("half a surrogate pair", "\ud800", "\ufffd"),
    ("a NUL", "\x00", "\ufffd"),
    ("C1's escape", "\x9b31m", "\ufffd31m"),
    ("lines and tabs", "one\n\ttwo", "one\n\ttwo"),
    ("other scripts", "жdé漢字 \U0001f469\u200d\U0001f680", "жdé漢字 \U0001f469\u200d\U0001f680"),
    ("a long one", "x" * 200, "x" * 97 + "..."),
]


@pytest.mark.parametrize(("said", "shown"), [row[1:] for row in TEXTS], ids=[row[0] for row in TEXTS])
def test_a_text_is_shown(said: str, shown: str) -> None:
    assert outside.text(said, 100) == shown
    assert outside.fit(said, 100) == shown


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, None),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T05:04:05.5+02:00", datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)),
        ("0000-01-01T00:00:00Z", EARLIEST),
        ("0001-01-01T00:00:00+14:00", EARLIEST),
        ("9999-12-31T23:59:59Z", outside.LATEST),
        ("yesterday", EARLIEST),
    ],
)
def test_a_time_is_read_as_one_with_which_can_be_counted(written: str | None, read: datetime | None) -> None:
    assert outside.moment(written) == read


@pytest.mark.parametrize(("seconds", "cut"), [(30, 30), (-1, 0), (99_999_999_999, 31_536_000), (2**63 - 1, 31_536_000)])
def test_a_grace_is_one_of_which_a_time_can_be_told(seconds: int, cut: int) -> None:
    assert outside.grace(seconds) == cut


def test_the_api_server_refuses_in_requests_exactly_what_is_replaced_in_texts_of_others() -> None:
    (pattern,) = {re.findall(r"matches\(r'(.*?)'\)", rule.rule)[0] for rule in PRINTABLE}
    translated = re.compile(re.sub(r"\\x\{([0-9a-f]+)\}", lambda m: re.escape(chr(int(m[1], 16))), pattern))
    for code in (*range(0xD800), *range(0xE000, 0x11000)):
        refused = translated.fullmatch(chr(code)) is None
        assert refused == (outside.text(chr(code), 9) != chr(code)), hex(code)


def test_what_is_copied_into_status_is_not_judged_again() -> None:
    schema = structural(WorkflowExecution, without=frozenset({"metadata"}))
    observed = schema["properties"]["status"]["properties"]["cancellation"]["properties"]["observed"]
    assert "matches(r'" not in str(observed)
    assert str(schema["properties"]["spec"]["properties"]["cancellation"]).count("matches(r'") == 3
