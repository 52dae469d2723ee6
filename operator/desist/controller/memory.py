"""What the controller knows about its own last deeds, until the watches have caught up with them.

Contract: two things an execution, both safe to lose (a restart forgets them, and the next pass does the same again):
refusals of a create, which the core turns into words and waits; and expectations: after a create, a posting or a
delete a pass does nothing until the pod cache shows it, or PATIENCE is over. An expectation only saves needless
writes: each of them is also guarded by a name, a UID or a resourceVersion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from desist.lifecycle.observed import CreateAnswer, PodView

PATIENCE = timedelta(seconds=5)
Satisfied = Callable[[Iterable[PodView]], bool]


@dataclass(frozen=True, slots=True)
class Expectation:
    """Something that the pod cache should show soon."""

    satisfied: Satisfied
    until: datetime


class Memory:
    """Refusals and expectations by execution UID."""

    def __init__(self) -> None:
        self._refusals: dict[str, tuple[str, CreateAnswer]] = {}
        self._expected: dict[str, tuple[Expectation, ...]] = {}

    def refused(self, execution: str, pod: str, answer: CreateAnswer) -> None:
        """Remember what the API server said to the create of that pod."""
        self._refusals[execution] = (pod, answer)

    def created(self, execution: str, pod: str, now: datetime) -> None:
        """The pod was created: expect to see it."""
        self._refusals.pop(execution, None)
        self._expect(execution, lambda pods: any(p.name == pod for p in pods), now)

    def posted(self, execution: str, uid: str, resource_version: str, now: datetime) -> None:
        """A mailbox was written: expect to see that version of the pod, or to see it gone."""
        least = int(resource_version)
        self._expect(execution, lambda pods: all(p.uid != uid or int(p.resource_version) >= least for p in pods), now)

    def deleted(self, execution: str, uid: str, now: datetime) -> None:
        """A pod was deleted: expect to see its deletionTimestamp, or to see it gone."""
        self._expect(execution, lambda pods: all(p.uid != uid or p.deletion_timestamp is not None for p in pods), now)

    def waits_until(self, execution: str, pods: Iterable[PodView], now: datetime) -> datetime | None:
        """How long a pass has to wait at most for what is expected; None: for nothing any more."""
        seen = tuple(pods)
        open_ = tuple(e for e in self._expected.get(execution, ()) if e.until > now and not e.satisfied(seen))
        if open_:
            self._expected[execution] = open_
            return max(e.until for e in open_)
        self._expected.pop(execution, None)
        return None

    def refusal(self, execution: str, pod: str) -> CreateAnswer | None:
        """The answer to the last create of that pod, if it was refused."""
        refused, answer = self._refusals.get(execution, ("", None))
        return answer if refused == pod else None

    def forget(self, execution: str) -> None:
        """The execution has ended or is gone."""
        self._refusals.pop(execution, None)
        self._expected.pop(execution, None)

    def _expect(self, execution: str, satisfied: Satisfied, now: datetime) -> None:
        self._expected[execution] = (*self._expected.get(execution, ()), Expectation(satisfied, now + PATIENCE))
