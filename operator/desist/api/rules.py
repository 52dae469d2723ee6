"""The CEL rules of the custom resources: what the API server refuses, whoever asks, and in which words.

Contract: these hold also while the controller is down, and against administrators. One rule says one thing, so that
the message names exactly what was weakened, what is in force and what is allowed instead. They see a request and the
stored object, so a stop that was stored is never lost; what is in force by a deadline or an escalation they cannot
see, and the controller judges against that.
Traps: a rule below `status` is not asked when `status` is removed, so rules that must hold then sit at the root.
Optional chains (`a.?b.?c`) exceed the cost limit where `has()` does not. Strings in rules need a `maxLength`.
Rejected: one rule for all of it (its message could only say "weakened"), and an admission webhook (it would stand in
the way of every stop).
"""

from __future__ import annotations

from dataclasses import dataclass

from desist.api.markers import Rule
from desist.api.outside import UNPRINTABLE
from desist.api.vocabulary import OPERATION_MODES, TERMINAL_PHASES, Mode, OnLostNode

MAX_TEXT_BYTES = 2048
_PRINTABLE = "^[^" + "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in UNPRINTABLE) + "]*$"

_TERMINAL = "[" + ", ".join(f"'{phase}'" for phase in TERMINAL_PHASES) + "]"
_STRENGTH = "{" + ", ".join(f"'{mode}': {mode.strength}" for mode in Mode) + "}"
_OLD = "oldSelf.spec.cancellation"
_NEW = "self.spec.cancellation"
_OLD_RUN = "oldSelf.status.runId"
_HAS_OLD_RUN = f"has(oldSelf.status) && has({_OLD_RUN})"
_ENDED = f"has(oldSelf.status) && has(oldSelf.status.phase) && oldSelf.status.phase in {_TERMINAL}"
_OTHER_RUN = f"has({_OLD}.runId) && !({_HAS_OLD_RUN} && {_OLD}.runId == {_OLD_RUN})"
_FREE = f"!has({_OLD}) || ({_ENDED}) || ({_OTHER_RUN})"
"""Nothing is being stopped: no request, or it has ended, or the request names a run that is not the current one."""

_STAYS = "the request cannot be removed"
_MODE = "the mode cannot become weaker"
_GRACE = "gracePeriodSeconds can be shortened, not lengthened or left out"
_KILL_AFTER = "killAfterSeconds can be shortened, not lengthened or left out, unless the mode becomes Kill"
_FORGET = "onLostNode: Forget cannot be taken back"
_RUN = "runId can name only the current run, or be left out"


@dataclass(frozen=True, slots=True)
class _Stopped:
    """What the rules of a kind are about, and the modes that it has."""

    what: str
    modes: tuple[Mode, ...]

    @property
    def allowed(self) -> str:
        """A CEL map: for each mode, itself and all that are stronger, as one would say it."""
        return "{" + ", ".join(f"'{mode}': '{self._and_stronger(mode)}'" for mode in self.modes) + "}"

    def _and_stronger(self, mode: Mode) -> str:
        names = [str(other) for other in self.modes if other.strength >= mode.strength]
        return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)

    def told(self, text: str, *values: str) -> str:
        """A CEL message: the mode in force, then `text`, whose %s and %d stand for the CEL values."""
        given = ", ".join((f"{_OLD}.mode", *values))
        return f"'{self.what} is being stopped with mode %s; until it has ended {text}'.format([{given}])"

    def never_weaker(self, field: str, holds: str, plain: str, told: str) -> Rule:
        """A rule that asks `holds` of a request that stays, while a stop is in force.

        `plain` ends the message where there are no values to name, `told` is the CEL message that names them.
        """
        return Rule(
            rule=f"{_FREE} || !has({_NEW}) || {holds}",
            message=f"{self.what} is being stopped; until it has ended {plain}",
            message_expression=told,
            field_path=f".spec.cancellation.{field}",
        )


def _stop_rules(of: _Stopped) -> tuple[Rule, ...]:
    """While it is open, the request to stop it can be strengthened, never weakened or removed."""
    return (
        Rule(
            rule=f"{_FREE} || has({_NEW})",
            message=f"{of.what} is being stopped; until it has ended {_STAYS}",
            message_expression=of.told(f"{_STAYS}; allowed: %s", f"{of.allowed}[{_OLD}.mode]"),
            field_path=".spec.cancellation",
        ),
        of.never_weaker(
            "mode",
            f"{_STRENGTH}[{_NEW}.mode] >= {_STRENGTH}[{_OLD}.mode]",
            _MODE,
            of.told("the mode cannot become %s; allowed: %s", f"{_NEW}.mode", f"{of.allowed}[{_OLD}.mode]"),
        ),
        of.never_weaker(
            "gracePeriodSeconds",
            f"!has({_OLD}.gracePeriodSeconds) || (has({_NEW}.gracePeriodSeconds)"
            f" && {_NEW}.gracePeriodSeconds <= {_OLD}.gracePeriodSeconds)",
            _GRACE,
            of.told(f"{_GRACE}; allowed: 1 to %d", f"{_OLD}.gracePeriodSeconds"),
        ),
        of.never_weaker(
            "killAfterSeconds",
            f"!has({_OLD}.killAfterSeconds) || {_NEW}.mode == '{Mode.KILL}' || (has({_NEW}.killAfterSeconds)"
            f" && {_NEW}.killAfterSeconds <= {_OLD}.killAfterSeconds)",
            _KILL_AFTER,
            of.told(f"{_KILL_AFTER}; allowed: 1 to %d", f"{_OLD}.killAfterSeconds"),
        ),
        of.never_weaker(
            "onLostNode",
            f"!has({_OLD}.onLostNode) || {_OLD}.onLostNode != '{OnLostNode.FORGET}' || (has({_NEW}.onLostNode)"
            f" && {_NEW}.onLostNode == '{OnLostNode.FORGET}')",
            _FORGET,
            of.told(_FORGET),
        ),
    )


def _ended_rules(what: str) -> tuple[Rule, ...]:
    """A terminal phase, and whose it is, never change."""
    return (
        Rule(
            rule=f"!({_ENDED}) || (has(self.status) && has(self.status.phase)"
            " && self.status.phase == oldSelf.status.phase)",
            message=f"{what} has ended; its terminal phase never changes",
            message_expression=f"'{what} has ended as ' + oldSelf.status.phase + '; its terminal phase never changes'",
            field_path=".status.phase",
        ),
        Rule(
            rule=f"!({_ENDED}) || !has({_OLD_RUN}) || !has(self.status)"
            f" || (has(self.status.runId) && self.status.runId == {_OLD_RUN})",
            message=f"{what} has ended; its runId never changes",
            message_expression=f"'the run ' + {_OLD_RUN} + ' has ended; its runId never changes'",
            field_path=".status.runId",
        ),
    )


_EXECUTION = _Stopped("the run", tuple(Mode))
_OPERATION = _Stopped("the operation", OPERATION_MODES)
_RUN_STAYS = _EXECUTION.never_weaker(
    "runId",
    f"!has({_NEW}.runId) || ({_HAS_OLD_RUN} && {_NEW}.runId == {_OLD_RUN})",
    _RUN,
    _EXECUTION.told(f"{_RUN}; %s", f"{_HAS_OLD_RUN} ? 'the current run is ' + {_OLD_RUN} : 'no run has begun'"),
)
EXECUTION_RULES = (*_stop_rules(_EXECUTION), _RUN_STAYS, *_ended_rules("the run"))
OPERATION_RULES = (*_stop_rules(_OPERATION), *_ended_rules("the operation"))
OPERATION_MODE = Rule(
    rule="self.mode in [" + ", ".join(f"'{mode}'" for mode in OPERATION_MODES) + "]",
    message=f"an operation is stopped by {' or '.join(OPERATION_MODES)}; Force and Terminate are for the execution",
    field_path=".mode",
)
OPERATION_RUN = Rule(
    rule="!has(self.runId)",
    message="an operation belongs to one run, spec.runId; leave runId out",
    field_path=".runId",
)
ONE_WORK = Rule(
    rule="[has(self.pod), has(self.local), has(self.timer)].filter(it, it).size() == 1",
    message="set exactly one of pod (runs in a pod), local (ran in the workflow process) and timer",
)
ONE_COMMAND = Rule(
    rule="!has(self.command) || self.command.size() > 0",
    message="a command has at least one word",
    field_path=".command",
)


def _printable(field: str) -> Rule:
    """A rule for a text that people read in a terminal. What was stored before this rule may stay as it is.

    It sits above the field: a copy of an old request goes into status, and a stronger mode must not fail on it.
    """
    same = f"oldSelf.hasValue() && has(oldSelf.value().{field}) && oldSelf.value().{field} == self.{field}"
    return Rule(
        rule=f"!has(self.{field}) || self.{field}.matches(r'{_PRINTABLE}') || ({same})",
        message="must be printable text; newline and tab are allowed, other control characters (escape, carriage "
        "return, ...) and characters that turn the reading direction are not",
        field_path=f".{field}",
        also_on_create=True,
    )


PRINTABLE = tuple(_printable(field) for field in ("reason", "details", "requestId"))
PRINTABLE_KEY = _printable("key")

ONE_WORKFLOW = Rule(
    rule="has(self.workflowRef) != has(self.workflowSpec)",
    message="set exactly one of workflowRef (the name of a Workflow) and workflowSpec (a Workflow's spec in place)",
)
TEXT_BYTES = Rule(
    rule=f"bytes(self).size() <= {MAX_TEXT_BYTES}",
    message=f"at most 1,024 characters and {MAX_TEXT_BYTES:,} bytes of UTF-8",
)
RUN_ID = Rule(
    rule="self.matches('^[0-9A-HJKMNP-TV-Z]{26}$')",
    message="must be a run's id as status.runId shows it: 26 digits and capital letters (a ULID)",
)
