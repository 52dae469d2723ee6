"""OperationView: what the reconcile of an operation looks at.

Contract: finds, and never judges. Its pods are made of what its run was started with; whatever bears on it of its run
is read from the execution's status, in which a stop is accepted before anything is done to an operation. There is no
run (`run` is None) where the execution is of another run by now, or has lost its status.
"""

from __future__ import annotations

from dataclasses import dataclass

from desist.api.base import Opaque
from desist.api.cancellation import Cancellation
from desist.api.meta import ObjectMeta
from desist.api.operation import OperationSpec, WorkKind
from desist.api.records import CommandRecord
from desist.api.vocabulary import CommandSource, HistoryType, Phase, ProcessRole
from desist.api.workflow import RetryPolicy, StopPolicy, WorkflowSpec
from desist.lifecycle.graces import SHORTEST_DELETE
from desist.lifecycle.observed.pods import ContainerPhase
from desist.lifecycle.observed.questions import Questions, WantedPod
from desist.lifecycle.observed.sight import ObservedOperation
from desist.lifecycle.plan import Plan
from desist.lifecycle.pod.manifest import operation_manifest, operation_pod_name, operation_template
from desist.lifecycle.proof.process import Process
from desist.lifecycle.run.settle import given_up
from desist.lifecycle.run.treatment import Situation, Standing, Treatment, forced, stands, treat
from desist.lifecycle.run.view import RunStatus
from desist.lifecycle.view import Status, View
from desist.lifecycle.wire import mailbox

FROM_RUN = (CommandSource.RUN, CommandSource.CLOSED)
"""Sources of a stop that the run's stop, or its end, has brought."""


@dataclass(frozen=True, slots=True)
class OperationView(View):
    """What the reconcile of an operation looks at."""

    observed: ObservedOperation
    role = ProcessRole.OPERATION
    started = HistoryType.OPERATION_STARTED

    @property
    def ours(self) -> bool:
        """Whether the execution that it names is there; without it nothing is touched."""
        return self.observed.execution is not None

    @property
    def asks(self) -> Questions | Plan:
        """What to do where it is not: ask for it, or nothing."""
        return Plan() if self.observed.execution_read else Questions(execution=True)

    @property
    def metadata(self) -> ObjectMeta:
        """Of the operation."""
        return self.observed.operation.metadata

    @property
    def spec(self) -> OperationSpec:
        """What is to be done."""
        return self.observed.operation.spec

    @property
    def kind(self) -> WorkKind:
        """What it is."""
        return self.observed.operation.kind

    @property
    def timed(self) -> bool:
        """Whether it is a timer."""
        return self.kind is WorkKind.TIMER

    @property
    def run(self) -> RunStatus | None:
        """Its run, as the execution's status has it."""
        execution = self.observed.execution
        status = execution.status if execution is not None else None
        return status if status is not None and status.run_id == self.spec.run_id else None

    @property
    def run_spec(self) -> WorkflowSpec | None:
        """What its run was started with."""
        return self.run.workflow_spec if self.run is not None else None

    @property
    def request(self) -> Cancellation | None:
        """What spec.cancellation asks for."""
        return self.spec.cancellation

    @property
    def startable(self) -> bool:
        """Whether anything may be started: nothing for what is being deleted, or whose execution is."""
        execution = self.observed.execution
        held = execution is None or execution.metadata.deletion_timestamp is not None
        return not held and self.metadata.deletion_timestamp is None

    def retry(self, status: Status) -> RetryPolicy:
        """How often what failed is tried again."""
        return self.spec.retry_policy

    def policy(self, status: Status) -> StopPolicy:
        """How its process likes to be stopped: as it says, else as its run."""
        own, run = self.spec.stop_policy, self.run_spec
        return own or (run.stop_policy if run is not None else StopPolicy())

    def active_deadline_seconds(self, status: Status) -> int | None:
        """Seconds that it may take."""
        return self.spec.active_deadline_seconds

    def template(self, status: Status) -> Opaque | None:
        """The run's template, with what the operation says over it."""
        if self.run_spec is None or self.spec.pod is None:
            return None
        return operation_template(self.run_spec.template, self.spec.pod)

    def pod_name(self, run_id: str, attempt: int) -> str:
        """Name of an attempt's pod."""
        return operation_pod_name(self.metadata.name, attempt)

    def first_run_id(self) -> str:
        """The run that it belongs to."""
        return self.spec.run_id

    def manifest(self, status: Status, wanted: WantedPod) -> Opaque | None:
        """The current attempt's pod; None: its arguments were not read yet, or its run's template is lost."""
        template, seen = self.template(status), self.observed
        if template is None or seen.execution is None or not seen.arguments_read:
            return None
        spec = WorkflowSpec(template=template, stop_policy=self.policy(status))
        return operation_manifest(seen.execution, seen.operation, spec, seen.arguments, wanted, self.settings)

    def ended(self, phase: Phase) -> HistoryType:
        """The history entry of a terminal phase."""
        if self.kind is WorkKind.TIMER and phase is Phase.CANCELLED:
            return HistoryType.TIMER_CANCELLED
        entry = phase.row.operation_ended
        assert entry is not None, "the phase is terminal"
        return entry

    def commands(self, status: Status) -> tuple[CommandRecord, ...]:
        """Its own, and its run's."""
        return (*status.commands, *(self.run.commands if self.run is not None else ()))

    def sequence(self, status: Status) -> int:
        """Its own commands and its run's, so that it rises with each of both."""
        return max(status.command_count + (self.run.command_count if self.run is not None else 0), 1)

    def unstarted_grace(self, status: Status, force: CommandRecord, process: Process) -> int:
        """As for a run; what a Force or a Terminate of the run has brought is deleted at once."""
        at_once = self.run is not None and stands(self.run) in (Standing.FORCE, Standing.TERMINATE)
        if force.source in FROM_RUN and at_once:
            return SHORTEST_DELETE
        return View.unstarted_grace(self, status, force, process)

    def tries_again(self, status: Status) -> bool:
        """Not where its run's stop or end means otherwise."""
        return View.tries_again(self, status) and self.runs_again(status)

    def runs_again(self, status: Status) -> bool:
        """What Force has left running is not."""
        return self.run is None or not forced(self.run)

    def treatment(self, status: Status) -> Treatment:
        """What its run's stop or end means for it."""
        if self.run is None:
            return Treatment.LEAVE
        standing, situation = stands(self.run), self.situation(status)
        found = treat(standing, self.spec.close_policy, situation)
        if standing is Standing.ENDED and found is Treatment.GO_ON and self._given_up(status):
            return Treatment.STOP
        if found is not Treatment.LEAVE or not forced(self.run):
            return found
        if standing is Standing.CLOSED and situation is not Situation.RUNS:
            return treat(Standing.FORCE, self.spec.close_policy, situation)
        return Treatment.STOP if self._told(status) else found

    def situation(self, status: Status) -> Situation:
        """Where it is."""
        if self.kind is WorkKind.TIMER:
            return Situation.TIMER
        process = self.current(status)
        if process is None:
            return Situation.NOT_BEGUN
        if process.closed and status.next_attempt_at is not None:
            return Situation.BACK_OFF
        pod = process.pod
        unstarted = pod is None or pod.workflow.phase is ContainerPhase.WAITING
        return Situation.UNSTARTED if unstarted and not _was_running(process) else Situation.RUNS

    def _given_up(self, status: Status) -> bool:
        """Whether its run, which only waits for it, does not wait for lost nodes, and its process is on one."""
        process = self.current(status)
        forgets = self.run is not None and bool(self.run.stop.forget_lost_nodes)
        return forgets and process is not None and not process.closed and given_up(process)

    def _told(self, status: Status) -> bool:
        """Whether a stop of the run is in its mailbox: it started in the moment in which it was to be deleted."""
        process = self.current(status)
        pod = process.present_pod if process is not None else None
        held = mailbox.parse(pod.mailbox) if pod is not None else None
        last = self.run.last_accepted if self.run is not None else None
        return held is not None and last is not None and held.command_id == last.id


def _was_running(process: Process) -> bool:
    """Whether it was seen to run, though its pod is not there, or waits again after its node has booted."""
    return process.pod is None and bool(process.status.boot_id)
