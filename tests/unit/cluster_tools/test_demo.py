"""The demo's watch, and what counts as a cold run of a make target."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from hack import timing
from hack.demo.scenarios import SCENARIOS, Scenario, patch
from hack.demo.stage import Stage, documents
from hack.demo.story import Story
from hack.demo.view import report


def printed(*objects: object) -> list[str]:
    return [line for one in objects for line in (json.dumps(one, indent=4) + "\n").splitlines(keepends=True)]


def test_a_list_is_read_as_its_items_and_what_was_cut_off_is_left_out() -> None:
    lines = printed({"items": [{"kind": "A"}, {"kind": "B"}]}, {"kind": "C"}, {"kind": "D"})
    assert [item["kind"] for item in documents(lines[:-1])] == ["A", "B", "C"]


class Kubectl:
    """Stands for a kubectl that prints these lines and ends."""

    def __init__(self, lines: list[str]) -> None:
        self.stdout = lines

    def wait(self) -> None: ...


def test_an_error_object_ends_a_watch_and_not_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    name = SCENARIOS[0].execution
    lines = printed(
        {"kind": "Status", "code": 410, "metadata": {}},
        {"kind": "WorkflowExecution", "metadata": {"name": name}, "status": {"phase": "Running"}},
    )
    monkeypatch.setattr("hack.demo.stage.tool", lambda _: "kubectl")
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: Kubectl(lines))
    stage = Stage(SCENARIOS)
    stage._watch_once("wfx")
    assert stage.stories[0].phase == "Running"


def test_a_watch_that_cannot_go_on_ends_the_demo_at_once_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: str) -> str:
        raise OSError("no kubectl")

    monkeypatch.setattr("hack.demo.stage.tool", fails)
    monkeypatch.setattr("hack.demo.stage.processes_with", lambda _: [])
    stage = Stage(SCENARIOS)
    stage._follow("wfx")
    with pytest.raises(RuntimeError, match="no kubectl"):
        stage.run(lambda: None)


def operation(key: str, phase: str) -> dict[str, object]:
    status = {"phase": phase, "processes": [{"node": "node-1"}]}
    return {"metadata": {"name": f"op-{key}"}, "spec": {"key": key}, "status": status}


def count(story: Story, now: float, processes: dict[str, int]) -> None:
    story.counted(now, processes, settled=story.settled)


FIRST = replace(patch(2, "Force", "hangs"), once=("ship",))
REAP = replace(patch(3, "Kill", "not needed"), ended=True)
FORCED = Scenario("10-order-saga", "", "marker", (FIRST, REAP), "Cancelled", operations={"ship": "Cancelled"})


def test_a_patch_waits_for_the_operations_that_it_needs_running_and_one_that_reaps_for_the_runs_end() -> None:
    story = Story(FORCED)
    story.observe(1, {"phase": "Running"})
    story.observe_operation(5, operation("ship", "Pending"))
    assert story.due(9) is None
    story.observe_operation(10, operation("ship", "Running"))
    assert (story.due(11), story.due(12)) == (None, FIRST)
    story.patched(12, FIRST)
    assert story.due(99) is None
    story.observe(13, {"phase": "Cancelled", "operations": {"leftOver": 1}})
    assert (story.due(15), story.due(16)) == (None, REAP)


def test_nothing_is_proven_while_an_operation_that_the_run_left_over_goes_on() -> None:
    story = Story(FORCED)
    story.observe_operation(5, operation("ship", "Running"))
    story.patched(7, FIRST)
    story.observe(8, {"phase": "Cancelled", "operations": {"leftOver": 1}})
    count(story, 9, {"node-1": 2})
    count(story, 13, {})
    assert (story.checks, story.left_over) == ([], {"node-1": 2})
    story.patched(14, REAP)
    story.observe_operation(15, operation("ship", "Cancelled"))
    count(story, 16, {})
    count(story, 19, {})
    assert story.proven
    assert story.as_promised


def test_processes_that_were_seen_before_the_end_was_known_do_not_speak_against_it() -> None:
    story = Story(replace(FORCED, patches=(), operations={}))
    before = story.settled
    story.observe(8, {"phase": "Cancelled"})
    story.counted(8, {"node-1": 1}, settled=before)
    count(story, 9, {})
    count(story, 13, {})
    assert story.as_promised


def test_an_operation_that_ended_otherwise_breaks_the_promise_of_its_scenario() -> None:
    story = Story(replace(FORCED, patches=()))
    story.observe_operation(5, operation("ship", "Succeeded"))
    count(story, 7, {"node-1": 1})
    story.observe(8, {"phase": "Cancelled"})
    count(story, 9, {})
    count(story, 13, {})
    assert story.proven
    assert not story.as_promised


def test_what_begins_alone_begins_when_all_others_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[str] = []
    monkeypatch.setattr("hack.demo.stage.kubectl", lambda *words: applied.extend(words))
    stage = Stage((replace(FORCED, patches=(), operations={}), replace(FORCED, manifest="09-batch", alone=True)))
    first, second = stage.stories
    first.created = 1.0
    stage._begin_due()
    assert (applied, second.created) == ([], None)
    first.observe(8, {"phase": "Cancelled"})
    stage._begin_due()
    stage._begin_due()
    assert [word for word in applied if "batch" in word] == applied[1:]
    assert len(applied) == 2


def test_many_operations_and_history_entries_of_a_kind_are_told_in_a_line() -> None:
    entries = [{"seq": n, "time": "2026-11-25T17:00:44.123456Z", "type": "OperationCancelled"} for n in range(1, 51)]
    story = Story(replace(FORCED, patches=()))
    for number in range(50):
        story.observe_operation(5, operation(f"shard/{number}", "Running"))
        story.observe_operation(6, operation(f"shard/{number}", "Cancelled"))
    story.observe(8, {"phase": "Cancelled", "history": entries})
    console = Console(width=200, record=True, file=StringIO())
    report(console, [story])
    told = console.export_text()
    assert "OperationCancelled, and so on to 50" in told
    assert "50 times      Running → Cancelled; 50 on node-1" in told
    assert len(told.splitlines()) < 12


@pytest.mark.parametrize(
    ("name", "made", "warm"),
    [
        ("demo", [], False),
        ("demo", ["venv"], False),
        ("demo", ["cluster"], True),
        ("check", ["cluster"], False),
        ("check", ["venv"], True),
    ],
)
def test_a_run_is_cold_if_what_it_needs_was_never_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, made: list[str], warm: bool
) -> None:
    monkeypatch.setattr(timing, "VENV", tmp_path / "venv")
    monkeypatch.setattr(timing, "CLUSTER", tmp_path / "cluster")
    for file in made:
        (tmp_path / file).touch()
        os.utime(tmp_path / file, (100, 100))
    assert timing.warm(name, since=200) is warm


def test_an_environment_made_since_the_beginning_is_a_cold_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "VENV", tmp_path / "venv")
    (tmp_path / "venv").touch()
    os.utime(tmp_path / "venv", (300, 300))
    assert not timing.warm("check", since=200)
