"""One table says what the controller does with each kind, and nobody else spells a kind's name."""

from __future__ import annotations

from pathlib import Path

import pytest

import desist.controller
from desist.api import crds
from desist.controller import kinds
from desist.controller.executions import Executions
from desist.controller.kinds import EXECUTION, KINDS, WORKFLOW, Key, Managed, table
from desist.controller.records import WorkflowRecord
from desist.controller.store import Store
from tests.unit.controller.fakes import no_operations, record


async def reconcile(_: str) -> None:
    return None


def test_every_kind_with_a_crd_is_known_under_the_names_that_the_crd_gives_it() -> None:
    defined = {(each.model.__name__, each.plural) for each in crds.DEFINITIONS}
    assert {(kind.name, kind.resource.plural) for kind in KINDS} == defined


def test_no_other_module_of_the_controller_spells_a_kinds_name() -> None:
    folder = Path(desist.controller.__path__[0])
    named = [f'"{word}"' for kind in KINDS for word in (kind.name, kind.resource.plural)]
    others = {path: path.read_text() for path in folder.glob("*.py") if path.name != Path(kinds.__file__).name}
    assert {path.name: word for path, text in others.items() for word in named if word in text} == {}


def test_a_table_has_a_row_for_each_kind_in_the_order_of_the_start() -> None:
    workflows: Managed[WorkflowRecord] = Managed(WORKFLOW, Store(), reconcile)
    executions = Managed(EXECUTION, Executions(), reconcile)
    operations = no_operations()
    assert list(table(workflows, executions, operations)) == [kind.name for kind in KINDS]
    for rows in ((workflows, executions), (executions, workflows, operations)):
        with pytest.raises(ValueError, match="the table has rows for"):
            table(*rows)


def test_a_row_says_that_nothing_is_urgent_and_nobody_waits_unless_it_says_otherwise() -> None:
    executions = Executions()
    executions.note(record())
    plain = Managed(EXECUTION, executions, reconcile)
    assert (plain.is_urgent("wfx"), list(plain.waiting(record()))) == (False, [])
    urgent = Managed(EXECUTION, executions, reconcile, urgent=lambda _: True, waiting=lambda _: [Key("K", "u")])
    assert (urgent.is_urgent("wfx"), urgent.is_urgent("nobody")) == (True, False)
