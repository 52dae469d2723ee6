"""Removes what a stopped engine leaves on the host: processes, mounts, links, packet filter rules, cgroups.

Contract: `remove()` is called when no dockerd of ours runs. It touches only what is recognisably ours: processes in
our cgroup, mounts below our folders, links of kind's network; Docker's chains only if no other dockerd runs.
"""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.commands import answer, run

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Ours:
    """What an engine is recognised by: its cgroup's name, its folders, the range of its networks."""

    cgroup: str
    folders: tuple[Path, ...]
    addresses: str

    def has_address(self, text: str) -> bool:
        """Whether an address of its networks is in the text."""
        network = ipaddress.ip_network(self.addresses)
        found = re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", text)
        return any(ipaddress.ip_address(address) in network for address in found)


def remove(ours: Ours) -> None:
    """Remove the traces of a stopped engine."""
    _kill_all(ours.cgroup)
    _unmount(ours.folders)
    if not _other_dockerd():
        bridges = _bridges(ours)
        for program in ("iptables", "ip6tables"):
            for table in ("nat", "filter"):
                _drop_chains(program, table, ours, bridges)
        _drop_links(bridges)
    _remove_cgroups(ours.cgroup)


def rule_is_ours(rule: str, ours: Ours, bridges: list[str]) -> bool:
    """Whether a rule of iptables-save is Docker's: of its chains, of one of its bridges or of its networks."""
    return "DOCKER" in rule or any(bridge in rule for bridge in bridges) or ours.has_address(rule)


def _bridges(ours: Ours) -> list[str]:
    """Bridges with an address of the engine's networks: a killed engine leaves them."""
    listed = (answer(["ip", "-o", "-4", "address", "show"]) or "").splitlines()
    return [line.split()[1] for line in listed if line.split()[1].startswith("br-") and ours.has_address(line)]


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


def _unmount(folders: tuple[Path, ...]) -> None:
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


def _drop_chains(program: str, table: str, ours: Ours, bridges: list[str]) -> None:
    saved = (answer([f"{program}-save", "-t", table]) or "").splitlines()
    for rule in saved:
        if rule.startswith("-A") and rule_is_ours(rule, ours, bridges):
            run([program, "-t", table, "-D", *_words(rule)[1:]])
    for line in saved:
        chain = re.match(r":(DOCKER\S*)", line)
        if chain:
            run([program, "-t", table, "-X", chain[1]])


def _drop_links(bridges: list[str]) -> None:
    """Remove bridges, and Docker's ends of pairs that are in no bridge; the kernel removes these too, but later."""
    for bridge in bridges:
        answer(["ip", "link", "delete", bridge])
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
