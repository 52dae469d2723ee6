"""What is wrong before anything starts is said in one line, and ends the process at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WRONG = {
    "a setting": ({"DESIST_WORKERS": "many"}, "DESIST_WORKERS"),
    "no kubeconfig": ({"KUBECONFIG": "/nowhere/config"}, "cannot read /nowhere/config: No such file or directory"),
    "no context": ({"KUBECONFIG": "{empty}"}, "has no current-context"),
}


@pytest.mark.parametrize(("environment", "words"), WRONG.values(), ids=WRONG)
def test_it_ends_with_one_line_that_says_what_is_wrong(environment: dict[str, str], words: str, tmp_path: Path) -> None:
    empty = tmp_path / "config"
    empty.write_text("kind: Config\n")
    changes = {name: value.format(empty=empty) for name, value in environment.items()}
    command = [sys.executable, "-m", "desist.controller"]
    done = subprocess.run(
        command, env={**os.environ, **changes}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.startswith("desist: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("environment", "words"), list(WRONG.values())[:2], ids=list(WRONG)[:2])
def test_under_kopf_run_too_it_ends_at_once_and_for_good(environment: dict[str, str], words: str) -> None:
    command = [sys.executable, "-m", "kopf", "run", "-m", "desist.controller.handlers", "-A", "--standalone"]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if "failed permanently" in line]
    assert said and words in said[0]
