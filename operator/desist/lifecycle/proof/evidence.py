"""Evidence: what the end of a workflow process is judged from, and the questions that the causes ask of it.

Contract: one pod's last state, its receipt and the ids of the commands that this run accepted; nothing here says what
follows. A stop counts only by a command that was accepted: user code can write a receipt, but cannot know an id that
nobody gave it.
Traps: the launcher notes any SIGTERM, the kubelet's and that of a process of the container. A drain in a container
whose image has another STOPSIGNAL comes as that signal. A kubelet whose node is starved kills before its SIGTERM was
seen. Times are compared only where both are the node's (how long before the end a signal came): the API server's clock
and the node's may be hours apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from desist.api.vocabulary import ProcessState
from desist.lifecycle.observed.pods import ContainerKind, ContainerPhase, ContainerView, PodView
from desist.lifecycle.proof.process import STATUS_UNKNOWN, Process, ended, reported_end
from desist.lifecycle.proof.verdict import rebooted
from desist.lifecycle.wire import termination
from desist.lifecycle.wire.termination import Receipt, ReceivedStop

EVICTED = "Evicted"
"""`status.reason` of a pod that its kubelet has evicted, and also of one that it rejects because its node is short of
something."""
OVER_OWN_LIMIT = "exceed"
"""In the message of the first where the pod was over its own storage limits, and in none of the second. It may come
before any status of the pod's containers, so that nothing else tells the two apart."""
NODE_REASONS = (EVICTED, "Terminated", "NodeShutdown", "Shutdown", "Preempting")
"""`status.reason` of a pod that its kubelet ended."""
BY_KUBELET = "TerminationByKubelet"
"""Reason of DisruptionTarget for the same, where it was for the node's sake."""
LOST_BY_RUNTIME = "Unknown"
"""`reason` (with code 255) of a container that a runtime, when it starts, finds to have run and not to run any more."""
SIGKILL = 9
SIGNAL_BASE = 128
SLACK = timedelta(seconds=5)
"""By how much a kubelet may be late in ending a pod whose grace has passed."""


@dataclass(frozen=True)
class Evidence:
    """All that tells how a process ended."""

    process: Process
    state: ProcessState
    """The verdict; where it is open, the kubelet reports the end of the process's own container."""
    accepted: frozenset[str] = frozenset()
    """Ids of the commands that this run accepted."""

    @cached_property
    def pod(self) -> PodView | None:
        """The pod's last state that is known."""
        return self.process.pod

    @cached_property
    def workflow(self) -> ContainerView | None:
        """The workflow process's container."""
        return self.pod.workflow if self.pod else None

    @cached_property
    def said(self) -> termination.Termination:
        """What the termination message says."""
        return termination.parse(self.workflow.message if self.workflow else "")

    @property
    def receipt(self) -> Receipt | None:
        """The launcher's."""
        return self.said.receipt

    @property
    def reported(self) -> bool:
        """Whether the kubelet reports the end of the workflow's container."""
        return self.workflow is not None and reported_end(self.workflow)

    @property
    def failed(self) -> bool:
        """Whether it reports one with another code than 0."""
        return self.reported and self.workflow is not None and self.workflow.exit_code != 0

    @property
    def exit_code(self) -> int | None:
        """The exit code of the workflow's container."""
        return self.workflow.exit_code if self.workflow else None

    @property
    def reason(self) -> str:
        """The kubelet's word for the end of the workflow's container."""
        return self.workflow.reason if self.workflow else ""

    @property
    def pod_reason(self) -> str:
        """The kubelet's word for the end of the pod."""
        return self.pod.reason if self.pod else ""

    @property
    def disruption(self) -> str:
        """Reason of the condition DisruptionTarget; empty: it is not there."""
        return self.pod.disruption_reason if self.pod else ""

    @cached_property
    def stop(self) -> ReceivedStop | None:
        """The first stop that was read and that this run asked for."""
        read = (self.receipt.stop, self.receipt.last) if self.receipt else ()
        return next((stop for stop in read if stop is not None and stop.command_id in self.accepted), None)

    @property
    def closed_without_report(self) -> bool:
        """Whether the node's word or time alone has closed it."""
        pod, node = self.pod, self.process.status.node
        if pod is None:
            return True
        by_node = self.state is ProcessState.GONE and bool(node) and not ended(pod)
        return not self.reported and (by_node or self.state is ProcessState.UNPROVEN)

    @property
    def lost_by_runtime(self) -> bool:
        """Whether the container was lost with the boot or the runtime that it ran in."""
        if self.failed and self.reason == LOST_BY_RUNTIME:
            return True
        if self.reported:
            # A node that shuts down sends SIGTERM first, and a program may well exit with 0 on it.
            return rebooted(self.process) and (self.failed or self.sigterm_first)
        return self.reason == STATUS_UNKNOWN

    @property
    def deleted(self) -> bool:
        """Whether the pod is being deleted, or is no more."""
        return self.pod is not None and (self.pod.deletion_timestamp is not None or not self.process.present)

    @property
    def ended_by_kubelet(self) -> bool:
        """Whether the kubelet ended the pod for a reason of its own."""
        return self.pod_reason in NODE_REASONS or self.disruption == BY_KUBELET

    @property
    def rejected(self) -> bool:
        """Whether the kubelet refused the pod: it names a reason, and no container has ever been made."""
        pod = self.pod
        if pod is None or pod.phase != "Failed" or not pod.reason:
            return False
        if pod.reason == EVICTED and OVER_OWN_LIMIT in pod.message:
            return False
        return all(c.phase is ContainerPhase.WAITING and not c.container_id for c in pod.containers)

    @property
    def sigterm_first(self) -> bool:
        """Whether a SIGTERM came before any stop was read."""
        receipt, stop = self.receipt, self.stop
        if receipt is None or receipt.sigterm is None:
            return False
        return stop is None or receipt.sigterm < stop.at

    @cached_property
    def stopped(self) -> bool:
        """Whether the end may be the kubelet's doing, and no stop of Desist's: what explains it, is another question.

        Where the launcher left no receipt, or the container no end, nothing speaks against it.
        """
        if not self.reported or self.receipt is None:
            return True
        return self.sigterm_first or (self._stoppable and (self._killed or self._stopped_by_image))

    @property
    def failed_init(self) -> ContainerView | None:
        """The init container that failed, if one did."""
        return failed_init(self.pod) if self.pod else None

    @property
    def _stoppable(self) -> bool:
        """Whether the kubelet had a reason to stop the container; a disruption that only begins is none yet."""
        return (self.pod is not None and self.pod.deletion_timestamp is not None) or self.ended_by_kubelet

    @property
    def _killed(self) -> bool:
        """Whether it ended by a SIGKILL that the launcher did not send, before any stop."""
        killed = self.workflow is not None and exit_signal(self.workflow) == SIGKILL
        return killed and self.stop is None and self.receipt is not None and not self.receipt.killed

    @property
    def _stopped_by_image(self) -> bool:
        """Whether another signal may be the STOPSIGNAL of the image: it came within the pod's grace before the end.

        A signal of somebody's, long before, does not make a disruption out of an end that the program chose.
        """
        passed, pod = self.receipt.passed if self.receipt else None, self.pod
        if passed is None or pod is None or pod.workflow.finished_at is None:
            return False
        if self.stop is not None and self.stop.at <= passed.at:
            return False
        of_deletion = (pod.deletion_grace_seconds or 0) if pod.deletion_timestamp is not None else 0
        grace = max(of_deletion, pod.grace_seconds if self.ended_by_kubelet else 0)
        return passed.at >= pod.workflow.finished_at - timedelta(seconds=grace) - SLACK


def failed_init(pod: PodView) -> ContainerView | None:
    """The init container that failed, if one did."""
    for container in pod.containers:
        failed = container.phase is ContainerPhase.TERMINATED and container.exit_code not in (0, None)
        if failed and container.kind is ContainerKind.INIT:
            return container
    return None


def exit_signal(container: ContainerView) -> int | None:
    """The signal that ended a container, where its status or its exit code tells."""
    if container.signal:
        return container.signal
    code = container.exit_code
    return code - SIGNAL_BASE if code is not None and SIGNAL_BASE < code <= SIGNAL_BASE + 64 else None
