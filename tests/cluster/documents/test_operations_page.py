"""docs/operations.md: all that one types there is typed here, and does what the page says."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from desist.api.operation import operation_name
from tests.cluster.admission.accounts import API, DRY
from tests.cluster.admission.conftest import allow_workflows, process_of
from tests.cluster.documents.conftest import REPOSITORY, Shell, blocks, execution_of, operations, runnable
from tests.support import programs
from tests.support.lab import Lab

PAGE = (REPOSITORY / "docs" / "operations.md").read_text()
TUTORIAL, REST = PAGE.split("\n## What each mode does")
PAGES = {f"page/{number}" for number in range(1, 21)}


@pytest.mark.conformance("A3")
def test_the_tutorial_ends_in_a_killed_fan_out_of_which_one_was_stopped_alone(lab: Lab, shell: Shell) -> None:
    (manifest,) = blocks(TUTORIAL, "yaml")
    allow, start, stop_one, stop_all, remove, _ = blocks(TUTORIAL, "console")
    (shell.folder / "pages.yaml").write_text(runnable(manifest))
    shell.run(allow)
    shown = shell.run(start)
    assert all(f" {page} " in shown for page in PAGES), shown
    shell.run(stop_one)
    run = execution_of(lab, "pages-1")
    assert run.get()["status"]["phase"] == "Running"
    assert [key for key, held in operations(lab).items() if held["status"]["phase"] == "Cancelled"] == ["page/7"]
    told = shell.run(stop_all)
    assert run.get()["status"]["phase"] == "Cancelled"
    assert {key: held["status"]["phase"] for key, held in operations(lab).items()} == dict.fromkeys(PAGES, "Cancelled")
    assert all(f"OperationCancelled {page}" in told for page in PAGES - {"page/7"})
    shell.run(remove)


def test_the_fan_in_sums_what_its_operations_report(lab: Lab, shell: Shell) -> None:
    (manifest,), (end,) = blocks(TUTORIAL, "yaml"), blocks(TUTORIAL, "python")
    allow, *_, count = blocks(TUTORIAL, "console")
    (shell.folder / "pages.yaml").write_text(runnable(manifest))
    (shell.folder / "fan_in.py").write_text(end)
    shell.run(allow)
    said = shell.run(count)
    assert 'Succeeded {"words":9}' in said, said
    assert all(f'page/{page} Succeeded {{"words":{words}}}' in said for page, words in ((1, 4), (2, 3), (3, 2))), said


def test_the_api_server_takes_each_spec_from_the_programs_pod(lab: Lab, shell: Shell, kubectl: Any) -> None:
    allow_workflows(kubectl, lab)
    execution = lab.start(programs.WORKS)
    process = process_of(execution)
    fragments = [yaml.safe_load(block) for block in blocks(REST, "yaml")]
    assert len(fragments) == 4
    for fragment in fragments:
        body = process.asks_for(execution, fragment["key"])
        del body["spec"]["timer"]
        body["spec"] |= fragment
        answer = process.account.ask("POST", f"{API}/{lab.name}/operations", body, **DRY)
        assert answer.status == 201, answer.message


def test_the_shells_digits_are_those_of_the_name(lab: Lab, shell: Shell) -> None:
    digits, select = blocks(REST, "console")
    printed = shell.run(digits, DESIST_EXECUTION_UID="1f2e", DESIST_RUN_ID="01JZ")
    assert operation_name("pages-1", "1f2e", "01JZ", "page/7") == f"pages-1-{printed}"
    shell.run(select)
