"""Removes what a stopped engine leaves on the host: processes, mounts, links, packet filter rules, cgroups.

Contract: `remove()` is called when no dockerd of ours runs. It touches only what is recognisably ours: processes in
our cgroup, mounts below our folders, links of kind's network; Docker's chains only if no other dockerd runs.
"""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from hack.cluster.commands import answer, run

CGROUPS = Path("/sys/fs/cgroup")


def remove(cgroup: str, folders: list[Path]) -> None:
    """Remove the traces of an engine whose cgroup and folders these are."""
    _kill_all(cgroup)
    _unmount(folders)
    if not _other_dockerd():
        for table in ("nat", "filter"):
            _drop_chains("iptables", table)
            _drop_chains("ip6tables", table)
        _drop_links()
    _remove_cgroups(cgroup)


def _cgroup_folders(cgroup: str) -> list[Path]:
    """The cgroup's folders, of all hierarchies, children first."""
    # The engine's cgroup is relative to that of the shell that started it, so it may lie deep.
    folders = [Path(folder) for folder, _, _ in os.walk(CGROUPS, topdown=False)]
    return [folder for folder in folders if cgroup in folder.parts]


def _kill_all(cgroup: str) -> None:
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        folders = _cgroup_folders(cgroup)
        pids = {int(line) for folder in folders for line in _lines(folder / "cgroup.procs")}
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        # A frozen process keeps its SIGKILL until it is thawed (cgroup v1).
        for folder in folders:
            state = folder / "freezer.state"
            if state.exists():
                state.write_text("THAWED")
        time.sleep(0.05)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []


def _unmount(folders: list[Path]) -> None:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed(mounts):
        if any(mount.startswith(f"{folder}/") for folder in folders):
            run(["umount", "-l", mount.encode().decode("unicode_escape")])


def _other_dockerd() -> bool:
    for folder in Path("/proc").glob("[0-9]*"):
        words = _lines(folder / "comm") + _lines(folder / "cmdline")
        # A zombie has a name but no arguments.
        if words[:1] == ["dockerd"] and len(words) > 1:
            return True
    return False


def _drop_chains(program: str, table: str) -> None:
    saved = (answer([f"{program}-save", "-t", table]) or "").splitlines()
    for rule in saved:
        if rule.startswith("-A") and "DOCKER" in rule:
            run([program, "-t", table, "-D", *_words(rule)[1:]])
    for line in saved:
        chain = re.match(r":(DOCKER\S*)", line)
        if chain:
            run([program, "-t", table, "-X", chain[1]])


def _drop_links() -> None:
    """Remove Docker's ends of pairs that belong to no bridge any more; the kernel removes them too, but later."""
    listed = (answer(["ip", "-o", "link", "show", "type", "veth"]) or "").splitlines()
    for line in listed:
        name = re.search(r"\b(veth[0-9a-f]{7})@", line)
        if name and " master " not in line:
            answer(["ip", "link", "delete", name[1]])


def _words(rule: str) -> list[str]:
    return [word.strip('"') for word in rule.split()]


def _remove_cgroups(cgroup: str) -> None:
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        left = _cgroup_folders(cgroup)
        for folder in left:
            try:
                folder.rmdir()
            except OSError:
                continue
        if not left:
            return
        time.sleep(0.05)
