"""The termination message: the launcher's receipt as its first line, then the user's outcome.

Contract: `parse` never raises, whatever the kubelet hands over (nothing, a torn message, a program's own text, the
runtime's error). A receipt that is not whole is no receipt; an outcome that is not valid is said in `invalid` and
ignored. Both come from the pod, where user code can write what it likes: they are taken by their shape, and bounded.
The format is written down in docs/mailbox.md.
The kubelet cuts the end of a message where containers were added to the pod: the receipt stands where no cut comes, and
says what the outcome was. A receipt in the last line is an earlier launcher's; it is read where the first line is none.
Trap: each line but the receipt is the user's. What tells them apart is the member `outcome`: an outcome's is a phase,
and a receipt's never is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from desist.api import outside
from desist.api.base import Opaque
from desist.api.vocabulary import Mode, Phase
from desist.lifecycle.wire import fields

OUTCOMES = (Phase.CANCELLED, Phase.SUCCEEDED, Phase.FAILED)
TEXT_LIMIT = 1024
ABSENT = "absent"
VALID = ("ok", "tooLarge")
OUTCOME_STATES = (ABSENT, "invalid", *VALID)
"""What a receipt may say about the outcome."""
CUT = "the outcome in the termination message cannot be read"


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
class PassedSignal:
    """A signal that is no stop, which the launcher passed on to the command."""

    signal: str
    """Its name, or its number where it has none."""
    at: datetime
    """By the node's clock."""


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
    """When the first SIGTERM came, by the node's clock: the kubelet's, or anybody's in the container."""
    last_sigterm: datetime | None = None
    """When the last one came, where that is another."""
    passed: PassedSignal | None = None
    """The last other signal."""
    deadline: datetime | None = None
    """When SIGKILL was due, by the node's clock."""
    killed: bool = False
    """Whether the deadline was used."""
    refused: int = 0
    """How many processes did not take the stop signal (another user's)."""
    mailbox_error: str | None = None
    """Why the mailbox could not be read when this was written."""
    error: str | None = None
    """Why the command could not be started; where it was, why nobody was told."""


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


@dataclass(frozen=True, slots=True)
class _Said:
    """What a receipt's line says."""

    receipt: Receipt
    state: str
    """Of the outcome: one of OUTCOME_STATES."""
    phase: Phase | None
    """What a valid outcome says; None where the line does not tell."""


@fields.lately
def parse(message: str) -> Termination:
    """Read a container's termination message."""
    lines = message.rstrip("\r\n")
    first, _, after = lines.partition("\n")
    before, _, last = lines.rpartition("\n")
    for line, rest in ((first, after), (last, before)):
        said = _said(line)
        if said is not None:
            return _with_receipt(said, rest.strip())
    try:
        return _with_outcome(None, fields.read_object(first))
    except fields.Malformed:  # the runtime's or a program's own text, which claims nothing
        return Termination()


def _with_receipt(said: _Said, rest: str) -> Termination:
    if not rest and said.state == ABSENT:
        return Termination(said.receipt)
    try:
        return _with_outcome(said.receipt, fields.read_object(rest))
    except fields.Malformed as error:
        if said.phase is not None:
            return Termination(said.receipt, UserOutcome(said.phase, truncated=True))
        return Termination(said.receipt, invalid=f"{CUT}: {error}"[:TEXT_LIMIT])


def _with_outcome(receipt: Receipt | None, found: fields.Json) -> Termination:
    if isinstance(found.get("invalid"), str):
        return Termination(receipt, invalid=f"not a valid outcome: {found['invalid']}"[:TEXT_LIMIT])
    return Termination(receipt, outcome_of(found))


def outcome_of(found: fields.Json) -> UserOutcome:
    """The outcome that user code wrote, from its JSON object. Raises Malformed."""
    if found.get("outcome") not in list(OUTCOMES):
        raise fields.Malformed("outcome must be Cancelled, Succeeded or Failed")
    if fields.too_deep(found):
        raise fields.Malformed(f"objects and lists may be nested at most {fields.NESTING} levels deep")
    result = found.get("result")
    return UserOutcome(
        phase=Phase(found["outcome"]),
        result=None if result is None else Opaque.of(result),
        failure_message=_failure_message(found.get("failure")),
        truncated=found.get("truncated") is True,
    )


def _failure_message(failure: object) -> str | None:
    """The message of `failure`, which users write as an object; a mere text is taken too."""
    message = failure.get("message") if isinstance(failure, dict) else failure
    return outside.text(message, TEXT_LIMIT) if isinstance(message, str) else None


def _said(line: str) -> _Said | None:
    """What a line says that is a receipt; None where it is none."""
    try:
        found = fields.read_object(line)
        if found.get("outcome") not in OUTCOME_STATES:
            return None
        state = fields.text(found, "outcome", 16)
        valid = state in VALID and found.get("says") in list(OUTCOMES)
        return _Said(_receipt(found), state, Phase(found["says"]) if valid else None)
    except fields.Malformed:
        return None


def _receipt(found: fields.Json) -> Receipt:
    if found.get("receipt") is True or found.get("receipt") != 1 or "started" not in found:
        raise fields.Malformed("not a receipt")
    return Receipt(
        started=fields.flag(found, "started"),
        stop=_stop(found, "stop"),
        last=_stop(found, "last"),
        sigterm=fields.optional_moment(found, "sigterm"),
        last_sigterm=fields.optional_moment(found, "lastSigterm"),
        passed=_passed(found),
        deadline=fields.optional_moment(found, "deadline"),
        killed=fields.flag(found, "killed"),
        refused=fields.count(found, "refused") if "refused" in found else 0,
        mailbox_error=fields.optional_text(found, "mailbox", TEXT_LIMIT),
        error=fields.optional_text(found, "error", TEXT_LIMIT),
    )


def _passed(receipt: fields.Json) -> PassedSignal | None:
    if "passed" not in receipt:
        return None
    found = receipt["passed"]
    if not isinstance(found, dict):
        raise fields.Malformed("passed is not a signal")
    return PassedSignal(signal=fields.name(found, "signal", 16), at=fields.moment(found, "at"))


def _stop(receipt: fields.Json, key: str) -> ReceivedStop | None:
    if key not in receipt:
        return None
    found = receipt[key]
    if not isinstance(found, dict) or found.get("mode") not in list(Mode):
        raise fields.Malformed(f"{key} is not a stop")
    return ReceivedStop(
        sequence=fields.count(found, "sequence"),
        command_id=fields.name(found, "commandId", 64),
        mode=Mode(found["mode"]),
        at=fields.moment(found, "at"),
        by=fields.optional_text(found, "by", 16) or "mailbox",
    )
