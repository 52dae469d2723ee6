"""View: one observation at one time, with the look-ups that all steps of a reconcile share.

Contract: it finds, and never judges. `View` is what a reconcile needs to know of its object, whatever kind that is: a
run (run/view.py) and an operation (operation/view.py) tell it each in their way, and no step asks which it is. A pod is
the attempt's if its UID is the one in status, so that a pod of the same name that came later is never taken for it.
While status has none, it has the attempt's name, run and number, and either this process made it or the launcher is in
front of its command; that it lies in the execution's namespace, and that the execution is its controller, is known of
every pod that is observed. What a step comes to is a `Step`: the status that follows, what is to be asked first, and
when to look again.
Rejected: to ask for the launcher after a 409 alone (a new process knows of none, and would take what its predecessor
had found to be another's), and always (admission may hide the launcher in a script; what was made is known by its UID).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Any, ClassVar, TypeVar, TypeVarTuple

from desist.api import outside
from desist.api.base import Opaque
from desist.api.cancellation import Cancellation
from desist.api.meta import ObjectMeta
from desist.api.records import CommandRecord
from desist.api.status import ProcessStatus, Stoppable
from desist.api.vocabulary import CommandStatus, HistoryType, Phase, ProcessRole
from desist.api.workflow import RetryPolicy, StopPolicy
from desist.lifecycle.graces import grace_of_unstarted
from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.observed.questions import NOTHING, Questions, WantedPod
from desist.lifecycle.observed.sight import Sight
from desist.lifecycle.pod import template
from desist.lifecycle.proof.process import Process
from desist.lifecycle.settings import Settings

S = TypeVar("S", bound=Stoppable)
V = TypeVar("V", bound="View")
T = TypeVar("T")
Values = TypeVarTuple("Values")
Status = Stoppable
ROLES = (ProcessRole.WORKFLOW, ProcessRole.OPERATION)
"""The roles of a current attempt's process."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of a reconcile comes to."""

    status: Status
    again: tuple[datetime | None, ...] = ()
    """Times at which the step may come to something else, by time alone; None stands for never."""
    asks: Questions = NOTHING
    """What must be known first; the status is then that of before."""


def once(find: Callable[[V, *Values], T]) -> Callable[[V, *Values], T]:
    """Keep what was found of a status (and of a part of it), since most steps ask for the same.

    By identity, as to hash a status costs more than to find anything; so what was asked about is kept, too.
    """

    @wraps(find)
    def found(view: V, *about: *Values) -> T:
        key = (find, *map(id, about))
        held = view.found.get(key)
        if held is None:
            held = view.found[key] = (find(view, *about), about)
        answer: T = held[0]
        return answer

    return found


@dataclass(frozen=True, slots=True)
class View(ABC):
    """What a reconcile looks at."""

    observed: Sight
    now: datetime
    found: dict[Hashable, tuple[Any, object]] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What `once` keeps."""
    role: ClassVar[ProcessRole]
    """Of the current attempt's process."""
    started: ClassVar[HistoryType]
    """The history entry of its first process."""

    @property
    @abstractmethod
    def metadata(self) -> ObjectMeta:
        """Of the object."""

    @property
    @abstractmethod
    def request(self) -> Cancellation | None:
        """What spec.cancellation asks for."""

    @property
    @abstractmethod
    def startable(self) -> bool:
        """Whether anything may be started for it."""

    @abstractmethod
    def retry(self, status: Status) -> RetryPolicy:
        """How often what failed is tried again."""

    @abstractmethod
    def policy(self, status: Status) -> StopPolicy:
        """How it likes to be stopped."""

    @abstractmethod
    def active_deadline_seconds(self, status: Status) -> int | None:
        """Seconds that it may take, from its acceptance on."""

    @abstractmethod
    def template(self, status: Status) -> Opaque | None:
        """The pod template that its attempts are made of; None: it is not known, or not any more."""

    @abstractmethod
    def pod_name(self, run_id: str, attempt: int) -> str:
        """Name of an attempt's pod."""

    @abstractmethod
    def first_run_id(self) -> str:
        """Id of the run that begins now, or that it belongs to."""

    @abstractmethod
    def manifest(self, status: Status, wanted: WantedPod) -> Opaque | None:
        """The current attempt's pod; None: what it is made of is not known."""

    @abstractmethod
    def ended(self, phase: Phase) -> HistoryType:
        """The history entry of a terminal phase."""

    def commands(self, status: Status) -> tuple[CommandRecord, ...]:
        """The records of all commands by which its process may have been told."""
        return status.commands

    def accepted_ids(self, status: Status) -> frozenset[str]:
        """Ids of the commands that were accepted in this run: what its launchers may have been told."""
        records = (record for record in self.commands(status) if record.status is CommandStatus.ACCEPTED)
        return frozenset(record.id for record in records if record.resolved_run_id == status.run_id)

    def sequence(self, status: Status) -> int:
        """The lowest sequence of what is posted now: it rises with each command."""
        return max(status.command_count, 1)

    def unstarted_grace(self, status: Status, force: CommandRecord, process: Process) -> int:
        """Seconds for the DELETE of a pod whose container has never started, by what is in force."""
        grace = status.stop.grace_period_seconds
        return grace_of_unstarted(force.mode, grace, int(process.grace_seconds), self.policy(status))

    def tries_again(self, status: Status) -> bool:
        """Whether an attempt that failed is followed by another."""
        return status.at.unstopped and (status.failed_attempts or 0) + 1 < self.retry(status).maximum_attempts

    def runs_again(self, status: Status) -> bool:
        """Whether an attempt that a node or a drain has ended is followed by another."""
        return True

    @property
    def timed(self) -> bool:
        """Whether it is a timer: it has a time at which it is due, and no process."""
        return False

    @property
    def uid(self) -> str:
        """The object's UID."""
        return self.metadata.uid

    @property
    def settings(self) -> Settings:
        """The administrator's settings."""
        return self.observed.settings

    def template_lost(self, status: Status) -> bool:
        """Whether what its pods are made of is not known, so that none can be made."""
        found = self.template(status)
        return found is None or bool(template.refusals(found.value))

    @once
    def current(self, status: Status) -> Process | None:
        """The current attempt's process."""
        held = current(status)
        return self.process(status, held) if held else None

    def late(self, status: Status) -> tuple[Process, ...]:
        """The late starts that status lists."""
        return tuple(self.process(status, held) for held in status.processes if held.role is ProcessRole.LATE_START)

    @once
    def process(self, status: Status, held: ProcessStatus) -> Process:
        """A process that status lists, with all that bears on it."""
        present = self._find(status, held, self.observed.pods)
        pod = self._find(status, held, self.observed.deleted) or present
        return Process(
            status=held,
            pod=pod,
            present=present is not None and present is pod,
            node=self.observed.node(held.node) if held.node else None,
            # Whoever may write pods may have made one of ours with any grace.
            grace_seconds=outside.grace(pod.grace_seconds if pod else self._template_grace(status)),
            settings=self.settings,
            node_live=held.node in self.observed.live_nodes,
            pod_live=self.observed.live_pod and held.role in ROLES,
            missed_since=self.observed.missed_since if held.role in ROLES else None,
            began=self.observed.began,
            refusals=tuple(r for r in self.observed.refusals if pod is not None and r.pod_uid == pod.uid),
            pushed=next((p for p in self.observed.pushes if pod is not None and p.pod_uid == pod.uid), None),
        )

    def _find(self, status: Status, held: ProcessStatus, pods: Iterable[PodView]) -> PodView | None:
        if held.pod_uid is not None:
            return next((pod for pod in pods if pod.uid == held.pod_uid), None)
        named = (p for p in pods if (p.name, p.run_id, p.attempt) == (held.pod, status.run_id, status.attempt))
        return next((p for p in named if p.launched or p.uid == self.observed.made), None)

    def _template_grace(self, status: Status) -> int:
        found = self.template(status)
        grace = ((found.value if found else {}).get("spec") or {}).get("terminationGracePeriodSeconds")
        return grace if isinstance(grace, int) else template.DEFAULT_GRACE


def current(status: Status) -> ProcessStatus | None:
    """What status knows of the current attempt's process."""
    return next((process for process in status.processes if process.role in ROLES), None)


def with_current(status: S, process: ProcessStatus) -> S:
    """The same, with another state of the current attempt's process."""
    others = tuple(p for p in status.processes if p.role not in ROLES)
    return status.replace(processes=(process, *others))
