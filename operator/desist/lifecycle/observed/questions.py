"""What a reconcile asks of the API server before it decides, and what was answered to what it had asked for.

Contract: a decision that lacks something gives `Questions` and nothing else; it is called again with their answers.
What was refused is kept in memory, by pod and call, so that it is not tried in each reconcile; a new process knows of
none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class WantedPod:
    """A pod to ask for by its name, which says whose it is where nothing else does."""

    name: str
    run_id: str
    attempt: int
    uid: str | None = None
    """Its UID; None: not known yet, any pod of that name which the execution owns will do."""
    operation: str = ""
    """UID of the operation whose pod it is; empty: it is the workflow process's."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What must be asked of the API server first; the answers go into the next `Observed`.

    A live pod that was found belongs into `pods` (and no more into `deleted`); a live node takes the place of the
    cached one in `nodes`. Nothing is asked twice for what is already answered.
    """

    dry_run: bool = False
    """Dry-run create of the first attempt's pod (`manifest.pod_manifest`)."""
    operations: bool = False
    """All operations of the execution, by a consistent LIST."""
    execution: bool = False
    """Of an operation: its execution."""
    creator: bool = False
    """Of an operation: the pod of its createdBy."""
    arguments: bool = False
    """Of an operation: its arguments."""
    live_pod: WantedPod | None = None
    """The current attempt's pod, where it is to be asked for live."""
    live_nodes: tuple[str, ...] = ()
    """Names of nodes to GET live."""

    def __bool__(self) -> bool:
        return self != NOTHING


NOTHING = Questions()


class Answer(StrEnum):
    """The API server's answer to a create, tried or real."""

    PASSED = "passed"
    INVALID = "invalid"
    """400 or 422: the template is wrong, and will be until somebody changes it."""
    REFUSED = "refused"
    """Anything else (quota, a namespace that ends, a policy, 5xx): it may pass."""
    TAKEN = "taken"
    """409: a pod of that name exists, and is not the attempt's."""


@dataclass(frozen=True, slots=True)
class CreateAnswer:
    """What the API server said about a pod."""

    answer: Answer
    message: str = ""
    at: datetime | None = None
    """When it answered; a create that was refused is repeated `retry_after` later. None: at once."""
    retry_after: float | None = None
    """Seconds until a refused one is tried again, longer each time in a row; None: as the settings have it."""
    pod_uid: str = ""
    """UID of the pod, where it was made, or had been."""


class PodCall(StrEnum):
    """The two calls by which a stop reaches a pod."""

    POST = "patch"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a posting or a DELETE that was refused, however often it was tried."""

    pod_uid: str
    call: PodCall
    asks: str
    """What it asked for, so that something else is not taken for refused."""
    message: str
    at: datetime
    """The last time."""
    times: int = 1
    """How often in a row; 0 where it may have been a passing fault."""
