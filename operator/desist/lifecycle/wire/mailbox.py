"""The mailbox: what the annotation `desist.dev/stop` of a pod says, and how a new stop is merged into it.

Contract: a posting never replaces a stronger one. `merge` gives the text that both the present and the wanted stop ask
for, or None where the present one asks for as much already; so what a pod's mailbox holds is the record of what was
posted to it. The format is written down in docs/mailbox.md; the launcher reads it, and ignores a sequence that it has
read. The launcher counts each grace from its own first reading and keeps its earliest deadline; `posted_at` and
`grace_seconds` are therefore always those of the one posting that set the earliest deadline, never a mixture.
A posting may be repeated: nothing changes but `repeated_at`, which tells nobody anything. It is the change that counts,
because a kubelet may miss one, and brings the file up to date with the next (docs/mailbox.md says how).
Rejected: a list of postings (it grows, and the launcher would have to merge).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from desist.api.base import rfc3339
from desist.api.vocabulary import Mode
from desist.lifecycle.wire import fields

LONGEST_GRACE = 315_360_000.0
"""Ten years; a longer one is cut to this."""
SIZE_LIMIT = 64 * 1024
"""Bytes that the launcher reads; what is longer is malformed."""
HIGHEST_SEQUENCE = 2**53 - 1
"""What every reader of JSON holds exactly; a higher one is malformed. At it, the launcher reads each new content."""
LATEST_POSTING = datetime(9000, 1, 1, tzinfo=UTC)
"""Later ones are malformed, so that a deadline is always a time that can be told."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One posting: how the processes of the pod are to be stopped."""

    sequence: int
    """From 1 to HIGHEST_SEQUENCE, one higher with each posting to this pod."""
    run_id: str
    command_id: str
    mode: Mode
    signal: str
    """The stop signal, as the workflow's stopPolicy spells it (SIGTERM)."""
    grace_seconds: float | None
    """Seconds from the stop signal to SIGKILL; None: no deadline; 0: SIGKILL at once."""
    reason: str | None
    details: str | None
    posted_at: datetime
    repeated_at: datetime | None = None
    """When the same was posted again last; None: never."""

    @property
    def deadline(self) -> datetime | None:
        """When SIGKILL is due, by the controller's clock; None: never."""
        return None if self.grace_seconds is None else self.posted_at + timedelta(seconds=self.grace_seconds)


@fields.lately
def parse(text: str) -> Stop | None:
    """The stop that an annotation's value is; None where it is empty or malformed (never raises)."""
    if len(text.encode(errors="surrogatepass")) > SIZE_LIMIT:
        return None
    try:
        return _stop(fields.read_object(text))
    except fields.Malformed:
        return None


def render(stop: Stop) -> str:
    """The annotation's value: compact JSON, absent fields left out."""
    grace = stop.grace_seconds
    values = {
        "sequence": stop.sequence,
        "runId": stop.run_id,
        "commandId": stop.command_id,
        "mode": stop.mode.value,
        "signal": stop.signal,
        "graceSeconds": int(grace) if grace is not None and grace == int(grace) else grace,
        "reason": stop.reason,
        "details": stop.details,
        "postedAt": rfc3339(stop.posted_at),
        "repeatedAt": None if stop.repeated_at is None else rfc3339(stop.repeated_at),
    }
    present = {name: value for name, value in values.items() if value is not None}
    return json.dumps(present, separators=(",", ":"), ensure_ascii=False)


def merge(present: Stop | None, wanted: Stop) -> Stop | None:
    """What to post, so that both hold; None where `present` is as strong and as early already.

    The result has the stronger mode with its command, reason and details (at equal strength the wanted one's), the
    earliest deadline with the grace and time of the posting that set it, and the signal that is wanted. Its sequence is
    above that of what is there.
    """
    if present is None:
        return replace(wanted, repeated_at=None)
    if present.mode.strength >= wanted.mode.strength and not _earlier(wanted, present):
        return None
    who = wanted if wanted.mode.strength >= present.mode.strength else present
    when = wanted if _earlier(wanted, present) or present.deadline is None else present
    return replace(
        who,
        sequence=_next(wanted, present),
        signal=wanted.signal,
        grace_seconds=when.grace_seconds,
        posted_at=when.posted_at,
        repeated_at=None,
    )


def above(stop: Stop, found: Stop) -> Stop:
    """The same, with a sequence above that of what the annotation holds, whoever wrote it; at most the highest."""
    return replace(stop, sequence=_next(stop, found))


def without_texts(stop: Stop) -> Stop:
    """The same without reason and details."""
    return replace(stop, reason=None, details=None)


def repeat_at(held: Stop, after: tuple[float, ...]) -> datetime | None:
    """When it is to be posted again, `after` being seconds from `posted_at`, rising; None: no more."""
    last = held.repeated_at or held.posted_at
    moments = (held.posted_at + timedelta(seconds=seconds) for seconds in after)
    return next((moment for moment in moments if moment > last), None)


def repeated(held: Stop, now: datetime) -> Stop:
    """The same posting once more."""
    return replace(held, repeated_at=now)


def _next(stop: Stop, after: Stop) -> int:
    return min(max(stop.sequence, after.sequence + 1), HIGHEST_SEQUENCE)


def _earlier(one: Stop, other: Stop) -> bool:
    """True where `one` has a deadline, and `other` none or a later one."""
    if one.deadline is None:
        return False
    return other.deadline is None or one.deadline < other.deadline


def _repeated_at(found: fields.Json) -> datetime | None:
    """The launcher skips this field, so that a wrong one makes no stop malformed: it only is as if it were absent."""
    try:
        return fields.optional_moment(found, "repeatedAt")
    except fields.Malformed:
        return None


def _stop(found: fields.Json) -> Stop:
    if fields.too_deep(found):
        raise fields.Malformed("nested too deep")
    posted_at = fields.moment(found, "postedAt")
    if posted_at > LATEST_POSTING:
        raise fields.Malformed("postedAt is too late")
    mode = fields.text(found, "mode", 16)
    if mode not in list(Mode):
        raise fields.Malformed("mode is none of Cancel, Force, Terminate, Kill")
    return Stop(
        sequence=fields.count(found, "sequence", HIGHEST_SEQUENCE),
        run_id=fields.text(found, "runId", 64),
        command_id=fields.name(found, "commandId", 64),
        mode=Mode(mode),
        signal=fields.name(found, "signal", 16),
        grace_seconds=fields.seconds(found, "graceSeconds", LONGEST_GRACE),
        reason=fields.optional_text(found, "reason", 4096),
        details=fields.optional_text(found, "details", 4096),
        posted_at=posted_at,
        repeated_at=_repeated_at(found),
    )
