"""What a run may end on, written a second time from what the documents promise; nothing here asks the core.

Contract: `unproven_end` says which process may live on although the run was ended, or gives None. It knows what was
seen (pods, deleted pods, nodes, and which of them were asked live) and the status before, which may be anything.
"""

from __future__ import annotations

from desist.api.status import ProcessStatus, WorkflowExecutionStatus
from desist.lifecycle.observed.pods import NodeView, PodView
from desist.lifecycle.observed.sight import Observed

OPEN = {None, "Pending", "Running", "Cancelling", "ForceCancelling", "Terminating", "KillCancelling"}


def unproven_end(seen: Observed, before: WorkflowExecutionStatus, after: WorkflowExecutionStatus) -> str | None:
    """Why the end that `after` writes is not proven; None: it is, or `after` ends nothing."""
    if before.phase not in OPEN or after.phase in OPEN:
        return None
    process = next((p for p in after.processes if p.role == "workflow"), None)
    forgets = after.cancellation is not None and bool(after.cancellation.forget_lost_nodes)
    for pod in seen.pods:
        if _is_the_runs(after, process, pod) and not _over(seen, before, pod) and not (forgets and _lost(seen, pod)):
            return f"pod {pod.name} ({pod.uid}) is there, and nothing says that its processes have ended"
    return None


def _is_the_runs(status: WorkflowExecutionStatus, process: ProcessStatus | None, pod: PodView) -> bool:
    """Whether the pod is the current attempt's."""
    if process is not None and process.pod_uid is not None:
        return pod.uid == process.pod_uid
    ours = pod.run_id == status.run_id and pod.attempt == status.attempt and pod.role == "workflow" and pod.launched
    return ours and (process is None or pod.name == process.pod)


def _over(seen: Observed, before: WorkflowExecutionStatus, pod: PodView) -> bool:
    """Whether the pod itself, or its node, says that nothing of it runs."""
    if pod.phase in ("Succeeded", "Failed") and pod.disruption_reason != "DeletionByPodGC":
        return True
    ends = [c.phase == "terminated" and c.container_id and c.reason != "ContainerStatusUnknown" for c in pod.containers]
    if ends and all(ends):
        return True
    if not pod.node and pod.deletion_timestamp is not None:
        return True
    known = next((p for p in before.processes if p.pod_uid == pod.uid and p.role == "workflow"), None)
    where = pod.node or (known.node if known else None) or ""
    if where not in seen.live_nodes:
        return False
    node = next((n for n in seen.nodes if n.name == where), None)
    if node is None or node.out_of_service:
        return True
    booted = known is not None and known.boot_id and node.boot_id and known.boot_id != node.boot_id
    return bool(booted)


def _lost(seen: Observed, pod: PodView) -> bool:
    node: NodeView | None = next((n for n in seen.nodes if n.name == pod.node), None)
    return node is None or not node.ready
