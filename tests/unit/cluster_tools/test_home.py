"""The state folder, its lock, and pid files that outlived their process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hack.cluster import home as places
from hack.cluster.home import HELD_VARIABLE, Home, cluster_lock
from hack.cluster.own_engine import pid_in

HOLD = "from hack.cluster.home import cluster_lock\nwith cluster_lock():\n    print('held', flush=True)\n    input()\n"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESIST_HOME", str(tmp_path))
    monkeypatch.delenv(HELD_VARIABLE, raising=False)
    return tmp_path


def start_holder() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def say(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("root", ["/root/.cache/desist", "/home/somebody/" + "a-long-folder/" * 8])
def test_the_engines_sockets_have_short_paths(root: str) -> None:
    run = Home(Path(root)).run
    assert len(f"{run}/exec/containerd/containerd-debug.sock") < 108
    assert run == Home(Path(root)).run


def test_two_homes_with_long_paths_have_run_folders_of_their_own() -> None:
    assert Home(Path("/a" * 50)).run != Home(Path("/b" * 50)).run


def test_a_child_process_of_the_holder_does_not_wait(state: Path) -> None:
    with cluster_lock(), cluster_lock(), start_holder() as child:
        assert say(child) == "held"
        child.communicate("\n")
    assert HELD_VARIABLE not in os.environ


def test_others_wait_until_the_holder_is_killed(state: Path) -> None:
    with start_holder() as holder:
        assert say(holder) == "held"
        with start_holder() as waiting:
            assert waiting.stderr is None
            holder.send_signal(signal.SIGKILL)
            assert say(waiting) == "held"
            waiting.communicate("\n")


def test_the_environment_of_what_outlives_the_holder_names_no_lock(state: Path) -> None:
    with cluster_lock():
        assert HELD_VARIABLE in os.environ
        assert HELD_VARIABLE not in places.without_lock(dict(os.environ))


def test_a_pid_file_names_a_live_process_only_by_the_folder_in_its_arguments(tmp_path: Path) -> None:
    file = tmp_path / "engine.pid"
    with subprocess.Popen(["sleep", "60"]) as stranger:
        file.write_text(str(stranger.pid))
        assert pid_in(file, tmp_path) is None
        stranger.kill()
    script = [sys.executable, "-c", "print(flush=True); input()", f"{tmp_path}/daemon.json"]
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ours:
        # Popen returns a moment before the kernel shows the new arguments.
        assert ours.stdout is not None and ours.stdout.readline()
        file.write_text(str(ours.pid))
        assert pid_in(file, tmp_path) == ours.pid
        ours.kill()
        os.waitid(os.P_PID, ours.pid, os.WEXITED | os.WNOWAIT)
        assert pid_in(file, tmp_path) is None, "a zombie is not alive"


@pytest.mark.parametrize("content", ["", "not a number", "999999999"])
def test_a_pid_file_that_names_nothing_is_stale(tmp_path: Path, content: str) -> None:
    file = tmp_path / "engine.pid"
    file.write_text(content)
    assert pid_in(file, tmp_path) is None
    assert pid_in(tmp_path / "absent", tmp_path) is None
