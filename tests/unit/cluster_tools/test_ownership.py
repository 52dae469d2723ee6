"""Two state folders on one engine: neither touches the other's cluster, unless it is asked to, and then it says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from hack.cluster import engine as engines
from hack.cluster import images, kind, nodes, own_engine, ownership, status, tools, updown
from hack.cluster.engine import Engine
from hack.cluster.errors import ClusterError
from hack.cluster.home import home
from hack.cluster.progress import Step

DOCKER = """#!/bin/sh
echo "docker $*" >>{log}
case "$*" in
  "inspect --format {{{{json .Mounts}}}} desist-control-plane") cat {mounts} ;;
  "ps --all"*) test -s {mounts} && printf 'desist-%s running\\n' control-plane worker worker2 ;;
  network*) exit 1 ;;
esac
"""


class Shared:
    """An engine that two state folders use, seen from the second one: what is asked of docker and kind is kept."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.theirs, self.ours = folder / "theirs", folder / "ours"
        self.theirs.mkdir()
        self._log, self._mounts = folder / "log", folder / "mounts"
        self._log.touch()
        monkeypatch.setenv("DESIST_HOME", str(self.ours))
        monkeypatch.setenv("PATH", str(folder / "bin"), prepend=":")
        monkeypatch.delenv(ownership.VARIABLE, raising=False)
        self._program(folder / "bin" / "docker", DOCKER.format(log=self._log, mounts=self._mounts))
        self._program(folder / "bin" / "kind", f'#!/bin/sh\necho "kind $*" >>{self._log}\n')
        for module in (kind, images):
            monkeypatch.setattr(module, "tool", lambda name: folder / "bin" / name)
        monkeypatch.setattr(kind, "_create", lambda *_: self._log.open("a").write("create\n"))
        home().engine.mkdir(parents=True)
        home().cluster.mkdir()
        (home().engine / "chosen.json").write_text(json.dumps({"own": False, "host": "unix:///shared.sock"}))
        self.engine = engines.current()

    @staticmethod
    def _program(file: Path, text: str) -> None:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def has_cluster_of(self, *sources: str | Path) -> None:
        self._mounts.write_text(json.dumps([{"Source": str(source)} for source in ("/lib/modules", *sources)]))

    def changes(self) -> list[str]:
        """What was asked that changes anything."""
        looks = ("docker inspect", "docker ps", "docker info", "docker image inspect", "docker network inspect")
        return [line for line in self._log.read_text().splitlines() if not line.startswith(looks)]


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shared:
    made = Shared(tmp_path, monkeypatch)
    made.has_cluster_of(made.theirs / "cluster" / "audit.yaml")
    return made


CHANGES: dict[str, Callable[[Engine], object]] = {
    "up": lambda engine: kind.up(engine, "an-image", Step("cluster")),
    "stop a kubelet": lambda _: nodes.stop_kubelet("desist-worker"),
    "start a kubelet": lambda _: nodes.start_kubelet("desist-worker"),
    "stop a node": lambda _: nodes.stop_node("desist-worker"),
    "start a node": lambda _: nodes.start_node("desist-worker"),
    "load an image": lambda _: images.load(["an-image"], Step("load")),
    "load an archive": lambda _: images.load_archives(["an-archive.tar"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_whatever_would_change_another_folders_cluster_is_refused_with_what_to_do(
    shared: Shared, change: Callable[[Engine], object]
) -> None:
    with pytest.raises(ClusterError) as refused:
        change(shared.engine)
    said = str(refused.value)
    assert f"belongs to the state folder {shared.theirs}" in said
    assert f"DESIST_HOME={shared.theirs} make cluster-down" in said
    assert f"{ownership.VARIABLE}=1" in said
    assert shared.changes() == []


def test_a_cluster_that_fits_by_its_key_is_another_folders_all_the_same(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "key", lambda *_: "the same")
    (home().cluster / "key").write_text("the same")
    with pytest.raises(ClusterError, match="belongs to the state folder"):
        kind.up(shared.engine, "an-image", Step("cluster"))
    assert shared.changes() == []


def test_up_refuses_before_it_compiles_anything(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_or_start", lambda _: shared.engine)
    built: list[str] = []
    monkeypatch.setattr(tools, "find_or_build", lambda name, _: built.append(name))
    with pytest.raises(ClusterError, match="belongs to the state folder"):
        updown.up()
    assert built == []


def test_a_cluster_is_taken_over_where_that_is_asked_for_and_it_is_said(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ownership.VARIABLE, "1")
    step = Step("cluster")
    kind.up(shared.engine, "an-image", step)
    assert shared.changes() == [
        f"kind delete cluster --name desist --kubeconfig {home().kubeconfig}",
        "create",
    ]
    (note,) = step.notes
    assert str(shared.theirs) in note
    assert ownership.VARIABLE in note


def test_a_cluster_that_is_in_use_is_not_taken_over(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ownership.VARIABLE, "1")
    with FileLock(shared.theirs / "lock"), pytest.raises(ClusterError, match="in use at this moment"):
        kind.up(shared.engine, "an-image", Step("cluster"))
    assert shared.changes() == []


def test_the_cluster_of_a_folder_that_is_gone_is_not_torn_down_unasked_either(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.theirs.rmdir()
    with pytest.raises(ClusterError, match="belongs to the state folder"):
        kind.up(shared.engine, "an-image", Step("cluster"))
    monkeypatch.setenv(ownership.VARIABLE, "1")
    kind.up(shared.engine, "an-image", Step("cluster"))
    assert "create" in shared.changes()


def test_a_cluster_of_that_name_that_these_tools_did_not_make_is_left_alone(shared: Shared) -> None:
    shared.has_cluster_of("/home/somebody/project")
    with pytest.raises(ClusterError, match="these tools did not make it") as refused:
        kind.up(shared.engine, "an-image", Step("cluster"))
    assert "DESIST_HOME" not in str(refused.value)
    assert shared.changes() == []


@pytest.mark.parametrize("everything", [False, True])
def test_down_leaves_another_folders_cluster(shared: Shared, everything: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_engine, "stop", lambda: None)
    monkeypatch.setattr("hack.cluster.host_traces.left", lambda _: [])
    updown.down(everything=everything)
    assert [line for line in shared.changes() if not line.startswith("docker version")] == []


def test_down_deletes_this_folders_cluster(shared: Shared) -> None:
    shared.has_cluster_of(shared.ours / "cluster" / "audit.yaml")
    updown.down(everything=False)
    assert any(line.startswith("kind delete cluster") for line in shared.changes())


def test_status_says_whose_the_cluster_is(shared: Shared) -> None:
    found = status.status()
    assert found["ready"] is False
    assert f"the cluster belongs to the state folder {shared.theirs}" in status.text(found)


def test_a_link_to_the_state_folder_leads_to_the_same_cluster(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    link = shared.theirs.with_name("link")
    link.symlink_to(shared.theirs)
    monkeypatch.setenv("DESIST_HOME", str(link))
    assert ownership.other(shared.engine) is None


@pytest.mark.parametrize(
    ("sources", "maker"),
    [
        (["/var/lib/volume", "/s/cluster/audit.yaml"], Path("/s")),
        (["/cluster/audit.yaml"], Path("/")),
        (["/s/other/audit.yaml", "/s/cluster/other.yaml"], ownership.UNKNOWN),
        ([], ownership.UNKNOWN),
    ],
)
def test_the_maker_is_told_by_what_the_control_plane_was_given(sources: list[str], maker: Path) -> None:
    assert ownership.maker_of(sources) == maker


def test_beside_another_folders_engine_nothing_is_taken_for_ours_by_its_address(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hack.cluster.host_traces.commands_of", lambda _: [])
    assert own_engine.traces().has_address("172.30.16.4")
    command = ["dockerd", "--config-file", f"{shared.theirs}/engine/daemon.json"]
    monkeypatch.setattr("hack.cluster.host_traces.commands_of", lambda _: [command])
    ours = own_engine.traces()
    assert not ours.has_address("172.30.16.4")
    assert not ours.has_process("docker-proxy", ["docker-proxy", "-container-ip", "172.30.16.4"])
    assert ours.has_mount(f"{home().engine}/data/overlay2/x")
