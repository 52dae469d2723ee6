"""What the controller knows about its own last deeds, until the watches have caught up with them.

Contract: eleven things of an execution or an operation, all safe to lose (a restart forgets them, and what they saved
is done again): refusals of a create, and of a posting or a DELETE, which the core turns into words and waits;
expectations: after a create, a posting or a delete nothing is decided until the pod cache shows it, or PATIENCE is
over; what was posted last; the UID of the pod that was created last (status has it once the pod was seen); since when
its pod is missed, as far as this process has asked; how often in a row something was otherwise than judged, so that a
cache that stays behind leads to no storm; when the counts of an execution's operations were written last; which
operations of a run there were when its stop, or its end, had been stored; and what was pushed last to each pod, with
what its launcher has answered, or that it could not be sent; and whose reconcile waits to see an own deed.
An expectation only saves needless writes: each of them is also guarded by a name, a UID or a resourceVersion. It is
timed by a clock that nobody sets: after a step back of the wall clock a reconcile would wait for as long as the step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.observed.pushes import PushAnswer, Pushed
from desist.lifecycle.observed.questions import CreateAnswer, PodCall, Refusal
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
    """All of it by the UID of what it is about. `clock` gives seconds, and only ever goes forward."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._surprises: dict[str, int] = {}
        self._posted: dict[str, PostMailbox] = {}
        self._refusals: dict[str, tuple[str, CreateAnswer]] = {}
        self._made: dict[str, tuple[str, str]] = {}
        self._missed: dict[str, tuple[str, datetime]] = {}
        self._expected: dict[str, tuple[Expectation, ...]] = {}
        self._awaiting_sight: set[str] = set()
        """UIDs of objects whose reconcile waits until something expected is seen."""
        self._pod_refusals: dict[str, dict[tuple[str, PodCall], Refusal]] = {}
        self._counted: dict[str, datetime] = {}
        self._at_end: dict[str, tuple[str, frozenset[str]]] = {}
        self._pushed: dict[str, dict[str, Pushed]] = {}
        self._unsent: dict[str, set[str]] = {}
        """UIDs of pods to which the last push could not be sent."""

    def pod_refused(self, of: str, refusal: Refusal) -> Refusal:
        """Remember that a posting or a DELETE was refused; gives it with the number of times in a row."""
        known = self._pod_refusals.setdefault(of, {})
        before = known.get((refusal.pod_uid, refusal.call))
        again = before is not None and before.asks == refusal.asks
        counted = replace(refusal, times=before.times + 1 if before is not None and again else refusal.times)
        known[refusal.pod_uid, refusal.call] = counted
        return counted

    def pod_taken(self, of: str, pod_uid: str, call: PodCall) -> None:
        """The call was carried out."""
        self._pod_refusals.get(of, {}).pop((pod_uid, call), None)

    def pod_refusals(self, of: str) -> tuple[Refusal, ...]:
        """What was refused, of each pod and call the last answer."""
        return tuple(self._pod_refusals.get(of, {}).values())

    def refused(self, of: str, pod: str, answer: CreateAnswer) -> None:
        """Remember what the API server said to the create of that pod."""
        self._refusals[of] = (pod, answer)

    def created(self, of: str, pod: str, uid: str) -> None:
        """The pod was created, under that UID: expect to see it."""
        self._refusals.pop(of, None)
        self._made[of] = (pod, uid)
        self._expect(of, lambda pods: any(p.name == pod for p in pods))

    def posted(self, of: str, posting: PostMailbox, resource_version: str) -> None:
        """A mailbox was written: expect to see that version of the pod, or to see it gone."""
        least, uid = int(resource_version), posting.uid
        self._posted[of] = posting
        self._expect(of, lambda pods: all(p.uid != uid or int(p.resource_version) >= least for p in pods))

    def deleted(self, of: str, uid: str) -> None:
        """A pod was deleted: expect to see its deletionTimestamp, or to see it gone."""
        self._expect(of, lambda pods: all(p.uid != uid or p.deletion_timestamp is not None for p in pods))

    def waits(self, of: str, pods: Iterable[PodView]) -> timedelta | None:
        """How long a reconcile has to wait at most for what is expected; None: for nothing any more."""
        seen, now = tuple(pods), self._clock()
        open_ = tuple(e for e in self._expected.get(of, ()) if e.until > now and not e.satisfied(seen))
        if open_:
            self._expected[of] = open_
            self._awaiting_sight.add(of)
            return timedelta(seconds=max(e.until for e in open_) - now)
        self._expected.pop(of, None)
        self._awaiting_sight.discard(of)
        return None

    def awaits_sight(self, of: str) -> bool:
        """Whether something expected was not seen yet when `waits` was asked last: then a reconcile may wait for it."""
        return of in self._awaiting_sight

    def last_posting(self, of: str) -> PostMailbox | None:
        """What was posted last to a pod of the execution."""
        return self._posted.get(of)

    def surprised(self, of: str) -> timedelta:
        """Something was otherwise than it was judged: how long to wait before it is judged again."""
        times = self._surprises.get(of, 0)
        self._surprises[of] = times + 1
        return min(SOON * (1 << min(times, 16)), LATEST)

    def went_well(self, of: str) -> None:
        """A plan was carried out."""
        self._surprises.pop(of, None)

    def refusal(self, of: str, pod: str) -> CreateAnswer | None:
        """The answer to the last create of that pod, if it was refused."""
        refused, answer = self._refusals.get(of, ("", None))
        return answer if refused == pod else None

    def made(self, of: str, pod: str) -> str:
        """UID of that pod, where it was created here last; else empty."""
        made, uid = self._made.get(of, ("", ""))
        return uid if made == pod else ""

    def missed(self, of: str, pod: str, now: datetime) -> datetime:
        """The pod was asked for in vain; gives when that was for the first time since it was found last."""
        known, since = self._missed.get(of, ("", now))
        self._missed[of] = (pod, since if known == pod else now)
        return self._missed[of][1]

    def found(self, of: str) -> None:
        """The current attempt's pod is there."""
        self._missed.pop(of, None)

    def counted(self, of: str, now: datetime) -> None:
        """The counts of its operations were written."""
        self._counted[of] = now

    def counted_at(self, of: str) -> datetime | None:
        """When they were written here last; None: they were not."""
        return self._counted.get(of)

    def listed(self, of: str, run_id: str, operations: frozenset[str]) -> None:
        """A LIST that was made once that run's stop, or its end, was stored has found those; the first one counts."""
        if self.at_end(of, run_id) is None:
            self._at_end[of] = (run_id, operations)

    def at_end(self, of: str, run_id: str | None) -> frozenset[str] | None:
        """UIDs of the operations that it has found; None: none was made."""
        known, found = self._at_end.get(of, (None, None))
        return found if known == run_id else None

    def pushed(self, of: str, push: Pushed) -> Pushed | None:
        """A stop was pushed; gives what was pushed last to the same pod. What that pod has answered is kept."""
        self._unsent.get(of, set()).discard(push.pod_uid)
        known = self._pushed.setdefault(of, {})
        before = known.get(push.pod_uid)
        known[push.pod_uid] = replace(push, answer=before.answer if before is not None else push.answer)
        return before

    def push_answered(self, of: str, pod_uid: str, answer: PushAnswer) -> bool:
        """The pod's launcher has answered; whether that says anything new. What is forgotten stays so."""
        known = self._pushed.get(of, {})
        if pod_uid not in known:
            return False
        before = known[pod_uid].answer
        known[pod_uid] = replace(known[pod_uid], answer=answer)
        return before is None or replace(before, at=answer.at) != answer

    def not_pushed(self, of: str, pod_uid: str) -> None:
        """What `pushed` was told of could not be sent: its pod knows nothing, though it counts as tried."""
        if pod_uid in self._pushed.get(of, {}):
            self._unsent.setdefault(of, set()).add(pod_uid)

    def knows(self, of: str, pod_uid: str, asks: str) -> bool:
        """Whether that was pushed to the pod last, so that it knows, if the datagram has arrived."""
        push = self._pushed.get(of, {}).get(pod_uid)
        return push is not None and push.asks == asks and pod_uid not in self._unsent.get(of, set())

    def pushes(self, of: str) -> tuple[Pushed, ...]:
        """What was pushed, the last to each pod."""
        return tuple(self._pushed.get(of, {}).values())

    def forget(self, of: str) -> None:
        """It has ended or is gone."""
        self._pushed.pop(of, None)
        self._unsent.pop(of, None)
        self._at_end.pop(of, None)
        self._counted.pop(of, None)
        self._refusals.pop(of, None)
        self._expected.pop(of, None)
        self._awaiting_sight.discard(of)
        self._surprises.pop(of, None)
        self._posted.pop(of, None)
        self._pod_refusals.pop(of, None)
        self._made.pop(of, None)
        self._missed.pop(of, None)

    def _expect(self, of: str, satisfied: Satisfied) -> None:
        until = self._clock() + PATIENCE.total_seconds()
        self._expected[of] = (*self._expected.get(of, ()), Expectation(satisfied, until))
