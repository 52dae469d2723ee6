"""Do what a plan says, in its order, and stop at the first thing that turns out otherwise.

Contract: every action may be repeated, because each is guarded by what was judged: status by its resourceVersion, a
pod by its UID (and version), a create by its name. What the API server knows better ends the plan with `AGAIN`: the
next reconcile decides from what is there. Faults of the API server are raised, for the queue to try again later (but
for a repeated posting, which nothing waits for). A status that was not written ends the plan, unless it differs in
nothing but what is derived: then all else is done, and no Event tells of it. A posting that was pushed waits for the
end of a burst of acceptances, and a DELETE of its pod with it; a repeated one waits while stops are written: what is
late because of a load must not add to it. A plan that takes very long is left to the next reconcile, which comes at
once. A push is handed over at once, is waited for by nobody, and ends no plan. Nothing here decides anything.
Rejected: actions in parallel (an Event before its write, a DELETE before its mailbox).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from desist.api.status import OperationCounts, Stoppable, WorkflowExecutionStatus
from desist.controller.cluster import Cluster
from desist.controller.creates import Creates, NoSlot
from desist.controller.events import Notice, RecordEvent, Subject
from desist.controller.kinds import Key, Kind
from desist.controller.memory import Memory
from desist.controller.outcome import Outcome
from desist.controller.pod_writer import PodWriter
from desist.controller.push import Push
from desist.controller.records import StoppableRecord
from desist.controller.status import StatusWriter
from desist.kube.errors import ApiError
from desist.lifecycle.observed.questions import Answer
from desist.lifecycle.plan import (
    AFTER_POST,
    Action,
    CreatePod,
    DeletePod,
    EmitEvent,
    Plan,
    PostMailbox,
    PushStop,
    WakeAt,
    WriteStatus,
)
from desist.lifecycle.shown.derived import derived_only

logger = logging.getLogger(__name__)
REPEAT_RETRY = timedelta(seconds=5)
"""Before a repeat that failed is tried again."""
REPEAT_YIELDS, REPEAT_YIELDS_UNTIL = timedelta(seconds=1), timedelta(seconds=15)
"""How long a repeat waits while stops are written, and how long in all."""
BURST_YIELDS = timedelta(seconds=0.5)
"""How long what was pushed already is not posted, and its run not looked at, while a burst of stops is accepted."""
LONGEST_PLAN = timedelta(seconds=30)
"""After so long a plan does nothing more to pods: many calls that are slow, each within its bounds, are together none
that hangs, and a reconcile that does not come back ends the process (`work.LONGEST_RECONCILE`)."""
Note = Callable[[Any], object]


def _unnoted(_: Any) -> None:
    pass


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Result:
    """What a plan came to."""

    outcome: Outcome
    wake_at: datetime | None = None
    record: StoppableRecord | None = None
    """The object as the status write returned it; None where nothing was written."""
    stale: str | None = None
    """UID of a pod that is not, or not any more, what the cache shows."""


@dataclass(frozen=True, slots=True)
class Applier:
    """Applies plans of one kind."""

    kind: Kind[Any]
    cluster: Cluster
    status: StatusWriter
    creates: Creates
    memory: Memory
    push: Push
    record_event: RecordEvent
    clock: Callable[[], datetime]
    leave: Callable[[Key], None] = _unnoted
    """The reconcile of that object goes on without a place in the queue."""

    async def apply(
        self, plan: Plan, record: StoppableRecord, note: Note = _unnoted, holds: Callable[[], bool] = _always
    ) -> Result:
        """Do the plan for that object. Raises kube's errors where the API server is at fault.

        `note` is told at once what a status write returned: it holds whatever becomes of the rest, and who waits for it
        begins meanwhile. `holds`: whether what a start was judged by still is so; asked before a pod is created.
        """
        run, until = _Run(self, record, note, holds), self.clock() + LONGEST_PLAN
        for action in plan.actions:
            if isinstance(action, CreatePod | PostMailbox | DeletePod) and self.clock() >= until:
                return Result(Outcome.DONE, self.clock(), run.written)
            outcome = await run.do(action)
            if outcome is not Outcome.DONE:
                return Result(outcome, run.wake_at, run.written, run.stale)
        return Result(Outcome.DONE, run.wake_at, run.written)


class _Run:
    """One plan on its way."""

    def __init__(self, applier: Applier, record: StoppableRecord, note: Note, holds: Callable[[], bool]) -> None:
        self._kind = applier.kind
        self._holds = holds
        self._creates = applier.creates
        self._memory = applier.memory
        self._push = applier.push
        self._clock = applier.clock
        self._leave = applier.leave
        self._cluster = applier.cluster
        self._pods = PodWriter(applier.cluster, applier.memory, applier.clock)
        self._record_event = applier.record_event
        self._status = applier.status
        self._record = record
        self._note = note
        self._key = Key(applier.kind.name, record.metadata.uid)
        self._metadata = record.metadata
        """As the last write returned it."""
        self._posted: dict[str, str] = {}
        self._put_off: set[str] = set()
        """UIDs of pods whose posting waits: they are not deleted before it."""
        self.wake_at: datetime | None = None
        self.written: StoppableRecord | None = None
        self.stale: str | None = None
        self._pushed: bool | None = None
        """Whether all stops that this plan pushes could be sent, or still wait to be; None: it pushes none."""
        self.unwritten = False
        """Whether what is only derived was not written: the rest of the plan needs none of it."""

    async def do(self, action: Action) -> Outcome:
        """One action."""
        match action:
            case WriteStatus():
                return await self._write(action)
            case CreatePod():
                return await self._create(action)
            case PushStop():
                self._push.send(self._key, action)
                sent = self._memory.knows(self._key.uid, action.uid, action.asks)
                self._pushed = sent and self._pushed is not False
                return Outcome.DONE
            case PostMailbox():
                return await self._post(action)
            case DeletePod():
                return await self._delete(action)
            case EmitEvent():
                return self._tell(action)
            case WakeAt():
                self._wake(self._past_burst(action.when))
                return Outcome.DONE
            case _:
                assert_never(action)

    async def _write(self, action: WriteStatus) -> Outcome:
        written = await self._status.write(self._record, action.status)
        if written.record is not None:
            self._note(written.record)
            self.written = written.record
            self._metadata = written.record.metadata
            if _counts(action.status) != _counts(self._record.status):
                self._memory.counted(self._metadata.uid, self._clock())
        if written.again_at is not None:
            self._wake(written.again_at)
        if written.outcome is Outcome.UNWRITTEN and derived_only(self._record.status, action.status):
            # Nothing hangs on what is only derived.
            self.unwritten = True
            return Outcome.DONE
        return written.outcome

    def _tell(self, action: EmitEvent) -> Outcome:
        """An Event tells of what was written."""
        notice = Notice(action.reason, action.message, action.warning)
        if not self.unwritten and self._status.is_news(self._metadata.uid, notice):
            self._record_event(Subject(self._kind, self._metadata), notice)
        return Outcome.DONE

    def _wake(self, when: datetime) -> None:
        self.wake_at = when if self.wake_at is None else min(self.wake_at, when)

    def _past_burst(self, when: datetime) -> datetime:
        """After pushes the next reconcile has to post, which a burst would put off again: it comes after that."""
        burst = self._pushed and self._cluster.burst_of_stops()
        return max(when, self._clock() + BURST_YIELDS) if burst else when

    async def _create(self, action: CreatePod) -> Outcome:
        uid = self._metadata.uid
        if not self._holds():
            logger.debug("pod %s is not created: what it was judged by has changed", action.name)
            return Outcome.AGAIN
        try:
            answer = await self._creates.create(self._key, self._record.owner, action.name, action.manifest)
        except NoSlot as later:
            logger.debug("pod %s is created later: %s", action.name, later)
            return Outcome.DONE
        if answer.answer is Answer.PASSED:
            logger.info("pod %s created", action.name)
            self._memory.created(uid, action.name, answer.pod_uid)
            return Outcome.DONE
        logger.warning("pod %s was refused (%s): %s", action.name, answer.answer, answer.message)
        self._memory.refused(uid, action.name, replace(answer, at=self._clock()))
        return Outcome.AGAIN

    async def _post(self, action: PostMailbox) -> Outcome:
        if action.again and self._cluster.busy_with_stops() and self._clock() < action.again + REPEAT_YIELDS_UNTIL:
            self._wake(self._clock() + REPEAT_YIELDS)
            return Outcome.DONE
        if self._memory.knows(self._key.uid, action.uid, action.asks):
            if action.started and self._cluster.burst_of_stops():
                self._put_off.add(action.uid)
                self._wake(self._clock() + BURST_YIELDS)
                return Outcome.DONE
            # Its pod knows: where admission of pods hangs, no other stop waits for that to be accepted.
            self._leave(self._key)
        try:
            done = await self._pods.post(self._record, action)
        except ApiError as error:
            return self._not_repeated(action, error)
        if done.version:
            self._posted[action.uid] = done.version
        return self._taken(action, done.outcome)

    def _not_repeated(self, action: PostMailbox, error: ApiError) -> Outcome:
        """A repeat that fails must not put off what else there is to do for this object. Raises for any other."""
        if not action.again:
            raise error
        logger.warning("the stop of pod %s could not be posted again: %s", action.pod, error)
        self._wake(self._clock() + REPEAT_RETRY)
        return Outcome.DONE

    async def _delete(self, action: DeletePod) -> Outcome:
        if action.uid in self._put_off:
            return Outcome.DONE
        version = action.resource_version
        if version == AFTER_POST:
            version = self._posted[action.uid]
        return self._taken(action, await self._pods.delete(self._record, action, version))

    def _taken(self, action: PostMailbox | DeletePod, outcome: Outcome) -> Outcome:
        if outcome is Outcome.AGAIN:
            logger.debug("pod %s is not what was judged, or refused: deciding again", action.pod)
            self.stale = action.uid
        return outcome


def _counts(status: Stoppable | None) -> OperationCounts | None:
    """How many operations an execution's status counts."""
    return status.operations if isinstance(status, WorkflowExecutionStatus) else None
