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
    """The request to stop the current run. While it is there, the run is being stopped at least as strongly as it says."""

    mode: Mode
    """Cancel (told, may clean up or go on), Force (SIGKILL, only the workflow process), Terminate (SIGKILL, ends as Terminated) or Kill (stop signal, SIGKILL after the grace). While the run is open it can be raised, never lowered."""
    reason: FreeText | None = None
    """Why, in words; at most 1,024 characters and 2,048 bytes. An empty reason is not the same as none."""
    details: FreeText | None = None
    """More for those who read the record later; at most 1,024 characters and 2,048 bytes."""
    grace_period_seconds: GraceSeconds | None = None
    """Seconds from the stop signal to SIGKILL under Kill; default the workflow's, cut to its maxGracePeriodSeconds."""
    kill_after_seconds: KillAfterSeconds | None = None
    """A stop that has not ended the run so many seconds after its acceptance becomes a Kill; default the workflow's."""
    run_id: RunId | None = None
    """Stop only this run: where it is not the current one, the command is rejected and nothing is stopped."""
    on_lost_node: OnLostNode | None = None
    """Wait (default) for proof from a node that does not answer, or Forget its processes: the run ends and they are marked unproven."""
    request_id: Annotated[str, Field(max_length=128)] | None = None
    """A label of the caller's own; it is copied into the record of the command."""
