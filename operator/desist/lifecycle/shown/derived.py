"""Which part of a status says nothing of its own.

Contract: pure. Conditions, `waitingOn`, the `can*` flags and their reasons follow from the rest of the status and from
what one controller sees at the moment; another one, or another version, may see and word it differently. So a write
that differs in nothing else is never urgent, and a status without them decides the same. A write that raises
`observedGeneration` says something: the spec was read.
"""

from __future__ import annotations

from desist.lifecycle.view import Status

DERIVED = (
    "conditions",
    "waiting_on",
    "can_cancel",
    "can_force",
    "can_terminate",
    "can_kill",
    "blocked_reasons",
    "observed_generation",
)


def derived_only(before: Status | None, after: Status) -> bool:
    """Whether a write of `after` over `before` changes nothing but what is derived."""
    if before is None or after.observed_generation > before.observed_generation:
        return False
    return before.replace(**{name: getattr(after, name) for name in DERIVED if hasattr(after, name)}) == after
