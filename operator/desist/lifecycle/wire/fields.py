"""Reading what comes over the wire from pods: JSON that is taken by its shape only, never trusted.

Contract: each reader returns a value of the type that it names, within its bounds, or raises `Malformed`; nothing else
is ever raised. What passes can be written into status as it is: finite numbers, text that is valid Unicode.
Rejected: pydantic models here (they coerce, "5" would pass as 5) and `json.loads` alone (it takes NaN, 1e999, lone
surrogates, and raises RecursionError on nested lists).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache, wraps
from typing import Any, TypeVar

T = TypeVar("T")
Json = dict[str, Any]
LATELY, LONGEST = 64, 64 * 1024
"""How many texts are remembered, and up to how many characters."""
NESTING = 64
"""How many levels of objects and lists are taken; status, which keeps what is taken, could not hold 255."""
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""An earlier time is nobody's clock."""


class Malformed(ValueError):
    """The text does not have the shape that it should have; the message says where."""


def lately(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Remember what the last texts said: one reconcile asks for the same one a dozen times.

    For a parser that raises nothing and whose values are frozen. A text has 300 bytes as a rule; all of them take 4 MiB
    at the most (16, where each holds an emoji), what they say as much again.
    """
    remembered = lru_cache(LATELY)(parse)

    @wraps(parse)
    def read(text: str) -> T:
        return remembered(text) if len(text) <= LONGEST else parse(text)

    return read


def too_deep(value: Any) -> bool:
    """Whether JSON has objects and lists nested more than `NESTING` deep. Never recurses."""
    layer = [value]
    for _ in range(NESTING):
        layer = [child for parent in layer for child in _children(parent) if isinstance(child, dict | list)]
        if not layer:
            return False
    return any(isinstance(child, dict | list) for child in layer)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def read_object(text: str) -> Json:
    """The JSON object that `text` is."""
    value = _read(text)
    if not isinstance(value, dict):
        raise Malformed("not a JSON object")
    return value


def _read(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_bounded)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error
    return value


def _refuse(constant: str) -> Any:
    raise Malformed(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Malformed("a number is too large")
    return number


def _bounded(digits: str) -> int | float:
    """An integer of 64 bits; a longer one as the nearest double, as Kubernetes reads it."""
    number = int(digits) if len(digits) < 20 else 2**63
    return number if -(2**63) <= number < 2**63 else _finite(digits)


def text(found: Json, key: str, limit: int) -> str:
    """A string of at most `limit` characters that must be there; it may be empty."""
    value = found.get(key)
    if not isinstance(value, str) or len(value) > limit:
        raise Malformed(f"{key} is not a string of at most {limit} characters")
    return value


def optional_text(found: Json, key: str, limit: int) -> str | None:
    """The same, or None where it is absent (null is malformed)."""
    return None if key not in found else text(found, key, limit)


def flag(found: Json, key: str) -> bool:
    """A boolean; absent: False."""
    value = found.get(key, False)
    if not isinstance(value, bool):
        raise Malformed(f"{key} is not a boolean")
    return value


def name(found: Json, key: str, limit: int) -> str:
    """A string of at most `limit` characters that must be there, and not be empty."""
    value = text(found, key, limit)
    if not value:
        raise Malformed(f"{key} is empty")
    return value


def count(found: Json, key: str, most: int = 2**63 - 1) -> int:
    """An integer from 1 to `most` that must be there."""
    value = found.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise Malformed(f"{key} is not a number from 1 to {most}")
    return value


def number(found: Json, key: str, most: int = 2**31 - 1) -> int:
    """An integer from 0 to `most` that must be there."""
    value = found.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Malformed(f"{key} is not a number from 0 to {most}")
    return value


def seconds(found: Json, key: str, limit: float) -> float | None:
    """Seconds from 0 on, cut to `limit`; None where they are absent (null is malformed)."""
    if key not in found:
        return None
    value = found[key]
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise Malformed(f"{key} is not a number from 0 on")
    return min(float(value), limit)


def moment(found: Json, key: str) -> datetime:
    """A time in RFC 3339, not before 1970, that must be there, in UTC, cut to microseconds."""
    written = text(found, key, 64)
    if not RFC3339.fullmatch(written):  # fromisoformat takes far more
        raise Malformed(f"{key} is not a time in RFC 3339")
    try:
        value = datetime.fromisoformat(written).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Malformed(f"{key} is not a time in RFC 3339") from error
    if value < EARLIEST:
        raise Malformed(f"{key} is before 1970")
    return value


def optional_moment(found: Json, key: str) -> datetime | None:
    """The same, or None where it is absent (null is malformed)."""
    return None if key not in found else moment(found, key)
