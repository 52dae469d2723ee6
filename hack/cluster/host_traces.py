"""Finds and removes what an engine of our own leaves on the host: processes, mounts, links, rules, routes, cgroups.

Contract: `left(ours)` looks, changes nothing, and returns a line for each thing. `remove(ours)` may be called while no
engine of ours runs: it removes all that, goes on where one removal fails, looks again, and raises ClusterError naming
what stays. `cut_off(ours)` takes away only what would disturb an engine that starts again with its old data.
All know only what is recognisably ours: processes in our cgroup or with our folders or addresses in their arguments,
mounts below our folders, bridges with our addresses; Docker's chains only while no other dockerd runs.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.commands import answer, run
from hack.cluster.errors import ClusterError

CGROUPS = Path("/sys/fs/cgroup")
KILL_SECONDS = 20.0
CGROUP_SECONDS = 10.0
TABLES = tuple((program, table) for program in ("iptables", "ip6tables") for table in ("nat", "filter"))
DAEMONS = ("dockerd", "containerd", "containerd-shim")


@dataclass(frozen=True)
class Ours:
    """What an engine is recognised by: its cgroup's name, its folders, the range of its networks.

    None for the range: another engine has the same, so that no address tells whose a thing is.
    """

    cgroup: str
    folders: tuple[Path, ...]
    addresses: str | None

    def has_address(self, text: str) -> bool:
        """Whether an address of its networks is in the text."""
        if self.addresses is None:
            return False
        network = ipaddress.ip_network(self.addresses)
        found = re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", text)
        return any(ipaddress.ip_address(address) in network for address in found if _valid(address))

    def has_process(self, name: str, arguments: Sequence[str]) -> bool:
        """Whether a process outside the cgroup is the engine's: its daemons name its folders, a proxy its addresses."""
        # The kernel cuts a name after 15 characters: containerd-shim-runc-v2 is containerd-shim.
        if name in DAEMONS:
            return any(f"{folder}/" in word for word in arguments for folder in self.folders)
        return name == "docker-proxy" and any(self.has_address(word) for word in arguments)

    def has_mount(self, place: str) -> bool:
        """Whether something is mounted below its folders."""
        return any(place.startswith(f"{folder}/") for folder in self.folders)


def _valid(address: str) -> bool:
    return all(int(part) < 256 for part in address.split("."))


def left(ours: Ours) -> list[str]:
    """What is there, a line for each thing."""
    bridges, alone = _bridges(ours), not _other_dockerd(ours)
    return [
        *(f"process {pid} ({_name(pid)})" for pid in sorted(_processes(ours))),
        *(f"mount {mount}" for mount in _mounts(ours)),
        *(f"link {link}" for link in [*bridges, *(_loose_ends() if alone else [])]),
        *(f"{program} -t {table} {rule}" for program, table in TABLES for rule in _rules(program, table, ours, alone)),
        *(f"route {route}" for route in _routes(ours)),
        *(f"cgroup {folder}" for folder in _cgroup_folders(ours.cgroup) if folder.name == ours.cgroup),
    ]


def remove(ours: Ours) -> None:
    """Remove the traces of a stopped engine. Raises ClusterError naming those that cannot be removed."""
    failures: list[str] = []
    _kill_all(ours)
    for mount in reversed(_mounts(ours)):
        _attempt(["umount", "-l", mount], failures)
    alone = not _other_dockerd(ours)
    for program, table in TABLES:
        _drop_rules(program, table, _rules(program, table, ours, alone), failures)
    for link in [*_bridges(ours), *(_loose_ends() if alone else [])]:
        # The kernel removes the ends of a dead container's links itself, a little later.
        answer(["ip", "link", "delete", link])
    _remove_cgroups(ours.cgroup)
    stays = left(ours)
    if stays:
        raise ClusterError("\n    ".join(["of the engine this stays on the host:", *stays, *failures]))


def cut_off(ours: Ours) -> None:
    """Take what a killed engine's nodes have left off its bridges; for the moment before the engine starts again.

    A node's network namespace may outlive its processes by a minute and more (probably until the kernel gives up
    their connections). Docker gives the next node the same IP and MAC addresses, so that the bridge sends some of its
    packets to the dead.
    """
    for link in ends_in(_bridges(ours), _veths()):
        # It may go by itself at this very moment.
        answer(["ip", "link", "delete", link])


def ends_in(bridges: Sequence[str], links: Sequence[str]) -> list[str]:
    """Names of the ends of pairs that are in one of the bridges; `links` are lines of `ip -o link show type veth`."""
    found = [re.search(r" (veth[0-9a-f]+)@.* master (\S+) ", line) for line in links]
    return [name[1] for name in found if name and name[2] in bridges]


def rule_is_ours(rule: str, ours: Ours, bridges: Sequence[str], alone: bool = True) -> bool:
    """Whether a line of iptables-save is our engine's: of its bridges, its networks, or, if it is alone, of Docker."""
    if not rule.startswith(("-A", ":DOCKER")):
        return False
    return any(bridge in rule for bridge in bridges) or ours.has_address(rule) or (alone and "DOCKER" in rule)


def commands_of(name: str) -> list[list[str]]:
    """The command lines of all processes of that name. A zombie has a name but no arguments, and is none."""
    return [words for _, comm, words in _process_table() if comm == name]


def _process_table() -> Iterator[tuple[int, str, list[str]]]:
    """Process id, name and arguments of each process that lives."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "comm").read_text().strip()
            words = (folder / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
        except OSError:
            continue
        if words != [""]:
            yield int(folder.name), name, words


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "just ended"


def _other_dockerd(ours: Ours) -> bool:
    return any(not ours.has_process("dockerd", words) for words in commands_of("dockerd"))


def _processes(ours: Ours) -> set[int]:
    inside = {int(line) for folder in _cgroup_folders(ours.cgroup) for line in _lines(folder / "cgroup.procs")}
    return inside | {pid for pid, name, words in _process_table() if ours.has_process(name, words)}


def _mounts(ours: Ours) -> list[str]:
    table = Path("/proc/self/mounts").read_text().splitlines()
    places = [line.split()[1].encode().decode("unicode_escape") for line in table]
    return [place for place in places if ours.has_mount(place)]


def _bridges(ours: Ours) -> list[str]:
    """Bridges with an address of the engine's networks: a killed engine leaves them."""
    listed = (answer(["ip", "-o", "-4", "address", "show"]) or "").splitlines()
    return [line.split()[1] for line in listed if line.split()[1].startswith("br-") and ours.has_address(line)]


def _loose_ends() -> list[str]:
    """Docker's ends of pairs that are in no bridge."""
    found = [re.search(r"\b(veth[0-9a-f]{7})@", line) for line in _veths() if " master " not in line]
    return [name[1] for name in found if name]


def _veths() -> list[str]:
    return (answer(["ip", "-o", "link", "show", "type", "veth"]) or "").splitlines()


def _routes(ours: Ours) -> list[str]:
    return [line.strip() for line in (answer(["ip", "route", "show"]) or "").splitlines() if ours.has_address(line)]


def _rules(program: str, table: str, ours: Ours, alone: bool) -> list[str]:
    """Lines of iptables-save that are ours: chains, then rules."""
    bridges = _bridges(ours)
    saved = (answer([f"{program}-save", "-t", table]) or "").splitlines()
    return [line for line in saved if rule_is_ours(line, ours, bridges, alone)]


def _cgroup_folders(cgroup: str) -> list[Path]:
    """The cgroup's folders, of all hierarchies, children first."""
    # The engine's cgroup is relative to that of the shell that started it, so it may lie deep.
    folders = [Path(folder) for folder, _, _ in os.walk(CGROUPS, topdown=False)]
    return [folder for folder in folders if cgroup in folder.parts]


def _kill_all(ours: Ours) -> None:
    ends = time.monotonic() + KILL_SECONDS
    while (pids := _processes(ours)) and time.monotonic() < ends:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        # A frozen process keeps its SIGKILL until it is thawed (cgroup v1).
        for folder in _cgroup_folders(ours.cgroup):
            state = folder / "freezer.state"
            if state.exists():
                state.write_text("THAWED")
        time.sleep(0.05)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []


def _drop_rules(program: str, table: str, lines: Sequence[str], failures: list[str]) -> None:
    for rule in lines:
        if rule.startswith("-A"):
            _attempt([program, "-t", table, "-D", *shlex.split(rule)[1:]], failures)
    for line in lines:
        if line.startswith(":"):
            _attempt([program, "-t", table, "-X", line[1:].split()[0]], failures)


def _attempt(command: list[str], failures: list[str]) -> None:
    try:
        run(command)
    except ClusterError as error:
        failures.append(error.message)


def _remove_cgroups(cgroup: str) -> None:
    ends = time.monotonic() + CGROUP_SECONDS
    while (folders := _cgroup_folders(cgroup)) and time.monotonic() < ends:
        for folder in folders:
            try:
                folder.rmdir()
            except OSError:
                continue
        time.sleep(0.05)
