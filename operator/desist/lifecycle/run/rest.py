"""Rest: when an ended run needs nothing any more, so that nobody has to keep what it was.

Contract: of an execution at rest, `decide` has nothing to say and nothing to do for as long as the object stays as it
is, and each of its pods has ended. What is only derived may be worded otherwise by a later version; that is no reason
to read ten thousand ended runs at each upgrade.
"""

from __future__ import annotations

from collections.abc import Iterable

from desist.api.execution import WorkflowExecution
from desist.api.vocabulary import ProcessState
from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.proof.process import ended
from desist.lifecycle.run.treatment import reaping
from desist.lifecycle.view import Status, current


def at_rest(execution: WorkflowExecution) -> bool:
    """Whether its run has ended and every request is answered."""
    status = execution.status
    if status is None or status.open or status.observed_generation != execution.metadata.generation:
        return False
    if reaping(status) or (status.operations is not None and status.operations.left_over):
        return False
    observed = status.cancellation.observed if status.cancellation is not None else None
    others = [process for process in status.processes if process != current(status)]
    return execution.spec.cancellation == observed and not others


def unproven_pod(status: Status) -> str:
    """UID of the last attempt's pod, where its process was closed without proof; else empty."""
    held = current(status)
    unproven = held is not None and held.state is ProcessState.UNPROVEN
    return (held.pod_uid or "") if held is not None and unproven else ""


def disturbed(pods: Iterable[PodView], gone: Iterable[PodView], unproven: str) -> bool:
    """Whether one of these pods of what is at rest may be a process that nobody wants, or brings late news of one.

    `gone`: last states of pods that are there no more. A kubelet reports an end and takes the pod away in one breath,
    so that the news may be there only.
    `unproven`: see `unproven_pod`.
    """
    return any(pod.uid == unproven or not ended(pod) for pod in pods) or any(pod.uid == unproven for pod in gone)
