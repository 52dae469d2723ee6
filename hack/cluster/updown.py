"""`up` and `down`: the order of the steps.

Contract: both hold the cluster's lock (the caller takes it), may be repeated, and assume nothing about how an earlier
run ended. `down` says that something is gone only after it has looked.
"""

from __future__ import annotations

import sys

from hack.cluster import engine as engines
from hack.cluster import host_traces, keys, kind, node_image, own_engine, ownership, tools
from hack.cluster.engine import Engine
from hack.cluster.errors import ClusterError
from hack.cluster.home import home
from hack.cluster.progress import Progress, Step


def up() -> None:
    """Engine, tools, node image, cluster. Raises ClusterError."""
    keys.sweep(home().root)
    progress = Progress(6)
    with progress.step("engine") as step:
        engine = engines.find_or_start(step)
    # Before a quarter of an hour's compiling, too.
    if not ownership.asked():
        ownership.check(engine)
    for name in tools.TOOLS:
        with progress.step(name) as step:
            _find_tool(name, step)
    with progress.step("node image") as step:
        image = node_image.choose(engine, step)
    with progress.step("cluster") as step:
        kind.up(engine, image, step)
    print(tools.shell_line(), file=sys.stderr)


def _find_tool(name: str, step: Step) -> None:
    path = tools.find_or_build(name, step)
    step.result(f"{path}")


def down(everything: bool) -> None:
    """Delete the cluster; `everything` stops an engine of our own too. Raises ClusterError."""
    progress = Progress(2 if everything else 1)
    with progress.step("cluster") as step:
        _delete_cluster(step, everything)
    if not everything:
        return
    with progress.step("engine") as step:
        own = own_engine.traces()
        own_engine.stop()
        chosen = home().engine / "chosen.json"
        found = chosen.exists() and not engines.current().own
        chosen.unlink(missing_ok=True)
        step.result("not ours, left as it is" if found else "stopped")
    # `stop` looked already; what came since then is told here.
    left = host_traces.left(own)
    print("\n".join(["left on this host:", *left]) if left else "nothing is left on this host", file=sys.stderr)


def _delete_cluster(step: Step, everything: bool) -> None:
    """Delete the cluster. Where its engine cannot be brought up, `everything` leaves it to be made anew."""
    try:
        engine = engines.current()
    except ClusterError:
        return step.result("there is none")
    try:
        _bring_up(engine, step)
    except ClusterError as error:
        if not (engine.own and everything):
            raise
        kind.forget()
        return step.result(f"not deleted, since its engine does not start; it is never used again: {error.message}")
    theirs = ownership.other(engine)
    if theirs and not ownership.asked():
        return step.result(f"there is none of this state folder; that of {ownership.named(theirs)} stays")
    kind.delete(engine)
    step.result(f"deleted, though it belonged to {ownership.named(theirs)}" if theirs else "deleted")


def _bring_up(engine: Engine, step: Step) -> None:
    """An engine of ours that was killed is started: only it can clean up after itself."""
    if engine.answers():
        return
    if engine.own:
        own_engine.up(step)
    else:
        raise ClusterError(
            f"the Docker that has the cluster does not answer ({engine.host or 'the default one'})",
            advice="start it, then make cluster-down",
        )


def leftovers() -> int:
    """Print what an engine of our own has on this host; 0 if that is nothing, else 1."""
    left = host_traces.left(own_engine.traces())
    if own_engine.alive():
        print("the engine runs; make cluster-down ARGS=--all stops it. On this host it has:")
    print("\n".join(left) if left else "nothing is left on this host")
    return 1 if left else 0
