"""What a cache key depends on, and what a killed build leaves."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hack.cluster.keys import KEPT_VERSIONS, being_made, key_of, prune, sweep


def checkout(root: Path) -> Path:
    folder = root / "module"
    (folder / "sub").mkdir(parents=True)
    (folder / "go.mod").write_text("module x\n")
    (folder / "sub" / "main.go").write_text("package main\n")
    return folder


def test_the_same_files_at_another_path_and_time_have_the_same_key(tmp_path: Path) -> None:
    one, other = checkout(tmp_path / "one"), checkout(tmp_path / "other" / "deeper")
    os.utime(other / "go.mod", (1, 1))
    assert key_of("flags", one) == key_of("flags", other)


def change_content(folder: Path) -> None:
    (folder / "sub" / "main.go").write_text("package other\n")


def change_name(folder: Path) -> None:
    (folder / "go.mod").rename(folder / "go.sum")


def change_mode(folder: Path) -> None:
    (folder / "go.mod").chmod(0o755)


def add_file(folder: Path) -> None:
    (folder / "empty").touch()


@pytest.mark.parametrize("change", [change_content, change_name, change_mode, add_file])
def test_any_change_of_a_file_gives_another_key(tmp_path: Path, change: Callable[[Path], None]) -> None:
    folder = checkout(tmp_path)
    before = key_of(folder)
    change(folder)
    assert key_of(folder) != before


@pytest.mark.parametrize(("one", "other"), [(("ab", "c"), ("a", "bc")), (("a", "b"), ("b", "a")), (("a",), ("a", ""))])
def test_words_do_not_run_together(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert key_of(*one) != key_of(*other)


def test_a_build_that_fails_leaves_nothing_under_its_name(tmp_path: Path) -> None:
    target = tmp_path / "kube-0"
    with pytest.raises(RuntimeError), being_made(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert not target.exists()
    with being_made(target) as part:
        assert not part.exists()
        part.write_text("whole")
    assert target.read_text() == "whole"


def test_pruning_keeps_the_newest_and_spares_longer_names(tmp_path: Path) -> None:
    made = [tmp_path / f"kube-{number:012x}" for number in range(KEPT_VERSIONS + 2)]
    for age, folder in enumerate(made):
        folder.mkdir()
        os.utime(folder, (1000 - age, 1000 - age))
    other = tmp_path / f"kube-proxy-{0:012x}"
    other.mkdir()
    os.utime(other, (1, 1))
    prune(tmp_path, "kube")
    assert sorted(tmp_path.iterdir()) == sorted([*made[:KEPT_VERSIONS], other])


def test_what_a_killed_build_left_goes_and_is_never_taken_for_the_result(tmp_path: Path) -> None:
    target, left = tmp_path / "wheels-0", tmp_path / "wheels-0.part-1"
    left.mkdir()
    with being_made(target) as part:
        part.mkdir()
        # A program of the killed build still writes.
        (left / "late").touch()
    assert list(target.iterdir()) == []
    (tmp_path / "kube-1.tar.part").touch()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [target]
