"""Whose the cluster is that an engine has: state folders may share an engine, but never a cluster.

Contract: `other(engine)` is the state folder of somebody else's cluster, None where there is no cluster or it is this
folder's. `check(engine)` raises for the first; everything that changes nodes or cluster asks it. `taken_over(engine)`
is for who is about to replace the cluster: it raises too unless that was asked for, and holds the other folder's lock
meanwhile, so that no test of theirs runs.
A cluster is told by the file that its control plane was given at its making: the engine keeps that as long as the node,
also for clusters of earlier versions. A label was rejected (kind sets none), and a mark of our own in the engine too:
a second truth, that a killed `up` leaves behind. Nodes without a control plane are what a killed `kind create` left,
and belong to nobody.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from hack.cluster.commands import answer
from hack.cluster.engine import Engine
from hack.cluster.errors import ClusterError
from hack.cluster.home import Home, home
from hack.cluster.readiness import NODES

VARIABLE = "DESIST_TAKE_OVER"
GIVEN = Path("cluster", "audit.yaml")
"""Below the state folder: what kind mounts into the control plane."""
UNKNOWN = Path("/")
"""Stands for the folder of a cluster that these tools did not make."""


def other(engine: Engine) -> Path | None:
    """State folder of the cluster that the engine has, None where it has none or it is this folder's."""
    said = answer(["docker", "inspect", "--format", "{{json .Mounts}}", NODES[0]], engine.how())
    if said is None:
        return None
    maker = maker_of([mount.get("Source", "") for mount in json.loads(said)])
    return None if _same(maker, home().root) else maker


def maker_of(sources: list[str]) -> Path:
    """The state folder among what a control plane has mounted; UNKNOWN where none is."""
    places = (Path(source) for source in sources)
    return next((place.parents[1] for place in places if place.parts[-2:] == GIVEN.parts), UNKNOWN)


def _same(one: Path, two: Path) -> bool:
    """Whether both name one folder: a path may lead through a link."""
    return one == two or os.path.realpath(one) == os.path.realpath(two)


def check(engine: Engine) -> None:
    """Raise ClusterError where the cluster is another state folder's."""
    found = other(engine)
    if found is not None:
        raise _refusal(found)


@contextmanager
def taken_over(engine: Engine) -> Iterator[Path | None]:
    """Gives whose cluster may be replaced in the block, None: nobody else's. Raises ClusterError where it may not."""
    found = other(engine)
    if found is None:
        yield None
        return
    if not asked():
        raise _refusal(found)
    if not found.is_dir() or found == UNKNOWN:
        yield found
        return
    lock = FileLock(Home(found).lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ClusterError(f"the cluster of {found} is in use at this moment", advice="wait for it") from None
    try:
        yield found
    finally:
        lock.release()


def asked() -> bool:
    """Whether the user asked to replace another state folder's cluster."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


def named(maker: Path) -> str:
    """Whose cluster it is, in words."""
    return "somebody else (these tools did not make it)" if maker == UNKNOWN else f"the state folder {maker}"


def _refusal(maker: Path) -> ClusterError:
    ways = [f"{VARIABLE}=1 deletes that cluster and makes one of this folder's"]
    if maker != UNKNOWN:
        ways.insert(0, f"use it: DESIST_HOME={maker}")
        ways.insert(1, f"or delete it: DESIST_HOME={maker} make cluster-down")
    return ClusterError(
        f"this engine's cluster belongs to {named(maker)}, and is left as it is (this folder: {home().root})",
        advice="; ".join([*ways[:-1], f"or {ways[-1]}" if ways[:-1] else ways[-1]]),
    )
