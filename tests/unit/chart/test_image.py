"""The parts of the image's build that decide what is in it."""

from __future__ import annotations

import io
import re
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.api import ClusterError
from hack.image import assemble
from hack.image.assemble import compile_all, prune, requirements
from hack.image.base import PUBLISHED, SNAPSHOT, base_key, slim, sources
from hack.image.build import LAUNCHER, OPERATOR, superseded
from hack.image.wheels import locked


def package(name: str, dependencies: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": "1.0",
        "wheels": [{"hash": "sha256:b"}, {"hash": "sha256:a"}],
        "dependencies": dependencies or [],
        **more,
    }


def lock(*packages: dict[str, Any], needs: list[dict[str, Any]]) -> dict[str, Any]:
    project = package("desist", [{"name": "always"}], **{"optional-dependencies": {"operator": needs}})
    return {"package": [project, package("always"), *packages, package("of-development-only")]}


HASHES = " --hash=sha256:a --hash=sha256:b\n"


@pytest.mark.parametrize(
    ("packages", "needs", "line"),
    [
        ([package("a")], [{"name": "a"}], "a==1.0" + HASHES),
        ([package("a")], [{"name": "a", "marker": "x"}], "a==1.0 ; (x)" + HASHES),
        ([package("b"), package("a", [{"name": "b"}])], [{"name": "a"}], "b==1.0" + HASHES),
        (
            [package("b"), package("a", [{"name": "b", "marker": "y"}])],
            [{"name": "a", "marker": "x"}],
            "b==1.0 ; ((x) and (y))" + HASHES,
        ),
        (
            [package("b"), package("a", [{"name": "b", "marker": "y"}])],
            [{"name": "a"}, {"name": "b"}],
            "b==1.0" + HASHES,
        ),
    ],
    ids=["plain", "under a marker", "needed by another", "under both markers", "needed without a marker too"],
)
def test_requirements_are_what_the_operator_needs(
    packages: list[dict[str, Any]], needs: list[dict[str, Any]], line: str
) -> None:
    lines = requirements(lock(*packages, needs=needs)).splitlines(keepends=True)
    assert line in lines
    assert not any(made.startswith("of-development-only") for made in lines)


def test_two_versions_of_one_package_are_refused() -> None:
    with pytest.raises(ValueError, match="two versions of a"):
        requirements(lock(package("a"), package("a"), needs=[]))


def test_the_lock_file_pins_every_requirement_by_hash() -> None:
    lines = locked().splitlines()
    assert {"kopf", "aiohttp", "msgspec", "pydantic-core"} <= {line.partition("==")[0] for line in lines}
    assert all(" --hash=sha256:" in line for line in lines)
    assert not any(line.startswith(("desist", "pytest", "kubernetes")) for line in lines)


def test_what_no_running_program_reads_is_removed(tmp_path: Path) -> None:
    for name in ("p/a.py", "p/a.pyi", "p/_a.c", "p/tests/test_a.py", "bin/p", "p-1.dist-info/METADATA"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    prune(tmp_path)
    assert sorted(str(it.relative_to(tmp_path)) for it in tmp_path.rglob("*") if it.is_file()) == [
        "p-1.dist-info/METADATA",
        "p/a.py",
    ]


def test_bytecode_does_not_depend_on_the_times_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", None)  # the Makefile sets one; the image's build has none
    (tmp_path / "a.py").write_text("x = 1\n")
    compile_all(tmp_path)
    (made,) = tmp_path.rglob("*.pyc")
    # The flags after the magic number: 0 is by time, 1 by hash and never checked, 3 by hash and always checked.
    assert int.from_bytes(made.read_bytes()[4:8], "little") == 1


def test_a_module_that_cannot_be_compiled_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = (\n")
    with pytest.raises(ValueError, match="compiled"):
        compile_all(tmp_path)


FILES = {
    "./usr/bin/python3.11": True,
    "./usr/bin/dpkg": False,
    "./usr/bin/pydoc3.11": False,
    "./bin/tar": False,
    "./lib/x86_64-linux-gnu/libc.so.6": True,
    "./lib64/ld-linux-x86-64.so.2": True,
    "./usr/lib/x86_64-linux-gnu/libssl.so.3": True,
    "./usr/lib/aarch64-linux-gnu/libsqlite3.so.0": False,
    "./usr/lib/x86_64-linux-gnu/gconv/UTF-16.so": False,
    "./usr/lib/python3.11/asyncio/base_events.py": True,
    "./usr/lib/python3.11/sqlite3/dump.py": False,
    "./usr/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so": True,
    "./usr/lib/python3.11/lib-dynload/readline.cpython-311-x86_64-linux-gnu.so": False,
    "./usr/share/doc/libc6/copyright": True,
    "./usr/share/doc/libc6/changelog.gz": False,
    "./usr/share/locale/de/x.mo": False,
    "./var/lib/dpkg/status": False,
    "./etc/mime.types": True,
    "./tmp": True,
}


def test_the_base_keeps_what_python_loads_and_every_copyright(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "whole.tar", "w") as whole:
        for name in FILES:
            member = tarfile.TarInfo(name)
            member.size = 1
            whole.addfile(member, io.BytesIO(b"x"))
    slim(tmp_path / "whole.tar", tmp_path / "slim.tar")
    with tarfile.open(tmp_path / "slim.tar") as made:
        names = made.getnames()
        assert made.getmember("usr/bin/python3").linkname == "python3.11"
    assert names == [*(name for name, kept in FILES.items() if kept), "usr/bin/python3"]


def test_a_build_without_pip_and_without_wheels_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SystemExit, match="neither pip nor wheels"):
        assemble._pip([Path("/build/kopf-1.0-py3-none-any.whl")])
    assert assemble._pip([Path("/build/pip-26.3-py3-none-any.whl")])[1] == "/build/pip-26.3-py3-none-any.whl/pip"


def test_the_build_context_of_a_checkout_lets_wheels_through() -> None:
    lines = (Path(__file__).parents[3] / "hack/image/Dockerfile.dockerignore").read_text().splitlines()
    assert lines[0] == "*"
    assert {"!wheels", "!uv.lock", "!operator/desist", "!hack/image/assemble.py"} <= set(lines)


def test_a_node_keeps_the_images_that_the_engine_keeps_and_all_that_are_not_ours() -> None:
    in_node = [f"{OPERATOR}:old", f"{OPERATOR}:new", f"{LAUNCHER}:old", "localhost/desist-workload:1", "sha256:ab"]
    assert superseded(in_node, [f"{OPERATOR}:new"]) == [f"{OPERATOR}:old", f"{LAUNCHER}:old"]


def test_the_published_base_is_one_image_for_ever_and_the_same_in_both_places() -> None:
    lines = (Path(__file__).parents[3] / "hack/image/Dockerfile").read_text().splitlines()
    assert f"ARG BASE={PUBLISHED}" in lines
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", PUBLISHED)


def test_the_base_made_here_is_of_the_day_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SNAPSHOT, raising=False)
    assert sources() == []
    of_today = base_key()
    monkeypatch.setenv(SNAPSHOT, "20261101T000000Z")
    assert [line.rpartition("archive/")[2] for line in sources()] == [
        "debian/20261101T000000Z bookworm main",
        "debian-security/20261101T000000Z bookworm-security main",
    ]
    assert base_key() != of_today


def test_a_day_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SNAPSHOT, "yesterday")
    with pytest.raises(ClusterError, match="DESIST_DEBIAN_SNAPSHOT is 'yesterday'"):
        sources()
