"""Modules side by side: pytest itself is run with two workers, on modules that tell when they are inside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hack.cluster.home import HELD_VARIABLE

REPOSITORY = Path(__file__).parents[3]
FIXTURES = """
import os, time
import pytest
from pathlib import Path

INSIDE = Path(__file__).parent / "inside"

@pytest.fixture
def release_operator(): ...

@pytest.fixture
def release_away(): ...

@pytest.fixture
def stopped_kubelet(): ...

@pytest.fixture(scope="module", autouse=True)
def told(request):
    "This module is inside from its first setup to its last teardown."
    name = request.module.__name__.rpartition(".")[2]
    INSIDE.mkdir(exist_ok=True)
    mine = INSIDE / name
    mine.touch()
    yield
    if "cluster" in request.node.nodeid:
        time.sleep(0.3)  # a teardown that takes its time
    mine.rename(INSIDE.parent / f"done-{name}")

@pytest.fixture
def inside():
    return lambda: {file.name for file in INSIDE.iterdir()}

@pytest.fixture
def meets(inside):
    def wait(name):
        ends = time.monotonic() + 30
        while name not in inside() and not (INSIDE.parent / f"done-{name}").exists():
            assert time.monotonic() < ends, f"{name} did not come: {inside()}"
            time.sleep(0.01)
    return wait
"""
COMPANY = """
from tests.support.sight import Placement

def test_first({fixtures}, meets, inside):
    meets({other!r})
    assert {{name for name in inside() if "unit" not in name}} <= {company}
    assert Placement.steady is {steady}

def test_second({fixtures}): ...
"""
COMPANIES = {
    "test_one": ("release_operator", "test_two", {"test_one", "test_two"}),
    "test_two": ("release_operator", "test_one", {"test_one", "test_two"}),
    "test_own": ("release_away", "test_lost", {"test_own", "test_lost"}),
    "test_lost": ("release_away, stopped_kubelet", "test_own", {"test_own", "test_lost"}),
}
ALONE = """
import pytest
{more}
def test_first({fixture}inside):
    assert [name for name in inside() if "unit" not in name] == [{name!r}]

def test_second({fixture}inside):
    assert [name for name in inside() if "unit" not in name] == [{name!r}]
"""
UNIT = """
def test_it(inside): ...
"""


SAYS = """
from tests.support.spaces import _say

def test_it(request):
    _say(request, "look here")
"""
DIES = """
import os

def test_it(stopped_kubelet):
    os._exit(9)
"""


def project(folder: Path) -> Path:
    """A suite of all kinds of modules."""
    cluster, unit = folder / "tests" / "cluster", folder / "tests" / "unit"
    for place in (cluster, unit):
        place.mkdir(parents=True)
    # Not in tests/: that name is the real one.
    (folder / "conftest.py").write_text(FIXTURES)
    for name, (fixtures, other, company) in COMPANIES.items():
        steady = name == "test_own"
        text = COMPANY.format(fixtures=fixtures, other=other, company=company, steady=steady)
        (cluster / f"{name}.py").write_text(text)
    alone = {
        "test_alone_by_fixture": ("stopped_kubelet, release_operator, ", ""),
        "test_alone_by_mark": ("release_operator, ", "pytestmark = pytest.mark.alone"),
        "test_alone_by_import": ("release_operator, ", "from hack.image.release import uninstall"),
        "test_alone_with_a_node": ("release_operator, ", "from hack.cluster.api import stop_kubelet"),
        "test_alone_as_nothing_is_known": ("", ""),
    }
    for name, (fixture, more) in alone.items():
        (cluster / f"{name}.py").write_text(ALONE.format(name=name, fixture=fixture, more=more))
    for number in range(3):
        (unit / f"test_unit_{number}.py").write_text(UNIT)
    (unit / "test_unit_says.py").write_text(SAYS)
    settings = 'markers = ["alone", "side_by_side"]\naddopts = "--import-mode=importlib --strict-markers"\n'
    (folder / "pyproject.toml").write_text(f"[tool.pytest.ini_options]\n{settings}")
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Pytest on the project, with this repository's own tests/conftest.py."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", HELD_VARIABLE))}
    environment = kept | {"DESIST_HOME": str(folder / "home"), "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'operator'}"}
    without = [word for name in ("cacheprovider", "hypothesispytest", "asyncio") for word in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", *without, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """All of it, with two workers."""
    return run(project(tmp_path_factory.mktemp("project")), "tests", "-n", "2")


def test_modules_meet_those_of_their_company_and_no_module_meets_one_that_is_alone(
    done: subprocess.CompletedProcess[str],
) -> None:
    assert done.returncode == 0, done.stdout
    assert "22 passed in " in last_line(done)


def test_what_a_module_says_past_the_capture_is_seen(done: subprocess.CompletedProcess[str]) -> None:
    assert "look here" in done.stderr


def test_what_fails_is_named_at_once_and_not_only_at_the_end(tmp_path: Path) -> None:
    module = project(tmp_path) / "tests" / "unit" / "test_fails.py"
    module.write_text("def test_it():\n    assert 1 == 2, 'not that'\n\ndef test_later(): ...\n")
    done = run(tmp_path, str(module), "-n", "1")
    assert "1 failed, 1 passed in " in last_line(done)
    at_once, _, later = done.stdout.partition("= FAILURES =")
    assert "FAILED in call: tests/unit/test_fails.py::test_it AssertionError: not that" in at_once
    assert "assert 1 == 2" in later


def test_a_worker_that_dies_ends_the_run_with_the_name_of_its_test(tmp_path: Path) -> None:
    module = project(tmp_path) / "tests" / "cluster" / "test_dies.py"
    module.write_text(DIES)
    done = run(tmp_path, str(module), "-n", "1")
    assert done.returncode == 1, done.stdout
    assert "1 failed in " in last_line(done)
    assert "crashed while running 'tests/cluster/test_dies.py::test_it'" in done.stdout


def test_without_workers_everything_runs_as_it_always_did(tmp_path: Path) -> None:
    done = run(project(tmp_path), "tests", *(f"--ignore=tests/cluster/{name}.py" for name in COMPANIES))
    assert done.returncode == 0, done.stdout
    assert "14 passed in " in last_line(done)
