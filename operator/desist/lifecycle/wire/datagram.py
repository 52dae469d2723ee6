"""The datagram: what a push says, as text that fits into one UDP packet.

Contract: a stop is the mailbox's, by the same grammar, but without `details` and `repeatedAt`, and with its reason cut;
both are filled in from the mailbox under the same sequence. What does not fit even then is not pushed. Whoever sends it
puts a header and a signature before the body (docs/mailbox.md), so that all of it has `SIZE_LIMIT` bytes at most: no
network between a controller and a pod has to carry a fragment. An answer is read by its shape, and trusted no further.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime

from desist.lifecycle.observed.pushes import PushAnswer
from desist.lifecycle.wire import fields, mailbox

SIZE_LIMIT = 1200
"""Bytes of a whole datagram."""
BEFORE_BODY = 24 + 64
"""Bytes of the header (magic and pod UID) and of the signature."""
NONCE_DIGITS = 32
NONCE = re.compile(r"[0-9a-f]{32}")
REASON_LIMIT = 256
"""Bytes of a reason, as JSON has it between the quotes."""


def stop_text(stop: mailbox.Stop) -> str | None:
    """The stop as a datagram carries it; None where it is too large."""
    text = mailbox.render(replace(stop, details=None, repeated_at=None, reason=_cut(stop.reason)))
    return text if len(body("0" * NONCE_DIGITS, text)) <= SIZE_LIMIT - BEFORE_BODY else None


def body(nonce: str, text: str) -> bytes:
    """What is signed and sent behind the header: the nonce, which the answer echoes, and a `stop_text`."""
    return f'{{"nonce":"{nonce}","stop":{text}}}'.encode(errors="surrogatepass")


def parse_answer(data: bytes, at: datetime) -> tuple[str, str, PushAnswer] | None:
    """Nonce, pod UID and what else a launcher's answer says, which came at that time; None where it is malformed."""
    try:
        return _answer(fields.read_object(data.decode()), at)
    except (fields.Malformed, UnicodeDecodeError):
        return None


def _answer(found: fields.Json, at: datetime) -> tuple[str, str, PushAnswer]:
    nonce = fields.name(found, "nonce", NONCE_DIGITS)
    if not NONCE.fullmatch(nonce) or "mainEnded" not in found:
        raise fields.Malformed("not an answer")
    answer = PushAnswer(
        command_id=fields.name(found, "commandId", 64),
        sequence=fields.count(found, "sequence", mailbox.HIGHEST_SEQUENCE),
        did=fields.name(found, "did", 32),
        told=fields.number(found, "told"),
        refused=fields.number(found, "refused"),
        main_ended=fields.flag(found, "mainEnded"),
        left=fields.number(found, "left"),
        at=at,
    )
    return nonce, fields.name(found, "podUid", 64), answer


def _cut(reason: str | None) -> str | None:
    """As much from its beginning as fits, in whole characters."""
    if reason is None or _size(reason) <= REASON_LIMIT:
        return reason
    room, kept = REASON_LIMIT, 0
    for character in reason:
        room -= _size(character)
        if room < 0:
            break
        kept += 1
    return reason[:kept]


def _size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode(errors="surrogatepass")) - 2
