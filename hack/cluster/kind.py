"""The cluster: made by kind, reused while it lives and fits, revived after a crash, made anew otherwise.

Contract: `up()` returns when every node and system pod is ready and <home>/kubeconfig works. A cluster fits if it was
made whole, of the same node image and the same settings; the key of these is written when all of it is up, so a
cluster whose making was interrupted never fits. What users have in a fitting cluster stays.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from hack.cluster import readiness, versions
from hack.cluster.commands import How, answer, run
from hack.cluster.engine import Engine
from hack.cluster.errors import ClusterError
from hack.cluster.home import home
from hack.cluster.keys import key_of
from hack.cluster.progress import Step
from hack.cluster.tools import find_or_build, tool

ASSETS = Path(__file__).parent / "assets"
NODES = tuple(f"{versions.CLUSTER}-{role}" for role in ("control-plane", "worker", "worker2"))
NETWORK = "kind"
READY_SECONDS = 150.0


def configuration(cgroup_v1: bool) -> str:
    """What kind is given."""
    text = (ASSETS / "kind.yaml").read_text()
    return text + (ASSETS / "kind-cgroup-v1.yaml").read_text() if cgroup_v1 else text


def _cgroup_v1(engine: Engine) -> bool:
    return engine.docker("info", "--format", "{{.CgroupVersion}}").strip() == "1"


def key(engine: Engine, image: str) -> str:
    """What a cluster must have been made of to fit."""
    identity = engine.docker("image", "inspect", "--format", "{{.Id}}", image).strip()
    return key_of(configuration(_cgroup_v1(engine)), ASSETS / "audit.yaml", identity, versions.KUBERNETES)


def node_states(engine: Engine) -> dict[str, str]:
    """Docker's word for each node container of the cluster: running, exited, paused and so on."""
    label = f"label=io.x-k8s.kind.cluster={versions.CLUSTER}"
    listed = engine.docker("ps", "--all", "--filter", label, "--format", "{{.Names}} {{.State}}")
    return dict(sorted((line.split()[0], line.split()[1]) for line in listed.splitlines()))


def up(engine: Engine, image: str, step: Step) -> None:
    """Bring the cluster up. Raises ClusterError naming the log."""
    made, wanted = home().cluster / "key", key(engine, image)
    states = node_states(engine)
    fits = made.exists() and made.read_text() == wanted and set(states) == set(NODES)
    if fits and _revived(engine, states, step):
        return
    if states:
        step.say("deleting a cluster that does not fit or cannot be revived")
        delete(engine)
    _create(engine, image, step)
    made.write_text(wanted)
    step.result(f"{versions.CLUSTER} made of {image}, {len(NODES)} nodes")


def _revived(engine: Engine, states: dict[str, str], step: Step) -> bool:
    """Whether the existing cluster is ready, after starting what is stopped."""
    try:
        words = readiness.revive(engine, states, step)
        export_kubeconfig(engine)
        readiness.wait(engine, READY_SECONDS, step)
        readiness.uncordon()
    except ClusterError as error:
        home().log("revive").write_text(f"{error}\n")
        return False
    step.result(f"{versions.CLUSTER} {words}")
    return True


def _create(engine: Engine, image: str, step: Step) -> None:
    place, log = home().cluster, home().log("kind")
    place.mkdir(parents=True, exist_ok=True)
    (place / "kind.yaml").write_text(configuration(_cgroup_v1(engine)))
    shutil.copy(ASSETS / "audit.yaml", place)
    log.unlink(missing_ok=True)
    step.say("kind creates the nodes, half a minute to a minute")
    command = [str(find_or_build("kind", step)), "create", "cluster", "--name", versions.CLUSTER, "--image", image]
    options = ["--config", "kind.yaml", "--kubeconfig", str(home().kubeconfig), "--retain", "--verbosity", "1"]
    try:
        run([*command, *options], How(engine.env(), log, folder=place))
        readiness.wait(engine, READY_SECONDS, step)
    except ClusterError as error:
        folder = home().logs / "nodes"
        answer([tool("kind"), "export", "logs", folder, "--name", versions.CLUSTER], engine.how())
        raise ClusterError(
            error.message, log=error.log or log, advice=f"the nodes' own logs are in {folder}"
        ) from error


def export_kubeconfig(engine: Engine) -> None:
    """Write <home>/kubeconfig."""
    run(
        [tool("kind"), "export", "kubeconfig", "--name", versions.CLUSTER, "--kubeconfig", home().kubeconfig],
        engine.how(),
    )


def delete(engine: Engine) -> None:
    """Delete the cluster, and kind's network if no other cluster uses it."""
    (home().cluster / "key").unlink(missing_ok=True)
    run(
        [tool("kind"), "delete", "cluster", "--name", versions.CLUSTER, "--kubeconfig", home().kubeconfig], engine.how()
    )
    home().kubeconfig.unlink(missing_ok=True)
    form = "{{json .Containers}}"
    used = answer(["docker", "network", "inspect", "--format", form, NETWORK], engine.how())
    if used is not None and not json.loads(used):
        engine.docker("network", "rm", NETWORK)
