"""The rules of the CRD and of acceptance, written a second time, from what the documents promise.

Contract: nothing here reads the core's tables or the CEL rules; that both agree is what the tests find out.
"""

from __future__ import annotations

from desist.api.cancellation import Cancellation
from desist.api.execution import WorkflowExecution
from desist.api.status import WorkflowExecutionStatus

STRENGTH = {"Cancel": 1, "Force": 2, "Terminate": 3, "Kill": 4}
RANK = {"Pending": 0, "Running": 1, "Cancelling": 2, "ForceCancelling": 3, "Terminating": 4, "KillCancelling": 5}
"""The open phases, in the order in which a run may pass through them."""
ENDS = {"Succeeded", "Failed", "TimedOut", "Cancelled", "Terminated"}
STOPPING = {"Cancel": "Cancelling", "Force": "ForceCancelling", "Terminate": "Terminating", "Kill": "KillCancelling"}
ENDS_AS = {"Cancel": "Cancelled", "Force": "Cancelled", "Terminate": "Terminated", "Kill": "Cancelled"}


def expected(phase: str, mode: str, *, pod: bool) -> tuple[str, str]:
    """What becomes of a command: (Accepted, next phase), (Duplicate, "") or (Rejected, code)."""
    if phase in ENDS:
        return "Rejected", "run_not_active"
    if RANK[phase] < RANK["Cancelling"]:
        return "Accepted", STOPPING[mode] if pod else ENDS_AS[mode]
    in_force = RANK[phase] - RANK["Running"]
    if STRENGTH[mode] > in_force:
        return "Accepted", STOPPING[mode]
    return ("Duplicate", "") if STRENGTH[mode] == in_force else ("Rejected", "weaker_than_current")


def stray(request: Cancellation, run_id: str | None) -> str:
    """Why a request does not mean the current run; empty: it does."""
    if request.run_id is None or request.run_id == run_id:
        return ""
    return "selected_run_not_current" if run_id else "instance_not_started"


def refusal(execution: WorkflowExecution, new: Cancellation | None) -> str:
    """Why the API refuses this request in place of the stored one; empty: it does not."""
    old, status = execution.spec.cancellation, execution.status or WorkflowExecutionStatus()
    if old is None or status.phase in ENDS or stray(old, status.run_id):
        return ""
    if new is None:
        return "removed"
    if STRENGTH[new.mode] < STRENGTH[old.mode]:
        return "weaker mode"
    if _longer(old.grace_period_seconds, new.grace_period_seconds):
        return "longer grace"
    if new.mode != "Kill" and _longer(old.kill_after_seconds, new.kill_after_seconds):
        return "later killAfterSeconds"
    if old.on_lost_node == "Forget" and new.on_lost_node != "Forget":
        return "Forget taken back"
    return "another run" if stray(new, status.run_id) else ""


def status_refusal(old: WorkflowExecutionStatus | None, new: WorkflowExecutionStatus) -> str:
    """Why the API refuses this status; empty: it does not."""
    if old is None or old.phase not in ENDS:
        return ""
    return "" if (new.phase, new.run_id) == (old.phase, old.run_id) else "the terminal phase changes"


def _longer(old: int | None, new: int | None) -> bool:
    return old is not None and (new is None or new > old)
