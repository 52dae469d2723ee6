"""What others have written (programs, kubelets, webhooks, the API server), made such that status and Events can hold it.

Contract: the one place where such texts, times and numbers are cut. `text` never grows longer than its limit and holds
nothing that a terminal obeys or that turns the reading direction; `moment` is a time of which others can be counted.
What passes is left as it is, so that a person finds it again in the source.
Rejected: cutting where a text is used (there are many places, and the next one would forget it), and escapes of
what does not print (they make a text six times longer, and it no longer fits).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from desist.api.base import EARLIEST

UNPRINTABLE = (
    (0x00, 0x08),
    (0x0B, 0x1F),
    (0x7F, 0x9F),
    (0x061C, 0x061C),
    (0x200E, 0x200F),
    (0x2028, 0x202E),
    (0x2066, 0x2069),
    (0xFEFF, 0xFEFF),
)
"""Ranges of code points: control characters but newline and tab, and those that turn the reading direction."""
_UNPRINTABLE = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in UNPRINTABLE) + "\ud800-\udfff]")
REPLACEMENT = "\ufffd"
CUT = "..."
_SURPLUS = {chr(code): 5 for code in (*range(0x20), *map(ord, "<>&"))} | dict.fromkeys('"\\\n\r\t', 1)
_SURPLUS |= dict.fromkeys("\u2028\u2029", 3)
"""By how much more a character takes in Go's JSON than in UTF-8."""
_LONGER = re.compile("[" + re.escape("".join(_SURPLUS)) + "]")
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""The latest time that is taken from others: years of grace may follow it."""
LONGEST_GRACE = 31_536_000
"""A year of seconds; the API server takes far more, of which no time can be told."""


def text(value: str, limit: int) -> str:
    """The text with what does not print replaced, cut to so many characters."""
    cleaned = _UNPRINTABLE.sub(REPLACEMENT, value[: limit + 1])
    return cleaned if len(cleaned) <= limit else cleaned[: limit - len(CUT)] + CUT


def moment(value: str | None) -> datetime | None:
    """The time that RFC 3339 says, from 1970 to 9000; None for none. What cannot be read is an early one."""
    if value is None:
        return None
    try:
        return min(max(datetime.fromisoformat(value), EARLIEST), LATEST).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return EARLIEST


def grace(seconds: int) -> int:
    """A grace of a pod, in seconds, of which a time can be told."""
    return min(max(seconds, 0), LONGEST_GRACE)


def stored_size(value: str) -> int:
    """Bytes that a text takes in etcd, without its quotes: Go's JSON, where `<` takes six."""
    return len(value.encode(errors="replace")) + sum(map(_SURPLUS.__getitem__, _LONGER.findall(value)))


def fit(value: str, limit: int) -> str:
    """The text with what does not print replaced, cut to so many bytes in etcd; it ends in dots where it was cut."""
    value = _UNPRINTABLE.sub(REPLACEMENT, value[: limit + 1])
    if stored_size(value) <= limit:
        return value
    room, least, most = limit - len(CUT), 0, len(value)
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if stored_size(value[:middle]) <= room else (least, middle - 1)
    return value[:least] + CUT
