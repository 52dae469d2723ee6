"""An object that cannot be read is said once, with what to do, and holds nobody up."""

from __future__ import annotations

from typing import Any

from desist.controller.events import Notice, Subject
from desist.controller.executions import Executions
from desist.controller.intake import Intake
from desist.controller.kinds import EXECUTION, WORKFLOW, Key, Managed, table
from desist.controller.records import WorkflowRecord
from desist.controller.store import Store
from desist.controller.unreadable import Complaints
from tests.unit.controller.fakes import no_operations


async def _nothing(_: str) -> None:
    return None


class Told:
    """An intake, and what it says."""

    def __init__(self) -> None:
        self.events: list[tuple[Subject, Notice]] = []
        self.woken: list[Key] = []
        self.executions = Executions()
        workflows: Store[WorkflowRecord] = Store()
        executions = Managed(EXECUTION, self.executions, _nothing)
        rows = table(Managed(WORKFLOW, workflows, _nothing), executions, no_operations())
        self.intake = Intake(rows, self.woken.append, Complaints(lambda *said: self.events.append(said)))

    def note(self, uid: str = "u", version: int = 1, generation: int = 1, phase: str = "Exploded") -> None:
        metadata = {"name": f"name-of-{uid}", "namespace": "shop", "uid": uid, "generation": generation}
        body: dict[str, Any] = {
            "metadata": metadata | {"resourceVersion": str(version)},
            "spec": {"workflowRef": {"name": "order"}},
            "status": {"phase": phase},
        }
        self.intake.note(EXECUTION, body)


def test_it_is_said_in_an_event_what_cannot_be_read_and_what_to_do() -> None:
    told = Told()
    told.note()
    ((subject, notice),) = told.events
    assert (subject.metadata.name, notice.reason, notice.warning) == ("name-of-u", "Unreadable", True)
    assert "status.phase" in notice.message and "kubectl delete" in notice.message


def test_it_is_said_once_a_generation() -> None:
    told = Told()
    for version in range(1, 6):
        told.note(version=version)
    told.note(version=6, generation=2)
    assert len(told.events) == 2


def test_it_is_said_again_where_it_could_be_read_meanwhile() -> None:
    told = Told()
    told.note(version=1)
    told.note(version=2, phase="Running")
    told.note(version=3)
    assert len(told.events) == 2


def test_the_others_are_read_and_woken() -> None:
    told = Told()
    told.note("bad")
    told.note("good", phase="Running")
    assert told.woken == [Key("WorkflowExecution", "good")]
    assert told.executions.get("bad") is None and told.executions.get("good") is not None
