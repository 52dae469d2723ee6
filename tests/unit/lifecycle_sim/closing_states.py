"""What the exhaustive search walks through: its cases, its states, and what must hold of each of them.

Contract: a state holds numbers of objects (`Kept`), so that it is small and quickly compared. Objects have no
versions there: one that is as it was before has the same number, and a write is refused where the number is another.
`wrong` is written from the promises, and reads nothing of the core's tables.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

from desist.api.execution import WorkflowExecution
from desist.api.operation import Operation
from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import ClosePolicy, CommandOutcome, CommandStatus, Mode
from desist.lifecycle.observed.pods import ContainerPhase, PodView
from desist.lifecycle.proof.process import ended

NONE = -1
"""Number of what is not there."""


@dataclass(frozen=True)
class Case:
    """How the run ends."""

    mode: Mode | None = None
    """The stop that is stored from the beginning, and seen whenever a watch shows it; None: none."""
    policy: ClosePolicy = ClosePolicy.STOP
    then: Mode | None = None
    """A stop that is stored at any moment, also after the run's end."""
    timer: bool = False
    """Whether the operation is a timer."""
    waits: bool = False
    """Whether the container of the operation's pod starts some time after the pod was made, instead of at once."""

    pushes: bool = False
    """Whether the launcher of the operation's pod takes pushes."""

    def __str__(self) -> str:
        stop, then = (mode.value if mode is not None else "" for mode in (self.mode, self.then))
        what = "timer" if self.timer else "pod that starts later" if self.waits else "pod"
        what = "pod that takes pushes" if self.pushes else what
        later = f", {then} at any time" if then else ""
        return f"{stop or 'its own end'}{later}, {self.policy.value}, {what}"


CASES = (
    *(Case(mode) for mode in (Mode.CANCEL, Mode.FORCE, Mode.TERMINATE, Mode.KILL, None)),
    *(Case(mode, policy) for policy in (ClosePolicy.WAIT, ClosePolicy.ABANDON) for mode in (Mode.CANCEL, None)),
    *(Case(mode, waits=True) for mode in (Mode.CANCEL, Mode.FORCE, Mode.KILL)),
    *(Case(mode, timer=True) for mode in (Mode.CANCEL, Mode.FORCE, None)),
    *(Case(None, policy, Mode.KILL) for policy in ClosePolicy),
    *(Case(mode, then=Mode.KILL) for mode in (Mode.CANCEL, Mode.FORCE)),
    *(Case(mode, pushes=True) for mode in (Mode.CANCEL, Mode.FORCE, Mode.KILL)),
)
"""What `make search` walks through. Force, Terminate and Kill ask for no policy."""


class Sees(NamedTuple):
    """What one controller sees, and what is left of its plan."""

    execution: int
    operation: int = NONE
    plan: tuple[int, ...] = ()
    about: str = ""
    """Whose plan it is: the run's or the operation's."""
    judged: int = NONE
    """What of it was judged, for as long as it is not written anew."""
    posted: str = ""
    """The version that the posting of this plan has returned."""


class State(NamedTuple):
    """The API server, the nodes, and two controllers."""

    execution: int
    run_pod: int
    sees: tuple[Sees, Sees]
    sent: int
    """The create that is on its way."""
    operation: int = NONE
    pod: int = NONE
    missed: bool = False
    """Whether a live GET has found no pod of the operation since its attempt was written."""
    late: bool = False
    """Whether its pod was made after that."""
    heard: bool = False
    """Whether the launcher of the operation's pod has heard a push."""
    listed: int = NONE
    """How many operations the first LIST has found that the leader made once a stop, or the end, was stored."""

    def saw(self, who: int, sees: Sees) -> State:
        """The same, where that controller sees something else."""
        return self._replace(sees=(sees, self.sees[1]) if who == 0 else (self.sees[0], sees))


class Kept:
    """Objects by number."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._objects: list[Any] = []

    def number(self, held: Hashable) -> int:
        """Its number; equal ones have the same."""
        known = self._numbers.get(held)
        if known is None:
            known = self._numbers[held] = len(self._objects)
            self._objects.append(held)
        return known

    def __getitem__(self, number: int) -> Any:
        return None if number == NONE else self._objects[number]


@dataclass(slots=True)
class Found:
    """What a search came to."""

    states: int = 0
    wrong: str = ""
    """The first promise that is broken."""
    state: State | None = None
    """Where."""
    ends: int = 0
    """States in which the run has ended."""
    late: int = 0
    """Of these, such in which a late start is still to be stopped."""
    left: int = 0
    """Of these, such in which a process of the operation was left running on purpose."""
    rests: int = 0
    """States in which nothing is left to do."""
    complete: bool = True


def wrong(case: Case, execution: WorkflowExecution, operation: Operation | None, pod: PodView | None) -> str:
    """What promise is broken; `pod` is the operation's, where it is no late start. Empty: none."""
    run, own = execution.status, operation.status if operation is not None else None
    lives = pod is not None and not ended(pod)
    assert run is not None
    if own is not None and not own.open and lives:
        return "the operation has ended, and its process lives"
    entries = [entry for entry in run.history if entry.operation]
    if len(entries) > 1:
        return "the run tells twice of one operation"
    if run.open:
        return ""
    if lives and not _may_live(case, run, pod):
        return "the run has ended, and a process lives that nothing allows to"
    reaped = run.last_accepted is not None and run.last_accepted.outcome is None
    counts = run.operations
    # What a Kill is ending is open, and left over no more.
    if lives and not (counts is not None and (counts.open if reaped else counts.left_over)):
        return "the run has ended, and a process lives that it does not count"
    return ""


def at_rest(execution: WorkflowExecution, operation: Operation | None) -> str:
    """What is wrong where nothing is left to do. Empty: nothing."""
    run = execution.status
    assert run is not None
    if run.open:
        return "nothing goes on, and the run is open"
    open_ = int(operation is not None and (operation.status is None or operation.status.open))
    counted = run.operations
    if (counted.open, counted.left_over) != (0, open_) if counted is not None else open_:
        return f"{open_} operations are open, and the run counts {counted}"
    return ""


def _may_live(case: Case, run: WorkflowExecutionStatus, pod: PodView | None) -> bool:
    """Whether the run leaves that process running: by Force where it has started, or by its policy."""
    last = run.last_accepted
    if last is not None and last.outcome is CommandOutcome.REAPED:
        return False
    ended_by = [
        record.mode
        for record in run.commands
        if record.status is CommandStatus.ACCEPTED and record.outcome not in (None, CommandOutcome.REAPED)
    ]
    if {Mode.TERMINATE, Mode.KILL} & set(ended_by):
        return False
    started = pod is not None and pod.workflow.phase is not ContainerPhase.WAITING
    return started if Mode.FORCE in ended_by else case.policy is ClosePolicy.ABANDON
