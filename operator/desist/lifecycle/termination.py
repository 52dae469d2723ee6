"""The termination message: the user's outcome, and the launcher's receipt as its last line.

Contract: `parse` never raises, whatever the kubelet hands over (nothing, a torn message, a program's own text, the
runtime's error). A receipt that is not whole is no receipt; an outcome that is not valid is said in `invalid` and
ignored. Both come from the pod, where user code can write what it likes: they are taken by their shape, and bounded.
The format is written down in docs/mailbox.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from desist.api.base import Opaque
from desist.api.vocabulary import Mode, Phase
from desist.lifecycle import wire

OUTCOMES = (Phase.CANCELLED, Phase.SUCCEEDED, Phase.FAILED)
TEXT_LIMIT = 1024
CUT = "the outcome in the termination message is cut or is not JSON"


@dataclass(frozen=True, slots=True)
class ReceivedStop:
    """A stop that the launcher has read."""

    sequence: int
    command_id: str
    mode: Mode
    at: datetime
    """By the node's clock."""
    by: str = "mailbox"
    """The way by which it came."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the launcher says about itself."""

    started: bool
    """Whether the command was started."""
    stop: ReceivedStop | None = None
    """The first stop that it read."""
    last: ReceivedStop | None = None
    """The last one, where that is another."""
    sigterm: datetime | None = None
    """When a SIGTERM of the kubelet came."""
    deadline: datetime | None = None
    """When SIGKILL was due, by the node's clock."""
    killed: bool = False
    """Whether the deadline was used."""
    error: str | None = None
    """Why the command could not be started."""


@dataclass(frozen=True, slots=True)
class UserOutcome:
    """What the user's code says about its end."""

    phase: Phase
    """Cancelled, Succeeded or Failed."""
    result: Opaque | None = None
    failure_message: str | None = None
    truncated: bool = False
    """True where the result did not fit, and was left out."""


@dataclass(frozen=True, slots=True)
class Termination:
    """All that a termination message says."""

    receipt: Receipt | None = None
    outcome: UserOutcome | None = None
    invalid: str | None = None
    """Why an outcome that was written does not count."""


def parse(message: str) -> Termination:
    """Read a container's termination message."""
    before, _, last = message.rstrip("\r\n").rpartition("\n")
    receipt = _receipt_of(last)
    rest = (before if receipt else message).strip()
    if not rest:
        return Termination(receipt)
    try:
        found = wire.read_object(rest)
    except wire.Malformed:
        return Termination(receipt, invalid=CUT if receipt else None)
    return _with_outcome(receipt, found)


def _with_outcome(receipt: Receipt | None, found: wire.Json) -> Termination:
    if "outcome" not in found and "invalid" not in found:
        # Without a receipt this is a program's own JSON and claims nothing.
        return Termination(receipt, invalid=CUT if receipt else None)
    try:
        if found.get("invalid") is not None:
            return Termination(receipt, invalid=str(found["invalid"])[:TEXT_LIMIT])
        return Termination(receipt, outcome=_outcome(found))
    except wire.Malformed as error:
        return Termination(receipt, invalid=str(error)[:TEXT_LIMIT])


def _outcome(found: wire.Json) -> UserOutcome:
    phase = found.get("outcome")
    if phase not in list(OUTCOMES):
        raise wire.Malformed("outcome must be Cancelled, Succeeded or Failed")
    failure, result = found.get("failure"), found.get("result")
    if failure is not None and not isinstance(failure, dict):
        raise wire.Malformed('failure must be an object: {"message": "..."}')
    return UserOutcome(
        phase=Phase(phase),
        result=None if result is None else Opaque.of(result),
        failure_message=wire.optional_text(failure or {}, "message", 4 * TEXT_LIMIT),
        truncated=wire.flag(found, "truncated"),
    )


def _receipt_of(line: str) -> Receipt | None:
    try:
        found = wire.read_object(line)
        return _receipt(found)
    except wire.Malformed:
        return None


def _receipt(found: wire.Json) -> Receipt:
    if found.get("receipt") is True or found.get("receipt") != 1 or "started" not in found:
        raise wire.Malformed("not a receipt")
    return Receipt(
        started=wire.flag(found, "started"),
        stop=_stop(found, "stop"),
        last=_stop(found, "last"),
        sigterm=wire.optional_moment(found, "sigterm"),
        deadline=wire.optional_moment(found, "deadline"),
        killed=wire.flag(found, "killed"),
        error=wire.optional_text(found, "error", TEXT_LIMIT),
    )


def _stop(receipt: wire.Json, key: str) -> ReceivedStop | None:
    found = receipt.get(key)
    if found is None:
        return None
    if not isinstance(found, dict) or found.get("mode") not in list(Mode):
        raise wire.Malformed(f"{key} is not a stop")
    return ReceivedStop(
        sequence=wire.count(found, "sequence"),
        command_id=wire.text(found, "commandId", 64),
        mode=Mode(found["mode"]),
        at=wire.moment(found, "at"),
        by=wire.optional_text(found, "by", 16) or "mailbox",
    )
