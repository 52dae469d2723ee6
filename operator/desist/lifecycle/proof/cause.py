"""Cause: how a workflow process ended, and what becomes of its run by that. One table.

Contract: `CAUSES` is read from the top; the first line whose proof holds is the cause. Each says in words what it is,
what becomes of a run that nothing stops, what of one that is Cancelling (under a stronger mode it is always the mode's
end), and the category of a failure. What no line proves is said as unknown, with the kubelet's words.
Traps: a runtime says OOMKilled also where only a child was killed and the process then exited with 0; a pod that is
deleted fails its init containers; a node's reboot is reported as an ordinary exit code, and may be seen before the
node's new boot ID, which comes by another watch; a pod that its node rejects for want of memory has the same reason as
one that was evicted, and so has one that broke its own limits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from desist.api.vocabulary import FailureCategory, Phase, ProcessReason, ProcessState
from desist.lifecycle.observed.pods import ContainerPhase, ContainerView, PodView
from desist.lifecycle.proof.end import Cause, End, Result
from desist.lifecycle.proof.evidence import EVICTED, Evidence, exit_signal
from desist.lifecycle.proof.process import Process
from desist.lifecycle.wire import termination

OOM_KILLED = "OOMKilled"
KILLED = 137
PAST_DEADLINE = "DeadlineExceeded"
"""Of a pod that the kubelet ended at an activeDeadlineSeconds which admission has set: a template may not."""
START_REASONS = ("StartError", "ContainerCannotRun", "CreateContainerError")
PREEMPTED = "PreemptionByScheduler"
DRAINED = "EvictionByEvictionAPI"
ORDINARY = ("", "Completed", "Error")
"""Reasons of a container that say no more than its exit code."""
MESSAGE_LIMIT = 2000
DETAIL_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    cause: Cause
    proof: Callable[[Evidence], bool]
    words: str
    running: Result
    """What becomes of a run that nothing stops; of `EXITED`, outcome.py says it."""
    cancelling: Result = Result.CANCELLED
    category: FailureCategory = FailureCategory.APPLICATION
    reason: ProcessReason | None = None
    """For `processes[].reason`, where the kubelet has no word for it."""


def _no_process(e: Evidence) -> bool:
    return e.pod is None and e.process.status.pod_uid is None and e.state is ProcessState.GONE


def _node_gone(e: Evidence) -> bool:
    return e.closed_without_report and e.state is ProcessState.GONE


def _out_of_memory(e: Evidence) -> bool:
    # Where a child alone was killed, and the program ended later on a SIGTERM, its own exit code tells.
    own_end = e.sigterm_first and e.exit_code != KILLED
    return e.failed and e.reason == OOM_KILLED and not own_end


def _cannot_start(e: Evidence) -> bool:
    said = e.receipt is not None and bool(e.receipt.error) and not e.receipt.started
    return e.reported and (said or e.reason in START_REASONS)


def _over_limits(e: Evidence) -> bool:
    return e.stopped and e.pod_reason == EVICTED and not e.disruption


def _past_deadline(e: Evidence) -> bool:
    return e.stopped and e.pod_reason == PAST_DEADLINE


def _preempted(e: Evidence) -> bool:
    return e.stopped and (e.disruption == PREEMPTED or e.pod_reason == "Preempting")


def _drained(e: Evidence) -> bool:
    return e.stopped and e.disruption == DRAINED


def _evicted(e: Evidence) -> bool:
    return e.stopped and (e.ended_by_kubelet or bool(e.disruption))


def _deleted(e: Evidence) -> bool:
    return e.stopped and e.deleted


def _init(e: Evidence) -> bool:
    return not e.reported and e.failed_init is not None


def _probe(e: Evidence) -> bool:
    return e.sigterm_first and e.pod is not None and e.pod.has_probe


def _exited(e: Evidence) -> bool:
    return e.reported and e.receipt is not None


def _again(cause: Cause, proof: Callable[[Evidence], bool], words: str) -> Line:
    return Line(cause, proof, words, Result.AGAIN)


def _fails(
    category: FailureCategory,
    cause: Cause,
    proof: Callable[[Evidence], bool],
    words: str,
    reason: ProcessReason | None = None,
) -> Line:
    return Line(cause, proof, words, Result.FAILED, category=category, reason=reason)


_C, _F = Cause, FailureCategory
CAUSES: tuple[Line, ...] = (
    _again(_C.NO_PROCESS, _no_process, "no process was running"),
    _again(_C.NODE_GONE, _node_gone, "it ended with its node"),
    _again(_C.VANISHED, lambda e: e.closed_without_report, "it vanished, and its end was never reported"),
    _again(_C.REBOOTED, lambda e: e.lost_by_runtime, "the container was lost with its node's boot or its runtime"),
    _fails(_F.OUT_OF_MEMORY, _C.OUT_OF_MEMORY, _out_of_memory, "the container ran out of memory"),
    _fails(_F.START, _C.START, _cannot_start, "the command could not be started"),
    _again(_C.REJECTED, lambda e: e.rejected, "the node rejected the pod"),
    _fails(_F.LIMITS, _C.LIMITS, _over_limits, "the pod was evicted over its own storage limits"),
    _fails(_F.LIMITS, _C.PAST_DEADLINE, _past_deadline, "the pod ran into an activeDeadlineSeconds of its own"),
    _again(_C.PREEMPTED, _preempted, "the pod was preempted"),
    _again(_C.DRAINED, _drained, "the pod was drained from its node"),
    _again(_C.EVICTED, _evicted, "the pod was evicted for its node's sake"),
    _again(_C.DELETED, _deleted, "the pod was deleted"),
    _fails(_F.INIT, _C.INIT, _init, "an init container failed", ProcessReason.INIT_FAILED),
    _fails(
        _F.PROBE,
        _C.PROBE,
        _probe,
        "a probe failed and the kubelet stopped the container",
        ProcessReason.PROBE_FAILED,
    ),
    Line(_C.EXITED, _exited, "the workflow process ended", Result.FAILED),
    Line(_C.UNKNOWN, lambda e: True, "the cause of the end is not known", Result.FAILED, Result.FAILED),
)
LINE_OF = {line.cause: line for line in CAUSES}


def line_of(evidence: Evidence) -> Line:
    """The line of the table that holds."""
    return next(line for line in CAUSES if line.proof(evidence))


def end_of(process: Process, state: ProcessState, accepted: Collection[str]) -> End:
    """How the process ended; `accepted` are the ids of the run's accepted commands.

    To be asked once its end is reported, or the verdict is `gone` or `unproven`.
    """
    evidence = Evidence(process, state, frozenset(accepted))
    line, workflow = line_of(evidence), evidence.workflow
    if evidence.closed_without_report or workflow is None:
        return End(line.cause, message=_lost(process, line))
    outcome = evidence.said.outcome if evidence.reported else None
    return End(
        cause=line.cause,
        exit_code=workflow.exit_code,
        told=evidence.stop is not None,
        says=outcome.phase if outcome else None,
        result=outcome.result if outcome else None,
        truncated=outcome is not None and outcome.truncated,
        message=_message(line, evidence),
        at=_ended_at(evidence),
    )


def _ended_at(e: Evidence) -> datetime | None:
    """When it ended, by a clock by which it started no earlier than its pod was made: the node's may be behind."""
    pod, workflow = e.pod, e.workflow
    if pod is None or workflow is None or workflow.finished_at is None:
        return None
    if workflow.started_at is None or pod.created_at is None:
        return workflow.finished_at
    return workflow.finished_at + max(pod.created_at - workflow.started_at, timedelta(0))


def counts(cause: Cause, says: Phase) -> bool:
    """Whether an outcome that the user's code wrote counts.

    What a program writes because somebody else ended it says nothing about why: it could not know. But one that had
    succeeded had.
    """
    return cause is Cause.EXITED or says is Phase.SUCCEEDED


def reason_of(process: Process, state: ProcessState, accepted: Collection[str]) -> str | None:
    """The word for the end of a process that is reported: the kubelet's where that says something."""
    evidence = Evidence(process, state, frozenset(accepted))
    if evidence.reason not in ORDINARY and evidence.reported:
        return evidence.reason
    over = state is ProcessState.GONE or evidence.reported
    own = line_of(evidence).reason if over and evidence.pod is not None else None
    return evidence.pod_reason or own or (evidence.reason if evidence.reported else None) or None


def remark(pod: PodView) -> str | None:
    """What is to be said about an outcome that was written and is not valid, or not whole."""
    said = termination.parse(pod.workflow.message)
    if said.invalid:
        return f"the outcome was ignored: {said.invalid}"
    return "the result was left out: it is too long" if said.outcome and said.outcome.truncated else None


def _lost(process: Process, line: Line) -> str:
    where = f" on node {process.status.node}" if process.status.node else ""
    if process.status.reason == ProcessReason.FORGOTTEN:
        return f"pod {process.status.pod}{where} was given up without proof of its end"
    if line.cause is Cause.NO_PROCESS:
        return line.words
    return f"pod {process.status.pod}{where}: {line.words}"


def _message(line: Line, e: Evidence) -> str:
    outcome = e.said.outcome if e.reported else None
    if outcome and outcome.failure_message and counts(line.cause, outcome.phase):
        return outcome.failure_message
    container = (e.failed_init if line.cause is Cause.INIT else None) or e.workflow
    assert container is not None and e.pod is not None, "what was lost has another message"
    over = container.phase is ContainerPhase.TERMINATED
    what = f"container {container.name} of pod {e.pod.name} {describe_exit(container)}" if over else f"pod {e.pod.name}"
    text = f"{line.words}: {what}"
    if outcome is not None and not counts(line.cause, outcome.phase):
        text += f", and its outcome {outcome.phase} does not count, as the end was not its own"
    detail = _detail(line, e, container)
    return f"{text}: {detail}"[:MESSAGE_LIMIT] if detail else text


def _detail(line: Line, e: Evidence, container: ContainerView) -> str:
    """The words of whoever knows more: the launcher's, else the kubelet's."""
    if line.cause is Cause.EXITED or e.pod is None:
        return ""
    if line.cause is Cause.START and e.receipt is not None and e.receipt.error:
        return e.receipt.error
    own = "" if e.receipt and container is e.workflow else container.message
    said = [text.strip() for text in (e.pod_reason, e.pod.message, own) if text.strip()]
    return ": ".join(said)[:DETAIL_LIMIT]


def describe_exit(container: ContainerView) -> str:
    """How a container that is terminated ended, in words."""
    signal = exit_signal(container)
    also = [f"signal {signal}"] if signal else []
    also += [container.reason] if container.reason not in ORDINARY else []
    return f"exited with code {container.exit_code}" + (f" ({', '.join(also)})" if also else "")
