"""The demo's watch, and what counts as a cold run of a make target."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hack import timing
from hack.demo.scenarios import SCENARIOS
from hack.demo.stage import Stage, documents


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
    stage._watch_once()
    assert stage.stories[0].phase == "Running"


def test_a_watch_that_cannot_go_on_ends_the_demo_at_once_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: str) -> str:
        raise OSError("no kubectl")

    monkeypatch.setattr("hack.demo.stage.tool", fails)
    monkeypatch.setattr("hack.demo.stage.processes_with", lambda _: [])
    stage = Stage(SCENARIOS)
    stage._follow()
    with pytest.raises(RuntimeError, match="no kubectl"):
        stage.run(lambda: None)


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
