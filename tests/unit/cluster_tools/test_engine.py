"""How an engine of our own is brought up: what is kept, what is tried again, and whose engine it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster import engine_settings, own_engine
from hack.cluster.errors import ClusterError
from hack.cluster.home import Home
from hack.cluster.own_engine import DockerdEnded, home_of
from hack.cluster.progress import Step


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESIST_HOME", str(tmp_path))
    return tmp_path


class Host:
    """Stands for the host: each start of dockerd has an outcome; what is done is written down."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, outcomes: Iterator[ClusterError | None]) -> None:
        self.done: list[str] = []
        self._outcomes = outcomes
        monkeypatch.setattr(own_engine, "_check", lambda _: None)
        monkeypatch.setattr(own_engine, "_start", self._start)
        monkeypatch.setattr(own_engine, "stop", lambda: self.done.append("stop"))
        monkeypatch.setattr(own_engine, "wipe", lambda: self.done.append("wipe"))

    def _start(self, step: Step) -> None:
        self.done.append("start")
        outcome = next(self._outcomes)
        if outcome is not None:
            raise outcome


ENDED, SILENT = DockerdEnded("ended"), ClusterError("does not answer")


@pytest.mark.parametrize(
    ("outcomes", "done"),
    [
        ([None], "start"),
        ([ENDED, None], "start stop start"),
        ([SILENT, None], "start stop start"),
        ([ENDED, ENDED, None], "start stop start stop wipe start"),
        ([SILENT, ENDED], "start stop start stop"),
        ([ENDED, SILENT], "start stop start stop"),
        ([SILENT, SILENT], "start stop start stop"),
    ],
)
def test_data_is_thrown_away_only_where_dockerd_itself_ended_twice_with_it(
    monkeypatch: pytest.MonkeyPatch, outcomes: list[ClusterError | None], done: str
) -> None:
    host = Host(monkeypatch, iter(outcomes))
    try:
        own_engine.up(Step("engine"))
    except ClusterError:
        assert outcomes[-1] is not None
    assert " ".join(host.done) == done


@pytest.mark.parametrize(
    ("fits", "answers", "done", "words"),
    [
        (True, True, [], "was up"),
        (True, False, ["stop", "start"], "did not answer"),
        (False, True, ["stop", "start"], "settings changed"),
    ],
)
def test_an_engine_that_runs_is_kept_if_its_settings_fit_and_it_answers(
    monkeypatch: pytest.MonkeyPatch, fits: bool, answers: bool, done: list[str], words: str
) -> None:
    host = Host(monkeypatch, iter([None]))
    monkeypatch.setattr(own_engine, "alive", lambda: True)
    monkeypatch.setattr(own_engine, "_answers", lambda _: answers)
    monkeypatch.setattr(engine_settings, "written", lambda: fits)
    assert words in own_engine.up(Step("engine"))
    assert host.done == done


@pytest.mark.parametrize(
    ("command", "home"),
    [
        (["dockerd", "--config-file", "/s/engine/daemon.json"], Path("/s")),
        (["dockerd", "--config-file", "/etc/docker/daemon.json"], None),
        (["dockerd", "--host", "fd://"], None),
        (["dockerd", "--config-file"], None),
    ],
)
def test_the_state_folder_of_an_engine_is_told_by_its_arguments(command: list[str], home: Path | None) -> None:
    assert home_of(command) == home


def test_another_state_folders_engine_is_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hack.cluster.packages.ensure", lambda *_: None)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    other = ["dockerd", "--config-file", "/other/engine/daemon.json"]
    monkeypatch.setattr("hack.cluster.host_traces.commands_of", lambda _: [other])
    with pytest.raises(ClusterError, match="the engine of another state folder runs") as caught:
        own_engine._check(Step("engine"))
    assert "DESIST_HOME=/other make cluster-down ARGS=--all" in str(caught.value)


def test_settings_fit_until_something_of_them_changes(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not engine_settings.written()
    settings = json.loads(engine_settings.write().read_text())
    assert engine_settings.written()
    assert settings["exec-opts"] == ["native.cgroupdriver=cgroupfs"]
    assert engine_settings.cgroup() == settings["cgroup-parent"] == Home(state).label
    monkeypatch.setattr(engine_settings, "ADDRESSES", "172.30.32.0/20")
    assert not engine_settings.written()


def test_a_running_engine_is_recognised_by_the_settings_that_it_was_started_with(state: Path) -> None:
    (state / "engine").mkdir()
    (state / "engine" / "daemon.json").write_text('{"cgroup-parent": "desist"}')
    assert engine_settings.ours().cgroup == "desist"


def test_two_state_folders_have_cgroups_of_their_own() -> None:
    assert Home(Path("/a")).label != Home(Path("/b")).label


@pytest.mark.parametrize(
    ("instances", "raised"), [(128, {"fs.inotify.max_user_instances": 8192}), (8192, {}), (1 << 20, {})]
)
def test_limits_of_the_kernel_are_only_ever_raised(instances: int, raised: dict[str, int]) -> None:
    present = {**engine_settings.LEAST, "fs.inotify.max_user_instances": instances}
    assert engine_settings.to_raise(present) == raised
