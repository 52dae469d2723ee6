"""Cause: how a workflow process ended, read from its pod's last state and the launcher's receipt.

Contract: `end_of` never decides what becomes of the run (outcome.py does). The lines of `_cause` are read from the
top. A SIGTERM in the receipt is the kubelet's and came before the exit; what explains it is the pod's deletion, a
disruption, or else a failed probe. Another signal may be the STOPSIGNAL of the image, or anybody's: its time tells.
Traps: a runtime says OOMKilled also where only a child was killed and the process then exited with 0; a pod that is
deleted fails its init containers; a node's reboot is reported as an ordinary exit code, and may be seen before the
node's new boot ID, which comes by another watch.
"""

from __future__ import annotations

from datetime import timedelta

from desist.api.vocabulary import ProcessReason, ProcessState
from desist.lifecycle.observed import ContainerKind, ContainerPhase, ContainerView, PodView
from desist.lifecycle.proof.end import Cause, End
from desist.lifecycle.proof.process import Process, ended, reported_end
from desist.lifecycle.proof.verdict import rebooted
from desist.lifecycle.wire import termination

NODE_REASONS = ("Evicted", "Terminated", "NodeShutdown", "Shutdown", "Preempting")
"""`status.reason` of a pod that its kubelet ended for the node's sake."""
BY_KUBELET = "TerminationByKubelet"
"""Reason of DisruptionTarget for the same."""
START_REASONS = ("StartError", "ContainerCannotRun", "CreateContainerError")
LOST_BY_RUNTIME = "Unknown"
"""`reason` (with code 255) of a container that a runtime, when it starts, finds to have run and not to run any more."""
SIGKILL = 9
SIGNAL_BASE = 128
MESSAGE_LIMIT = 2000
CLOCK_SKEW = timedelta(seconds=5)
"""By how much a node's clock may be behind the API server's."""


def end_of(process: Process, state: ProcessState) -> End:
    """How the process ended. To be asked once its end is reported, or the verdict is `gone` or `unproven`."""
    pod = process.pod
    if pod is None or _lost_with_node(process, pod, state):
        gone = state is ProcessState.GONE
        return End(Cause.DISRUPTED if gone else Cause.VANISHED, message=_lost(process, gone))
    said = termination.parse(pod.workflow.message)
    cause = _cause(process, pod, said.receipt)
    outcome = said.outcome if reported_end(pod.workflow) else None
    return End(
        cause=cause,
        exit_code=pod.workflow.exit_code,
        told=said.receipt is not None and said.receipt.stop is not None,
        says=outcome.phase if outcome else None,
        result=outcome.result if outcome else None,
        message=(outcome and outcome.failure_message) or _message(cause, pod, said),
        at=pod.workflow.finished_at,
    )


def remark(pod: PodView) -> str | None:
    """What is to be said about an outcome that was written and does not count, or does not count whole."""
    said = termination.parse(pod.workflow.message)
    if said.invalid:
        return f"the outcome was ignored: {said.invalid}"
    return "the result was left out: it is too long" if said.outcome and said.outcome.truncated else None


def exit_signal(container: ContainerView) -> int | None:
    """The signal that ended a container, where its status or its exit code tells."""
    if container.signal:
        return container.signal
    code = container.exit_code
    return code - SIGNAL_BASE if code is not None and SIGNAL_BASE < code <= SIGNAL_BASE + 64 else None


def _cause(process: Process, pod: PodView, receipt: termination.Receipt | None) -> Cause:
    workflow = pod.workflow
    disrupted = _disrupted(process, pod)
    if not reported_end(workflow):
        return Cause.INIT if failed_init(pod) and not disrupted else Cause.DISRUPTED
    lost = workflow.reason == LOST_BY_RUNTIME or rebooted(process)
    if workflow.exit_code != 0 and lost:
        return Cause.DISRUPTED
    if workflow.exit_code != 0 and workflow.reason == "OOMKilled":
        return Cause.OUT_OF_MEMORY
    if workflow.reason in START_REASONS or (receipt is not None and receipt.error and not receipt.started):
        return Cause.START
    if receipt is None:
        return Cause.DISRUPTED if disrupted else Cause.UNEXPLAINED
    if receipt.sigterm is not None:
        return Cause.DISRUPTED if disrupted else Cause.PROBE
    by_kubelet = _stopped_by_image(pod, receipt.passed) or _killed_by_kubelet(pod, receipt)
    return Cause.DISRUPTED if by_kubelet else Cause.EXITED


def _killed_by_kubelet(pod: PodView, receipt: termination.Receipt) -> bool:
    """Whether the end is the SIGKILL at the end of a deletion's grace, which a starved launcher met before SIGTERM."""
    finished, deleted = pod.workflow.finished_at, pod.deletion_timestamp
    if finished is None or deleted is None or receipt.killed or exit_signal(pod.workflow) != SIGKILL:
        return False
    return finished >= deleted - CLOCK_SKEW


def _stopped_by_image(pod: PodView, passed: termination.PassedSignal | None) -> bool:
    """Whether a signal may be the STOPSIGNAL with which the runtime stopped the container, by its time.

    A signal of somebody's, long before, does not make a disruption out of an end that the program chose. The kubelet
    stops a container after the pod's deletion, or by itself (an eviction, a node that shuts down): of that it records
    no time, but it kills at the end of the pod's grace, so that the signal came within that before the end. Any other
    disruption stops nothing before the deletion that it leads to; where a pod has vanished and was not being deleted
    when its end was reported, nobody had stopped it.
    """
    if passed is None:
        return False
    possible = []
    if pod.deletion_timestamp is not None:
        possible.append(pod.deletion_timestamp - timedelta(seconds=pod.deletion_grace_seconds or 0))
    by_kubelet = pod.reason in NODE_REASONS or pod.disruption_reason == BY_KUBELET
    if by_kubelet and pod.workflow.finished_at is not None:
        possible.append(pod.workflow.finished_at - timedelta(seconds=pod.grace_seconds))
    return bool(possible) and passed.at >= min(possible) - CLOCK_SKEW


def _disrupted(process: Process, pod: PodView) -> bool:
    deleted = pod.deletion_timestamp is not None or not process.present
    return deleted or bool(pod.disruption_reason) or pod.reason in NODE_REASONS


def failed_init(pod: PodView) -> ContainerView | None:
    """The init container that failed, if one did."""
    for container in pod.containers:
        failed = container.phase is ContainerPhase.TERMINATED and container.exit_code not in (0, None)
        if failed and container.kind is ContainerKind.INIT:
            return container
    return None


def _lost_with_node(process: Process, pod: PodView, state: ProcessState) -> bool:
    """Whether the process is closed by what its node says, or by time, and no report of the pod's tells its end."""
    by_node = state is ProcessState.GONE and bool(process.status.node) and not ended(pod)
    return not reported_end(pod.workflow) and (by_node or state is ProcessState.UNPROVEN)


def _lost(process: Process, gone: bool) -> str:
    where = f" on node {process.status.node}" if process.status.node else ""
    if process.status.reason == ProcessReason.FORGOTTEN:
        return f"pod {process.status.pod}{where} was given up without proof of its end"
    if process.status.pod_uid is None:
        return "no process was running"
    how = "ended with its node" if gone else "vanished, and its end was never reported"
    return f"pod {process.status.pod}{where} {how}"


def _message(cause: Cause, pod: PodView, said: termination.Termination) -> str:
    container = _culprit(cause, pod)
    text = f"{_HOW[cause]}: container {container.name} of pod {pod.name} {describe_exit(container)}"
    detail = said.receipt.error if cause is Cause.START and said.receipt and said.receipt.error else None
    if detail is None and (cause in (Cause.DISRUPTED, Cause.INIT, Cause.START)):
        detail = pod.message or (container.message if cause is not Cause.DISRUPTED else "")
    return f"{text}: {detail}"[:MESSAGE_LIMIT] if detail else text


def _culprit(cause: Cause, pod: PodView) -> ContainerView:
    return (failed_init(pod) if cause is Cause.INIT else None) or pod.workflow


def describe_exit(container: ContainerView) -> str:
    """How a container ended, in words."""
    if container.phase is not ContainerPhase.TERMINATED:
        return "did not end by a report of its own"
    signal = exit_signal(container)
    by = f" (signal {signal})" if signal else ""
    return f"exited with code {container.exit_code}{by}"


_HOW = {
    Cause.EXITED: "the workflow process ended",
    Cause.DISRUPTED: "the pod was disrupted",
    Cause.VANISHED: "the pod vanished",
    Cause.OUT_OF_MEMORY: "the container ran out of memory",
    Cause.PROBE: "a probe failed and the kubelet stopped the container",
    Cause.INIT: "an init container failed",
    Cause.START: "the command could not be started",
    Cause.UNEXPLAINED: "the workflow process ended without a receipt of the launcher",
}
