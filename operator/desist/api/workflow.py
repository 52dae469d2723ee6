"""`Workflow`: a definition. How the workflow process runs, its limits, and how it likes to be stopped.

Contract: what section "What a template may say" refuses is judged by the controller; the schema holds shapes,
limits and defaults.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from desist.api.base import LEFT_OUT_EMPTY, Model, Opaque
from desist.api.markers import ListMap, OneOf, Whole
from desist.api.meta import Condition, ObjectMeta
from desist.api.vocabulary import SignalTo

DEFAULT_GRACE_SECONDS = 5
DEFAULT_MAX_GRACE_SECONDS = 3600
DEFAULT_SIGNAL = "SIGTERM"

GraceSeconds = Annotated[int, Field(ge=1, le=3600)]
KillAfterSeconds = Annotated[int, Field(ge=1, le=31_536_000)]
ActiveDeadlineSeconds = Annotated[int, Field(ge=1, le=31_536_000)]
STOP_SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH")
SignalName = Annotated[str, Field(pattern=f"^({'|'.join(STOP_SIGNALS)})$"), OneOf(STOP_SIGNALS)]


class StopPolicy(Model):
    """How the workflow process likes to be stopped."""

    grace_period_seconds: GraceSeconds = DEFAULT_GRACE_SECONDS
    """Seconds from the stop signal to SIGKILL under Kill, 1 to 3600; default 5. A request may ask for another one."""
    max_grace_period_seconds: GraceSeconds = DEFAULT_MAX_GRACE_SECONDS
    """What a request may ask for at most, in seconds; default 3600. A longer one is cut to this, and the record of the command says so."""
    signal: SignalName = DEFAULT_SIGNAL
    """The stop signal: SIGTERM (default), SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 or SIGWINCH. The STOPSIGNAL of the image is not read."""
    signal_to: SignalTo = SignalTo.ALL
    """Whom the stop signal goes to. All (default): the command and everything that it has started, so that a shell in front is no obstacle. Main: the command alone, for pools and wrappers that stop their children themselves; when it has ended, the rest is killed at once. SIGKILL always goes to all."""
    kill_after_seconds: KillAfterSeconds | None = None
    """A stop that has not ended the run after so many seconds becomes a Kill by itself. Absent: never."""


class RetryPolicy(Model):
    """How often something that failed is tried again, in Temporal's terms. What a node or a drain ends is run again without counting."""

    maximum_attempts: Annotated[int, Field(ge=1, le=1_000)] = 1
    """How many attempts there are at most, 1 to 1,000; default 1: a failure is final."""
    initial_interval_seconds: Annotated[int, Field(ge=1, le=86_400)] = 1
    """Seconds before the second attempt, 1 to 86,400; default 1."""
    backoff_coefficient: Annotated[int, Field(ge=1, le=100)] = 2
    """By how much each wait is longer than the one before, 1 to 100; default 2."""
    maximum_interval_seconds: Annotated[int, Field(ge=1, le=31_536_000)] | None = None
    """The longest wait, in seconds, 1 to 31,536,000. Absent: 100 times the initial one."""

    def wait_after(self, failures: int) -> int:
        """Seconds to wait after that many failures (from 1)."""
        longest = self.maximum_interval_seconds or 100 * self.initial_interval_seconds
        # Beyond 40 doublings every wait is the longest one, and the number would only grow.
        grown = self.initial_interval_seconds * self.backoff_coefficient ** min(max(failures - 1, 0), 40)
        return int(min(grown, longest))


class WorkflowSpec(Model):
    """What a run of the workflow is made of."""

    template: Opaque
    """A PodTemplateSpec with exactly one regular container, the workflow process, which must name its `command`. Helpers are native sidecars (init containers with restartPolicy Always)."""
    stop_policy: StopPolicy = StopPolicy()
    """How the workflow process likes to be stopped."""
    retry_policy: RetryPolicy = RetryPolicy()
    """How often a workflow process that failed is tried again; by default it is not. A stop ends all tries."""
    active_deadline_seconds: ActiveDeadlineSeconds | None = None
    """Seconds from the run's acceptance (status.acceptedAt) on, over all its attempts, also while no process can start; then the run is killed and ends as TimedOut."""


class WorkflowStatus(Model):
    """What the controller found out about the definition."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation that the conditions speak of."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=8), LEFT_OUT_EMPTY, ListMap("type")] = ()
    """`Ready`: the template is one that Desist can run, and the API server accepts it in a dry run."""


class Workflow(Model):
    """A workflow definition: how its process runs, its limits, and how it likes to be stopped."""

    metadata: ObjectMeta
    spec: WorkflowSpec
    """What a run of the workflow is made of."""
    status: Annotated[WorkflowStatus | None, Whole()] = None
    """What the controller found out about the definition."""
