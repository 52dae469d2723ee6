"""`up` and `down`: the order of the steps.

Contract: both hold the cluster's lock (the caller takes it), may be repeated, and assume nothing about how an earlier
run ended.
"""

from __future__ import annotations

import sys

from hack.cluster import engine as engines
from hack.cluster import kind, node_image, own_engine, tools
from hack.cluster.commands import answer
from hack.cluster.engine import Engine
from hack.cluster.errors import ClusterError
from hack.cluster.home import home
from hack.cluster.progress import Progress, Step


def up() -> None:
    """Engine, tools, node image, cluster. Raises ClusterError."""
    progress = Progress(6)
    with progress.step("engine") as step:
        engine = engines.find_or_start(step)
    for name in tools.TOOLS:
        with progress.step(name) as step:
            _find_tool(name, step)
    with progress.step("node image") as step:
        image = node_image.choose(engine, step)
    with progress.step("cluster") as step:
        kind.up(engine, image, step)
    print(f"export KUBECONFIG={home().kubeconfig}", file=sys.stderr)


def _find_tool(name: str, step: Step) -> None:
    path = tools.find_or_build(name, step)
    step.result(f"{path}")


def down(everything: bool) -> None:
    """Delete the cluster; `everything` stops an engine of our own too. Raises ClusterError."""
    progress = Progress(2 if everything else 1)
    with progress.step("cluster") as step:
        engine = _engine_for_deletion(step)
        if engine is None:
            step.result("there is none")
        else:
            kind.delete(engine)
            step.result("deleted")
    if not everything:
        return
    with progress.step("engine") as step:
        own_engine.stop()
        (home().engine / "chosen.json").unlink(missing_ok=True)
        step.result("stopped" if engine is None or engine.own else "not ours, left as it is")


def _engine_for_deletion(step: Step) -> Engine | None:
    """The engine that has the cluster. One of ours that was killed is started: only it can clean up after itself."""
    try:
        engine = engines.current()
    except ClusterError:
        return None
    if engine.own and not own_engine.alive():
        try:
            own_engine.start(step)
        except ClusterError:
            own_engine.stop()
            own_engine.wipe()
            return None
    return engine if answer(["docker", "version"], engine.how(seconds=20)) is not None else None
