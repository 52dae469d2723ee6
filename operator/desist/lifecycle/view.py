"""View: one observation at one time, with the look-ups that all steps of a reconcile share.

Contract: it finds, and never judges. A pod is the attempt's if its UID is the one in status, so that a pod of the same
name that came later is never taken for it. While status has none, it has the attempt's name, run and number, and
either this process made it or the launcher is in front of its command; that it lies in the execution's namespace, and
that the execution is its controller, is known of every pod that is observed.
What a step comes to is a `Step`: the status that follows, what is to be asked first, and when to look again.
Rejected: to ask for the launcher after a 409 alone (a new process knows of none, and would take what its predecessor
had found to be another's), and always (admission may hide the launcher in a script; what was made is known by its UID).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from desist.api import outside
from desist.api.execution import WorkflowExecutionSpec
from desist.api.status import ProcessStatus, WorkflowExecutionStatus
from desist.api.vocabulary import CommandStatus, ProcessRole
from desist.api.workflow import StopPolicy
from desist.lifecycle.observed import NOTHING, Observed, PodView, Questions
from desist.lifecycle.pod.template import DEFAULT_GRACE
from desist.lifecycle.proof.process import Process
from desist.lifecycle.settings import Settings

Status = WorkflowExecutionStatus


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of a reconcile comes to."""

    status: Status
    again: tuple[datetime | None, ...] = ()
    """Times at which the step may come to something else, by time alone; None stands for never."""
    asks: Questions = NOTHING
    """What must be known first; the status is then that of before."""


@dataclass(frozen=True, slots=True)
class View:
    """What a reconcile looks at."""

    observed: Observed
    now: datetime

    @property
    def uid(self) -> str:
        """The execution's UID."""
        return self.observed.execution.metadata.uid

    @property
    def spec(self) -> WorkflowExecutionSpec:
        """What the user asks for."""
        return self.observed.execution.spec

    @property
    def settings(self) -> Settings:
        """The administrator's settings."""
        return self.observed.settings

    @property
    def startable(self) -> bool:
        """Whether anything may be started: not for an execution that is being deleted."""
        return self.observed.execution.metadata.deletion_timestamp is None

    def current(self, status: Status) -> Process | None:
        """The current attempt's workflow process."""
        held = current(status)
        return self.process(status, held) if held else None

    def late(self, status: Status) -> tuple[Process, ...]:
        """The late starts that status lists."""
        return tuple(self.process(status, held) for held in status.processes if held.role is ProcessRole.LATE_START)

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
            grace_seconds=outside.grace(pod.grace_seconds if pod else _template_grace(status)),
            settings=self.settings,
            node_live=held.node in self.observed.live_nodes,
            pod_live=self.observed.live_pod and held.role is ProcessRole.WORKFLOW,
            missed_since=self.observed.missed_since if held.role is ProcessRole.WORKFLOW else None,
            began=self.observed.began,
            refusals=tuple(r for r in self.observed.refusals if pod is not None and r.pod_uid == pod.uid),
        )

    def _find(self, status: Status, held: ProcessStatus, pods: tuple[PodView, ...]) -> PodView | None:
        if held.pod_uid is not None:
            return next((pod for pod in pods if pod.uid == held.pod_uid), None)
        named = (p for p in pods if (p.name, p.run_id, p.attempt) == (held.pod, status.run_id, status.attempt))
        return next((p for p in named if p.launched or p.uid == self.observed.made), None)


def current(status: Status) -> ProcessStatus | None:
    """What status knows of the current attempt's workflow process."""
    return next((process for process in status.processes if process.role is ProcessRole.WORKFLOW), None)


def with_current(status: Status, process: ProcessStatus) -> Status:
    """The same, with another state of the current attempt's workflow process."""
    others = tuple(p for p in status.processes if p.role is not ProcessRole.WORKFLOW)
    return status.replace(processes=(process, *others))


def accepted_ids(status: Status) -> frozenset[str]:
    """Ids of the commands that the current run accepted: what its launchers may have been told."""
    records = (record for record in status.commands if record.status is CommandStatus.ACCEPTED)
    return frozenset(record.id for record in records if record.resolved_run_id == status.run_id)


def stop_policy(status: Status) -> StopPolicy:
    """How the run likes to be stopped."""
    return status.workflow_spec.stop_policy if status.workflow_spec else StopPolicy()


def _template_grace(status: Status) -> int:
    template = status.workflow_spec.template.value if status.workflow_spec else {}
    grace = (template.get("spec") or {}).get("terminationGracePeriodSeconds")
    return grace if isinstance(grace, int) else DEFAULT_GRACE
