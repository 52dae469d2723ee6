"""`spec.cancellation`: the request to stop a run.

Contract: this is what a user patches, and, copied into status, what was judged last; equal values ask for nothing new.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from desist.api.base import Model
from desist.api.rules import RUN_ID, TEXT_BYTES
from desist.api.vocabulary import Mode, OnLostNode
from desist.api.workflow import GraceSeconds, KillAfterSeconds

RunId = Annotated[str, Field(max_length=26), RUN_ID]
FreeText = Annotated[str, Field(max_length=1024), TEXT_BYTES]


class Cancellation(Model):
    """The request to stop the current run. While it is there, the run is being stopped, at least as strongly as it says."""

    mode: Mode
    """How strongly to stop, from weak to strong. Cancel: the process gets the stop signal; it may clean up, end as it likes, or go on. Force: SIGKILL at once, ends as Cancelled. Terminate: SIGKILL at once, ends as Terminated. Kill: the stop signal, and SIGKILL to all of its processes after the grace; ends as Cancelled. While the run is open the mode can be raised, never lowered, and the request cannot be removed."""
    reason: FreeText | None = None
    """Why, in words; at most 1,024 characters and 2,048 bytes. An empty reason is not the same as none."""
    details: FreeText | None = None
    """More for those who read the record later; at most 1,024 characters and 2,048 bytes."""
    grace_period_seconds: GraceSeconds | None = None
    """Seconds from the stop signal to SIGKILL under Kill, 1 to 3600. Default: the workflow's stopPolicy.gracePeriodSeconds. A longer one than its maxGracePeriodSeconds is cut to that. While the run is being stopped it can be shortened, never lengthened."""
    kill_after_seconds: KillAfterSeconds | None = None
    """A stop that has not ended the run so many seconds after its acceptance becomes a Kill by itself, 1 to 31,536,000. Default: the workflow's stopPolicy.killAfterSeconds. While the run is being stopped it can be shortened, never lengthened."""
    run_id: RunId | None = None
    """Stop only this run, by its id in status.runId. Where it is not the current run, the command is rejected and nothing is stopped. Absent: the current run, whichever it is."""
    on_lost_node: OnLostNode | None = None
    """What to do about a process on a node that does not answer, or whose pod has vanished. Wait (the default): the run stays open until there is proof, or until a vanished pod was missed for long enough. Forget: the run ends without proof, and the process is marked unproven; this cannot be taken back."""
    request_id: Annotated[str, Field(max_length=128)] | None = None
    """A label of the caller's own, at most 128 characters; it is copied into the record of the command."""
