"""`WorkflowExecution`: one instance of a workflow, and the request to stop it.

Contract: `spec` is the user's, `status` the controller's (status.py). Nothing here decides anything.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from desist.api.base import Model, Opaque
from desist.api.cancellation import Cancellation
from desist.api.markers import Whole, rules
from desist.api.meta import ObjectMeta
from desist.api.rules import EXECUTION_RULES, ONE_WORKFLOW, PRINTABLE
from desist.api.status import WorkflowExecutionStatus
from desist.api.workflow import ActiveDeadlineSeconds, WorkflowSpec


class WorkflowRef(Model):
    """A Workflow in the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the Workflow."""


class WorkflowExecutionSpec(Model):
    """What to run, and whether it shall be stopped."""

    model_config = ConfigDict(json_schema_extra=rules(ONE_WORKFLOW))

    workflow_ref: WorkflowRef | None = None
    """The Workflow to run, by name. Set exactly one of workflowRef and workflowSpec."""
    workflow_spec: WorkflowSpec | None = None
    """A Workflow's spec in place. Set exactly one of workflowRef and workflowSpec."""
    arguments: Opaque | None = None
    """A JSON object, at most 32 KiB; the process finds it in the file /desist/arguments.json."""
    active_deadline_seconds: ActiveDeadlineSeconds | None = None
    """Instead of the workflow's: seconds from the run's acceptance (status.acceptedAt) on, over all its attempts, also while no process can start; then the run is killed and ends as TimedOut."""
    cancellation: Annotated[Cancellation | None, *PRINTABLE] = None
    """The request to stop the current run, for example {mode: Cancel, reason: customer asked}. While it is there, the run is being stopped, at least as strongly as it says. Cancel tells the process, which may clean up, end as it likes, or go on; Force and Terminate kill it at once; Kill tells it and kills it after the grace. Raise the mode to stop harder. Until the run has ended, the request can be strengthened, not weakened or removed. Applying it again unchanged does nothing."""


class WorkflowExecution(Model):
    """One instance of a workflow. Patch spec.cancellation to stop it."""

    model_config = ConfigDict(json_schema_extra=rules(*EXECUTION_RULES))

    metadata: ObjectMeta
    spec: WorkflowExecutionSpec
    """What to run, and whether it shall be stopped."""
    status: Annotated[WorkflowExecutionStatus | None, Whole()] = None
    """What has happened and what is being done about the request to stop."""
