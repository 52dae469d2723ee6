"""What the controller knows about its own last deeds, until the watches have caught up with them.

Contract: seven things an execution, all safe to lose (a restart forgets them, and what they saved is done again):
refusals of a create, and of a posting or a DELETE, which the core turns into words and waits; expectations: after a
create, a posting or a delete nothing is decided until the pod cache shows it, or PATIENCE is over; what was posted
last; the UID of the pod that was created last (status has it once the pod was seen); since when its pod is missed, as
far as this process has asked; and how often in a row something was otherwise than judged, so that a cache that stays
behind leads to no storm.
An expectation only saves needless writes: each of them is also guarded by a name, a UID or a resourceVersion. It is
timed by a clock that nobody sets: after a step back of the wall clock a reconcile would wait for as long as the step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from desist.lifecycle.observed import CreateAnswer, PodCall, PodView, Refusal
from desist.lifecycle.plan import PostMailbox

PATIENCE = timedelta(seconds=5)
SOON = timedelta(milliseconds=10)
"""Before a plan that met something else is decided again; doubles each time in a row."""
LATEST = timedelta(seconds=1)
"""The longest that this becomes."""
Satisfied = Callable[[Iterable[PodView]], bool]


@dataclass(frozen=True, slots=True)
class Expectation:
    """Something that the pod cache should show soon."""

    satisfied: Satisfied
    until: float
    """By the clock of `Memory`."""


class Memory:
    """Refusals, expectations and surprises by execution UID. `clock` gives seconds, and only ever goes forward."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._surprises: dict[str, int] = {}
        self._posted: dict[str, PostMailbox] = {}
        self._refusals: dict[str, tuple[str, CreateAnswer]] = {}
        self._made: dict[str, tuple[str, str]] = {}
        self._missed: dict[str, tuple[str, datetime]] = {}
        self._expected: dict[str, tuple[Expectation, ...]] = {}
        self._pod_refusals: dict[str, dict[tuple[str, PodCall], Refusal]] = {}

    def pod_refused(self, execution: str, refusal: Refusal) -> Refusal:
        """Remember that a posting or a DELETE was refused; gives it with the number of times in a row."""
        known = self._pod_refusals.setdefault(execution, {})
        before = known.get((refusal.pod_uid, refusal.call))
        again = before is not None and before.asks == refusal.asks
        counted = replace(refusal, times=before.times + 1 if before is not None and again else refusal.times)
        known[refusal.pod_uid, refusal.call] = counted
        return counted

    def pod_taken(self, execution: str, pod_uid: str, call: PodCall) -> None:
        """The call was carried out."""
        self._pod_refusals.get(execution, {}).pop((pod_uid, call), None)

    def pod_refusals(self, execution: str) -> tuple[Refusal, ...]:
        """What was refused, of each pod and call the last answer."""
        return tuple(self._pod_refusals.get(execution, {}).values())

    def refused(self, execution: str, pod: str, answer: CreateAnswer) -> None:
        """Remember what the API server said to the create of that pod."""
        self._refusals[execution] = (pod, answer)

    def created(self, execution: str, pod: str, uid: str) -> None:
        """The pod was created, under that UID: expect to see it."""
        self._refusals.pop(execution, None)
        self._made[execution] = (pod, uid)
        self._expect(execution, lambda pods: any(p.name == pod for p in pods))

    def posted(self, execution: str, posting: PostMailbox, resource_version: str) -> None:
        """A mailbox was written: expect to see that version of the pod, or to see it gone."""
        least, uid = int(resource_version), posting.uid
        self._posted[execution] = posting
        self._expect(execution, lambda pods: all(p.uid != uid or int(p.resource_version) >= least for p in pods))

    def deleted(self, execution: str, uid: str) -> None:
        """A pod was deleted: expect to see its deletionTimestamp, or to see it gone."""
        self._expect(execution, lambda pods: all(p.uid != uid or p.deletion_timestamp is not None for p in pods))

    def waits(self, execution: str, pods: Iterable[PodView]) -> timedelta | None:
        """How long a reconcile has to wait at most for what is expected; None: for nothing any more."""
        seen, now = tuple(pods), self._clock()
        open_ = tuple(e for e in self._expected.get(execution, ()) if e.until > now and not e.satisfied(seen))
        if open_:
            self._expected[execution] = open_
            return timedelta(seconds=max(e.until for e in open_) - now)
        self._expected.pop(execution, None)
        return None

    def last_posting(self, execution: str) -> PostMailbox | None:
        """What was posted last to a pod of the execution."""
        return self._posted.get(execution)

    def surprised(self, execution: str) -> timedelta:
        """Something was otherwise than it was judged: how long to wait before it is judged again."""
        times = self._surprises.get(execution, 0)
        self._surprises[execution] = times + 1
        return min(SOON * (1 << min(times, 16)), LATEST)

    def went_well(self, execution: str) -> None:
        """A plan was carried out."""
        self._surprises.pop(execution, None)

    def refusal(self, execution: str, pod: str) -> CreateAnswer | None:
        """The answer to the last create of that pod, if it was refused."""
        refused, answer = self._refusals.get(execution, ("", None))
        return answer if refused == pod else None

    def made(self, execution: str, pod: str) -> str:
        """UID of that pod, where it was created here last; else empty."""
        made, uid = self._made.get(execution, ("", ""))
        return uid if made == pod else ""

    def missed(self, execution: str, pod: str, now: datetime) -> datetime:
        """The pod was asked for in vain; gives when that was for the first time since it was found last."""
        known, since = self._missed.get(execution, ("", now))
        self._missed[execution] = (pod, since if known == pod else now)
        return self._missed[execution][1]

    def found(self, execution: str) -> None:
        """The current attempt's pod is there."""
        self._missed.pop(execution, None)

    def forget(self, execution: str) -> None:
        """The execution has ended or is gone."""
        self._refusals.pop(execution, None)
        self._expected.pop(execution, None)
        self._surprises.pop(execution, None)
        self._posted.pop(execution, None)
        self._pod_refusals.pop(execution, None)
        self._made.pop(execution, None)
        self._missed.pop(execution, None)

    def _expect(self, execution: str, satisfied: Satisfied) -> None:
        until = self._clock() + PATIENCE.total_seconds()
        self._expected[execution] = (*self._expected.get(execution, ()), Expectation(satisfied, until))
