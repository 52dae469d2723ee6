"""Belonging: whose word it is that asks for an operation, and what that is worth. One table.

Contract: `word` is judged before an operation has begun, from `createdBy`, which admission holds to the token of the
request, and from the execution. What is not known is asked for first. Who is not of the run makes the operation fail,
once (`refuse`); such a one is in no count, history or end of the run, or else one run could hold up another.
"""

from __future__ import annotations

from enum import StrEnum

from desist.api.operation import OperationSpec, operation_name
from desist.api.status import OperationStatus
from desist.api.vocabulary import FailureCategory
from desist.lifecycle.observed.questions import Questions
from desist.lifecycle.operation.view import OperationView
from desist.lifecycle.pod.manifest import pod_name, run_hash
from desist.lifecycle.run import closing
from desist.lifecycle.view import Status, Step, current


class Word(StrEnum):
    """Whose it is."""

    CURRENT = "the current attempt's"
    """It is started."""
    EARLIER = "an earlier attempt's"
    """It is not started until the current attempt asks for it again."""
    LATER = "a later attempt's than is known"
    """It is not touched until that attempt is known."""
    FOREIGN = "not of this run"
    """It fails."""


def refuse(view: OperationView, status: Status) -> Step:
    """Step: fail what is not of the run that it names."""
    if begun(status):
        return Step(status)
    said = word(view)
    if isinstance(said, Questions):
        return Step(status, asks=said)
    if said is not Word.FOREIGN:
        return Step(status)
    failed = closing.refuse(view, _named(view, status), _why(view), FailureCategory.NOT_OF_THIS_RUN)
    return Step(closing.close(view, failed))


def begun(status: Status) -> bool:
    """Whether its first attempt is in status, or when it is due."""
    return status.attempt is not None or (isinstance(status, OperationStatus) and status.due_at is not None)


def plainly_foreign(spec: OperationSpec, status: Status) -> bool:
    """Whether its creator's name alone shows that it will be refused: until then it must hold up nobody either.

    Never of one that has begun: its process lives, whatever `createdBy` was changed to where no policy holds it.
    Part of the name only, so that it says so of nothing that `word` would let begin.
    """
    named = spec.created_by.pod_name.rpartition("-")[0]
    return not begun(status) and not named.endswith(f"-{run_hash(spec.execution_ref.uid, spec.run_id)}")


def word(view: OperationView) -> Word | Questions:
    """Whose it is, or what must be known first. The execution is there."""
    execution, spec = view.observed.execution, view.spec
    assert execution is not None, "without an execution nothing is judged"
    owner, run = execution.metadata, view.run
    if view.metadata.name != operation_name(owner.name, owner.uid, spec.run_id, spec.key):
        return Word.FOREIGN
    if run is None or run.attempt is None:
        # The store may be behind.
        return Word.FOREIGN if view.observed.execution_read else Questions(execution=True)
    attempt = _attempt(spec.created_by.pod_name)
    if attempt is None or spec.created_by.pod_name != pod_name(owner.name, owner.uid, spec.run_id, attempt):
        return Word.FOREIGN
    if attempt > run.attempt:
        return Word.LATER if view.observed.execution_read else Questions(execution=True)
    held = current(run)
    return Word.EARLIER if attempt < run.attempt else _current(view, held.pod_uid if held else None)


def _current(view: OperationView, known: str | None) -> Word | Questions:
    asked = view.spec.created_by.pod_uid
    if known:
        return Word.CURRENT if known == asked else Word.FOREIGN
    if not view.observed.creator_read:
        return Questions(creator=True)
    if not view.observed.creator_uid:
        # It is gone already: whoever follows it asks again.
        return Word.EARLIER
    return Word.CURRENT if view.observed.creator_uid == asked else Word.FOREIGN


def _attempt(pod: str) -> int | None:
    """The number at the end of a workflow pod's name."""
    number = pod.rpartition("-")[2]
    return int(number) if number.isdecimal() and number.isascii() and len(number) <= 16 else None


def _named(view: OperationView, status: Status) -> Status:
    return status.replace(run_id=view.spec.run_id)


def _why(view: OperationView) -> str:
    """Why it is not of the run, and what would be."""
    execution, spec = view.observed.execution, view.spec
    assert execution is not None
    name = operation_name(execution.metadata.name, execution.metadata.uid, spec.run_id, spec.key)
    if view.metadata.name != name:
        return f"the name of an operation follows from its execution, run and key: it would be {name}"
    if view.run is None:
        return f"run {spec.run_id} is not the current run of execution {spec.execution_ref.name}"
    return f"pod {spec.created_by.pod_name} ({spec.created_by.pod_uid}) is no workflow pod of run {spec.run_id}"
