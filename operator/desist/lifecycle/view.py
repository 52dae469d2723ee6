"""View: one observation at one time, with the look-ups that all steps of a pass share.

Contract: it finds, and never judges. The current attempt's pod is found by its UID once status has one, else by run
and attempt, so that a pod of the same name that came later is never taken for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from desist.api.execution import WorkflowExecutionSpec
from desist.api.status import ProcessStatus, WorkflowExecutionStatus
from desist.api.workflow import StopPolicy
from desist.lifecycle.observed import Observed, PodView
from desist.lifecycle.pod.manifest import WORKFLOW_ROLE, pod_name
from desist.lifecycle.pod.template import LONGEST_GRACE
from desist.lifecycle.proof.verdict import Evidence
from desist.lifecycle.settings import Settings

Status = WorkflowExecutionStatus
DEFAULT_POD_GRACE = 30
"""Kubernetes' default of terminationGracePeriodSeconds."""


@dataclass(frozen=True, slots=True)
class View:
    """What a pass looks at."""

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

    def present_pod(self, status: Status) -> PodView | None:
        """The current attempt's pod, where it exists."""
        return self._find(status, self.observed.pods)

    def last_pod(self, status: Status) -> PodView | None:
        """The current attempt's pod in its last state that is known, also where it is deleted."""
        return self._find(status, self.observed.deleted) or self._find(status, self.observed.pods)

    def never_seen(self, status: Status) -> bool:
        """Whether the current attempt's pod may not have been created yet."""
        process = current(status)
        return process is not None and process.pod_uid is None and self.last_pod(status) is None

    def absent(self, status: Status) -> bool:
        """Whether there is no pod of the current attempt: never seen, and a live GET says so."""
        return self.never_seen(status) and self.observed.live_pod

    def unwatched(self, status: Status) -> bool:
        """Whether the current attempt's pod is there, and only a live GET shows it."""
        return self.observed.live_pod and self.present_pod(status) is not None

    def pod_name(self, run_id: str, attempt: int) -> str:
        """Name of an attempt's pod."""
        return pod_name(self.observed.execution.metadata.name, run_id, attempt)

    def evidence(self, status: Status, process: ProcessStatus) -> Evidence:
        """All that bears on the current attempt's process."""
        pod = self.last_pod(status)
        present = self.present_pod(status)
        return Evidence(
            process=process,
            pod=pod,
            present=present is not None and present is pod,
            node=self.observed.node(process.node) if process.node else None,
            # Whoever may write pods may have made one of ours with any grace.
            grace_seconds=min(pod.grace_seconds if pod else _template_grace(status), LONGEST_GRACE),
            settings=self.settings,
            node_live=process.node in self.observed.live_nodes,
            pod_live=self.observed.live_pod,
        )

    def _find(self, status: Status, pods: tuple[PodView, ...]) -> PodView | None:
        process = current(status)
        uid = process.pod_uid if process else None
        ours = (p for p in pods if p.run_id == status.run_id and p.attempt == status.attempt)
        return next((p for p in ours if uid in (None, p.uid)), None)


def current(status: Status) -> ProcessStatus | None:
    """The current attempt's workflow process."""
    return next((process for process in status.processes if process.role == WORKFLOW_ROLE), None)


def with_current(status: Status, process: ProcessStatus) -> Status:
    """The same, with another state of the current attempt's workflow process."""
    others = tuple(p for p in status.processes if p.role != WORKFLOW_ROLE)
    return status.model_copy(update={"processes": (process, *others)})


def stop_policy(status: Status) -> StopPolicy:
    """How the run likes to be stopped."""
    return status.workflow_spec.stop_policy if status.workflow_spec else StopPolicy()


def _template_grace(status: Status) -> float:
    template = status.workflow_spec.template.value if status.workflow_spec else {}
    grace = (template.get("spec") or {}).get("terminationGracePeriodSeconds")
    return grace if isinstance(grace, int) else DEFAULT_POD_GRACE
