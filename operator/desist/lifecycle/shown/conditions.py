"""Conditions: the status in the form that `kubectl wait`, kstatus and Argo CD read.

Contract: derived from the rest of the status alone; `lastTransitionTime` moves only with `status`. `Reconciling` and
`Stalled` are never both True: what cannot begin, Failed and TimedOut are Stalled; every other open run reconciles.
`NodeLost` and `Unkillable` appear when they first are True.
"""

from __future__ import annotations

from dataclasses import dataclass

from desist.api import outside
from desist.api.conditions import ConditionStatus, ConditionType
from desist.api.meta import Condition
from desist.api.vocabulary import Phase, UnconfirmedReason
from desist.lifecycle.run.start import Stall
from desist.lifecycle.run.view import RunStatus, RunView
from desist.lifecycle.view import S, Status, View

STALLED_BYTES, OPEN_BYTES, MESSAGE_BYTES = 4096, 512, 1024
"""Of a condition's message as stored: with `waitingOn`, all of them are at most 16 KiB."""
_LIMITS = {
    ConditionType.STALLED: STALLED_BYTES,
    ConditionType.NODE_LOST: OPEN_BYTES,
    ConditionType.UNKILLABLE: OPEN_BYTES,
}
_BAD = (Phase.FAILED, Phase.TIMED_OUT)
_CANCELLED = (Phase.CANCELLED, Phase.TERMINATED)


@dataclass(frozen=True, slots=True)
class _Fact:
    type: ConditionType
    true: bool
    reason: str
    message: str = ""


def with_conditions(view: View, status: S, stalled: Stall | None) -> S:
    """The status with its conditions; `stalled` is why it cannot begin."""
    before = {condition.type: condition for condition in status.conditions}
    rare = (ConditionType.NODE_LOST, ConditionType.UNKILLABLE)
    facts = [f for f in _facts(view, status, stalled) if f.true or f.type not in rare or f.type in before]
    conditions = tuple(_condition(view, fact, before.get(fact.type)) for fact in facts)
    return status.replace(conditions=conditions)


def _condition(view: View, fact: _Fact, before: Condition | None) -> Condition:
    truth = ConditionStatus.TRUE if fact.true else ConditionStatus.FALSE
    message = outside.fit(fact.message, _LIMITS.get(fact.type, MESSAGE_BYTES))
    generation = view.metadata.generation
    if before is not None and before.status is truth:
        return before.replace(reason=fact.reason, message=message, observed_generation=generation)
    return Condition(
        type=fact.type,
        status=truth,
        reason=fact.reason,
        message=message,
        last_transition_time=view.now,
        observed_generation=generation,
    )


def _facts(view: View, status: Status, cannot_begin: Stall | None) -> tuple[_Fact, ...]:
    phase = status.at
    stalled = _stalled(phase, status, cannot_begin)
    over = phase.terminal
    return (
        _started(view, status),
        _Fact(ConditionType.FINISHED, over, phase.value, _end_message(status) if over else ""),
        _Fact(ConditionType.CANCELLED, phase in _CANCELLED, phase.value, _end_message(status) if over else ""),
        stalled,
        _Fact(ConditionType.RECONCILING, not over and not stalled.true, phase.value, "; ".join(status.waiting_on)),
        _open(status, ConditionType.NODE_LOST, UnconfirmedReason.NODE_LOST),
        _open(status, ConditionType.UNKILLABLE, UnconfirmedReason.UNKILLABLE),
    )


def _started(view: View, status: Status) -> _Fact:
    started = status.start_time is not None
    message = _differs(view, status) if started else "; ".join(status.waiting_on)
    return _Fact(ConditionType.STARTED, started, view.started.value if started else "NotStarted", message)


def _differs(view: View, status: Status) -> str:
    """What the execution says by now, and what runs, where they differ."""
    if not isinstance(view, RunView) or not isinstance(status, RunStatus) or not status.open:
        return ""
    if status.workflow_spec is None:
        return ""
    own, spec = view.spec, status.workflow_spec
    deadline = own.active_deadline_seconds
    in_place = own.workflow_spec
    if in_place is not None:
        in_place = in_place.replace(active_deadline_seconds=spec.active_deadline_seconds)
    changed = {
        "arguments": own.arguments != status.arguments,
        "activeDeadlineSeconds": deadline is not None and deadline != spec.active_deadline_seconds,
        "workflowSpec": in_place is not None and in_place != spec,
    }
    names = ", ".join(name for name, differs in changed.items() if differs)
    return f"changed since the run began, which goes on with what it was started with: {names}" if names else ""


def _stalled(phase: Phase, status: Status, cannot_begin: Stall | None) -> _Fact:
    if cannot_begin is not None:
        return _Fact(ConditionType.STALLED, True, cannot_begin.reason, cannot_begin.message)
    if phase in _BAD:
        return _Fact(ConditionType.STALLED, True, phase.value, _end_message(status))
    return _Fact(ConditionType.STALLED, False, phase.value)


def _open(status: Status, kind: ConditionType, reason: UnconfirmedReason) -> _Fact:
    entries = [entry for entry in status.unconfirmed if entry.reason == reason]
    words = "; ".join(f"pod {entry.pod} on node {entry.node}" for entry in entries)
    return _Fact(kind, bool(entries), reason if entries else "Resolved", words)


def _end_message(status: Status) -> str:
    return status.failure.message if status.failure else ""
