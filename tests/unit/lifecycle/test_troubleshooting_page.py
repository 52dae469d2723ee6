"""docs/troubleshooting.md: whoever searches it for what kubectl shows finds it there, in the one spelling of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from desist.api.conditions import EventReason, StallReason
from desist.api.crds import DEFINITIONS
from desist.api.vocabulary import FailureCategory, HistoryType
from desist.controller.status import STATUS_REFUSED
from desist.controller.unreadable import REASON as UNREADABLE
from desist.lifecycle.shown.events import SILENT, TOLD_CONDITIONS

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "troubleshooting.md").read_text()
EVENTS = PAGE.partition("\n## Events\n")[2].partition("\n## ")[0]
TOLD = {*EventReason, *TOLD_CONDITIONS, *(set(HistoryType) - set(SILENT)), STATUS_REFUSED, UNREADABLE}


@pytest.mark.parametrize("reason", sorted(TOLD))
def test_each_reason_of_an_event_is_in_the_table_of_events(reason: str) -> None:
    rows = [line.split("|")[1] for line in EVENTS.splitlines() if line.startswith("|")]
    assert any(f"`{reason}`" in row for row in rows)


@pytest.mark.parametrize("word", sorted({*FailureCategory, *StallReason}))
def test_each_category_of_a_failure_and_each_reason_of_a_stall_is_explained(word: str) -> None:
    assert any(line.startswith("|") and f"`{word}`" in line.split("|")[1] for line in PAGE.splitlines())


@pytest.mark.parametrize("page", ["docs/troubleshooting.md", "charts/desist/README.md"])
def test_who_removes_everything_deletes_every_definition(page: str) -> None:
    command = (DOCS.parent / page).read_text().partition("kubectl delete crd ")[2].partition("\n\n")[0]
    assert all(f"{definition.plural}.desist.dev" in command for definition in DEFINITIONS)
