"""How large a template and arguments may be, judged on the decoded object before anything else looks at it.

Contract: pure; `too_large` looks at nothing but sizes, copies nothing that lives on, and costs a few milliseconds for
the largest object that etcd holds; the caller remembers the answer for a generation, and reads nothing of what is
refused. Sizes are those that the API server stores: Go's JSON, where `<`, `>`, `&`, U+2028 and U+2029 take six bytes
and numbers are written out (1e20 takes 21).
Why so much room and no more: status keeps a copy of both, the pod holds them too, and each must fit into one etcd
object with everything else that is said of a run.
Rejected: a limit by `maxLength` in the CRD (it counts no free-form JSON), counting while the text is parsed (kopf has
decoded it before anybody asks us).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from desist.api.conditions import StallReason
from desist.lifecycle.observed.sight import TooLarge

TEMPLATE_BYTES = 256 * 1024
ARGUMENTS_BYTES = 32 * 1024
_ESCAPED_BY_GO = tuple(character.encode() for character in "<>&\u2028\u2029")
_MAYBE_FLOATS = re.compile(rb"(?:^|[\[:,])-?\d+[.eE]")
"""Also matches some text; where it does not match, there is no number but integers."""
_WRITTEN_OUT = 1e21
"""Go writes numbers below it digit by digit."""


def too_large(spec: Any) -> TooLarge | None:
    """What is too large in a decoded spec, a Workflow's or an execution's; None: nothing is."""
    if not isinstance(spec, Mapping):
        return None
    inner = spec.get("workflowSpec")
    template = inner.get("template") if isinstance(inner, Mapping) else spec.get("template")
    where = "spec.workflowSpec.template" if isinstance(inner, Mapping) else "spec.template"
    return judge(StallReason.TEMPLATE_REFUSED, where, template, TEMPLATE_BYTES) or judge(
        StallReason.ARGUMENTS_REFUSED, "spec.arguments", spec.get("arguments"), ARGUMENTS_BYTES
    )


def without_what_is_limited(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The same spec, with an empty template and no arguments: what is left of one in which something is too large."""
    kept = {name: value for name, value in spec.items() if name != "arguments"}
    if isinstance(kept.get("workflowSpec"), Mapping):
        kept["workflowSpec"] = {**kept["workflowSpec"], "template": {}}
    elif "template" in kept:
        kept["template"] = {}
    return kept


def stored_size(value: Any, enough: float = math.inf) -> int:
    """Bytes that a decoded JSON value takes in etcd; above `enough` it may be fewer than that, but not below it.

    Raises RecursionError where the value is nested too deep.
    """
    encoded = _encoded(value)
    size = len(encoded) + sum(encoded.count(text) * (6 - len(text)) for text in _ESCAPED_BY_GO)
    if size > enough or not _MAYBE_FLOATS.search(encoded):
        return size
    # Half a surrogate pair is stored as U+FFFD, of as many bytes.
    return size + sum(len(_by_go(number)) - len(_encoded(number)) for number in _floats(value))


def _encoded(value: Any) -> bytes:
    """Compact JSON, with the same escapes as Go's but for those that Go alone makes."""
    try:
        # Twenty times faster than the standard library's, which takes what this one does not.
        return msgspec.json.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")


def judge(reason: StallReason, where: str, value: Any, most: int) -> TooLarge | None:
    """What is to be said of a value where it takes more than `most` bytes; `where` is its path. None: it does not."""
    if value is None:
        return None
    try:
        size = stored_size(value, enough=most)
    except RecursionError:
        return TooLarge(reason, f"{where}: it is nested too deep")
    if size <= most:
        return None
    allowed = f"the {most} that are allowed as the API server stores it (`<`, `>` and `&` count six each)"
    return TooLarge(reason, f"{where}: {size} bytes of JSON are more than {allowed}")


def _floats(value: Any) -> Iterator[float]:
    """All numbers in it that are no integers, without recursion."""
    left = [value]
    while left:
        found = left.pop()
        if isinstance(found, Mapping):
            left.extend(found.values())
        elif isinstance(found, list):
            left.extend(found)
        elif isinstance(found, float):
            yield found


def _by_go(number: float) -> str:
    """The number as Go's JSON has it."""
    shortest = repr(number)
    if number == 0 or 1e-6 <= abs(number) < _WRITTEN_OUT:
        digits = format(Decimal(shortest), "f")
        return digits.removesuffix(".0")
    return shortest.replace("e-0", "e-")
