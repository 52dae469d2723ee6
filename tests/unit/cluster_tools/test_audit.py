"""What a test reads of an audit log that goes on, and that is turned over, while the test runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.audit import Audit


def here(script: str, *arguments: str) -> str:
    """Run it on this machine."""
    done = subprocess.run(["sh", "-c", script, "sh", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def write(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    made = tmp_path / "audit.log"
    write(made, "before 1\nbefore 2\n")
    return made


def test_it_gives_what_was_written_since_and_whole_lines_alone(log: Path) -> None:
    audit = Audit(str(log), here)
    assert [*audit.since()] == []
    write(log, "one\ntwo\nthr")
    assert [*audit.since()] == ["one", "two"]
    write(log, "ee\n")
    assert [*audit.since()] == ["one", "two", "three"]


def test_a_line_that_was_being_written_at_the_beginning_is_not_read_as_one(log: Path) -> None:
    write(log, "befo")
    audit = Audit(str(log), here)
    write(log, "re 3\none\n")
    assert [*audit.since()] == ["one"]


def test_a_log_that_is_turned_over_in_between_is_read_to_its_end_and_then_the_new_one(log: Path) -> None:
    audit = Audit(str(log), here)
    write(log, "one\n")
    log.rename(log.with_name("audit-2030-01-01T00-00-00.000.log"))
    write(log, "two\nthree\n")
    assert [*audit.since()] == ["one", "two", "three"]


def test_a_log_that_has_just_been_turned_over_is_read_from_its_first_line(log: Path) -> None:
    log.rename(log.with_name("audit-2030-01-01T00-00-00.000.log"))
    log.touch()
    audit = Audit(str(log), here)
    write(log, "one\n")
    assert [*audit.since()] == ["one"]
