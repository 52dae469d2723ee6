"""The nodes' own process tables: proof that a process lives, or is gone, without asking Kubernetes.

Contract: `processes_with(marker)` finds processes of the cluster's nodes (pods' processes among them) that have
`marker` in an argument, also on a node whose kubelet is stopped. It never finds itself, nor anything outside the
nodes. A zombie has no arguments any more, so it is not found: its program no longer runs.
With an engine of our own the nodes' processes are in this host's /proc, and a look takes milliseconds; elsewhere (a
Docker in a virtual machine) /proc is read inside each node by `docker exec`. There the marker goes by standard input,
since in the arguments of the search it would find the search.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hack.cluster import engine_settings, kind
from hack.cluster.engine import Engine, current
from hack.cluster.errors import ClusterError

SECONDS = 20.0
# For each match, fields apart by NUL and records by a line of its own: pid, stat, cgroup, arguments.
SEARCH = r"""
for file in $(grep -zlF -f /dev/stdin /proc/[0-9]*/cmdline 2>/dev/null); do
  folder=${file%/cmdline}
  pid=${folder#/proc/}
  stat=$(cat "$folder/stat" 2>/dev/null) || continue
  cgroup=$(tr '\n' ' ' <"$folder/cgroup" 2>/dev/null)
  arguments=$(base64 -w0 "$folder/cmdline" 2>/dev/null)
  printf '%s\t%s\t%s\t%s\n' "$pid" "$stat" "$cgroup" "$arguments"
done
"""


@dataclass(frozen=True)
class Process:
    """A process on a node: `pid` in the node's own process table, `state` as the kernel's letter (R, S, D, T).

    `pod_uid` is the pod whose cgroup it is in, None outside of any.
    """

    node: str
    pid: int
    state: str
    arguments: tuple[str, ...]
    pod_uid: str | None


def processes_with(marker: str) -> list[Process]:
    """Processes of all nodes with `marker` in an argument. A stopped node has none.

    Raises ClusterError if a node cannot be looked into (a paused one, an engine that does not answer): not being able
    to look is no proof of absence.
    """
    if not marker or "\n" in marker or "\0" in marker:
        raise ValueError("the marker must be one non-empty line")
    engine = current()
    if engine.own:
        return sorted(_in_host_proc(engine, marker), key=lambda found: (found.node, found.pid))
    return processes_by_exec(engine, marker)


def pod_uid_of(cgroup: str) -> str | None:
    """UID of the pod in whose cgroup a process is, from the text of its /proc/PID/cgroup."""
    found = re.search(r"/(?:[^/]*-)?pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})", cgroup)
    return found[1].replace("_", "-") if found else None


def _in_host_proc(engine: Engine, marker: str) -> Iterator[Process]:
    wanted = marker.encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if wanted not in (arguments := (folder / "cmdline").read_bytes()):
                continue
            found = _described(engine, folder, arguments)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if found is not None:
            yield found


def _described(engine: Engine, folder: Path, arguments: bytes) -> Process | None:
    """The process of that folder of the host's /proc, None if it is in no node's cgroup."""
    cgroup = (folder / "cgroup").read_text()
    container = re.search(rf"/{engine_settings.cgroup()}/([0-9a-f]{{64}})", cgroup)
    node = _node_of(engine, container[1]) if container else None
    if node is None:
        return None
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
    # One number for each nested process namespace, the host's first, the node's second.
    numbers = status["NSpid"].split()
    pid = int(numbers[1] if len(numbers) > 1 else numbers[0])
    return Process(node, pid, status["State"].split()[0], _words(arguments), pod_uid_of(cgroup))


@lru_cache(maxsize=256)
def _node_of(engine: Engine, container: str) -> str | None:
    """Name of the node that is this container, None if it is another's. Raises ClusterError if the engine is silent.

    Ids are never used twice, so the answer may be kept.
    """
    try:
        said = engine.docker("inspect", "--format", "{{.Name}}", container, how=engine.how(seconds=SECONDS))
    except ClusterError as error:
        if "No such object" in error.message:
            return None
        raise
    name = said.strip().lstrip("/")
    return name if name in kind.NODES else None


def processes_by_exec(engine: Engine, marker: str) -> list[Process]:
    """The same, read inside of each node."""
    running = []
    for node, state in kind.node_states(engine).items():
        if state == "running":
            running.append(node)
        elif state not in ("exited", "created", "dead"):
            raise ClusterError(f"cannot look into {node}: it is {state}")
    with ThreadPoolExecutor(max_workers=len(kind.NODES)) as pool:
        found = pool.map(lambda node: _search(engine, node, marker), running)
    return [process for processes in found for process in processes]


def _search(engine: Engine, node: str, marker: str) -> list[Process]:
    how = engine.how(stdin=marker + "\n", seconds=SECONDS)
    said = engine.docker("exec", "--interactive", node, "sh", "-c", SEARCH, how=how)
    return [parse_line(node, line) for line in said.splitlines()]


def parse_line(node: str, line: str) -> Process:
    """A line of the search's output."""
    pid, stat, cgroup, arguments = line.split("\t")
    state = stat.rpartition(")")[2].split()[0]
    return Process(node, int(pid), state, _words(base64.b64decode(arguments)), pod_uid_of(cgroup))


def _words(arguments: bytes) -> tuple[str, ...]:
    return tuple(word.decode(errors="replace") for word in arguments.rstrip(b"\0").split(b"\0"))
