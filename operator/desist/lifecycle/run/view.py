"""RunView: what the reconcile of an execution looks at.

Contract: finds, and never judges. A run goes on as it was started: template, policies and deadline are read from what
status has kept of the Workflow, whose later changes do not count. Before it has begun, or where status has lost that,
there is no template and no deadline, and the policies are the defaults. `run_status` is for steps that only runs have.
"""

from __future__ import annotations

from dataclasses import dataclass

from desist.api.base import Opaque
from desist.api.cancellation import Cancellation
from desist.api.execution import WorkflowExecutionSpec
from desist.api.meta import ObjectMeta
from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import HistoryType, Phase, ProcessRole
from desist.api.workflow import RetryPolicy, StopPolicy, WorkflowSpec
from desist.lifecycle.ids import ulid
from desist.lifecycle.observed.questions import WantedPod
from desist.lifecycle.observed.sight import Observed
from desist.lifecycle.pod.manifest import pod_manifest, pod_name
from desist.lifecycle.view import Status, View

RunStatus = WorkflowExecutionStatus


@dataclass(frozen=True, slots=True)
class RunView(View):
    """What the reconcile of an execution looks at."""

    observed: Observed
    role = ProcessRole.WORKFLOW
    started = HistoryType.WORKFLOW_STARTED

    @property
    def metadata(self) -> ObjectMeta:
        """Of the execution."""
        return self.observed.execution.metadata

    @property
    def spec(self) -> WorkflowExecutionSpec:
        """What the user asks for."""
        return self.observed.execution.spec

    @property
    def request(self) -> Cancellation | None:
        """What spec.cancellation asks for."""
        return self.spec.cancellation

    @property
    def startable(self) -> bool:
        """Whether anything may be started: not for an execution that is being deleted."""
        return self.metadata.deletion_timestamp is None

    def retry(self, status: Status) -> RetryPolicy:
        """How often a workflow process that failed is tried again."""
        spec = _spec_of(status)
        return spec.retry_policy if spec else RetryPolicy()

    def policy(self, status: Status) -> StopPolicy:
        """How the run likes to be stopped."""
        spec = _spec_of(status)
        return spec.stop_policy if spec else StopPolicy()

    def active_deadline_seconds(self, status: Status) -> int | None:
        """Seconds that the run may take."""
        spec = _spec_of(status)
        return spec.active_deadline_seconds if spec else None

    def template(self, status: Status) -> Opaque | None:
        """What the run was started with."""
        spec = _spec_of(status)
        return spec.template if spec else None

    def pod_name(self, run_id: str, attempt: int) -> str:
        """Name of the pod of the workflow process."""
        return pod_name(self.metadata.name, self.uid, run_id, attempt)

    def first_run_id(self) -> str:
        """Id of the execution's first run, where it begins now."""
        return ulid(self.now, self.uid, "run/1")

    def manifest(self, status: Status, wanted: WantedPod) -> Opaque | None:
        """The pod of the workflow process."""
        spec = _spec_of(status)
        arguments = status.arguments if isinstance(status, RunStatus) else None
        return pod_manifest(self.observed.execution, spec, arguments, wanted, self.settings) if spec else None

    def ended(self, phase: Phase) -> HistoryType:
        """The history entry of a terminal phase."""
        entry = phase.row.ended
        assert entry is not None, "the phase is terminal"
        return entry


def run_status(status: Status) -> RunStatus:
    """The status of a run, in a step that is for runs alone."""
    assert isinstance(status, RunStatus), "this is the status of an operation"
    return status


def _spec_of(status: Status) -> WorkflowSpec | None:
    """What the run was started with; None: it has not begun, or status has lost it."""
    return status.workflow_spec if isinstance(status, RunStatus) else None
