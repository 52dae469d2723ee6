"""The cluster: made by kind, reused while it lives and fits, revived after a crash, made anew otherwise.

Contract: `up()` returns when every node and system pod is ready and <home>/kubeconfig works. A cluster fits if it was
made whole, of the same node image and the same settings; the key of these is written when all of it is up, so a
cluster whose making was interrupted never fits. What users have in a fitting cluster stays, and so does the cluster of
another state folder, unless it was asked for.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from hack.cluster import ownership, readiness, versions
from hack.cluster.commands import How, answer, run
from hack.cluster.engine import Engine
from hack.cluster.errors import ClusterError
from hack.cluster.home import home
from hack.cluster.keys import key_of
from hack.cluster.progress import Step
from hack.cluster.tools import find_or_build, tool

ASSETS = Path(__file__).parent / "assets"
NODES = readiness.NODES
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
    """Bring the cluster up. Raises ClusterError naming the log, or whose the cluster is that is there."""
    with ownership.taken_over(engine) as theirs:
        wanted, states = key(engine, image), node_states(engine)
        why = _asked_for(theirs) if theirs else misfit(wanted, states) or _not_revived(engine, states, step)
        if why is not None:
            _make_anew(engine, image, states, why, step)
            (home().cluster / "key").write_text(wanted)
            step.result(f"{versions.CLUSTER} made of {image}, {len(NODES)} nodes")


def _asked_for(theirs: Path) -> str:
    return f"it belonged to {ownership.named(theirs)}, and {ownership.VARIABLE} asks to take it over"


def _make_anew(engine: Engine, image: str, states: dict[str, str], why: str, step: Step) -> None:
    if states:
        step.say(f"deleting the cluster: {why}")
        step.note(f"the old cluster is deleted: {why}")
        delete(engine)
    _create(engine, image, step)


def misfit(wanted: str, states: dict[str, str]) -> str | None:
    """Why the cluster that is there does not fit, None if it does."""
    made = home().cluster / "key"
    if set(states) != set(NODES):
        return f"it has the nodes {', '.join(states) or '(none)'}"
    if not made.exists():
        return "its making was interrupted"
    return None if made.read_text() == wanted else "it was made of another node image or with other settings"


def _not_revived(engine: Engine, states: dict[str, str], step: Step) -> str | None:
    """Start what is stopped of a cluster that fits; why it is not ready even so, None if it is."""
    log = home().log("revive")
    try:
        done = readiness.revive(engine, states, step)
        export_kubeconfig(engine)
        done += [f"waited for {what}" for what in readiness.wait(engine, READY_SECONDS, step)]
    except ClusterError as error:
        log.write_text(f"{error}\n")
        return f"{error.message.splitlines()[0]} (log: {log})"
    step.result(f"{versions.CLUSTER} {'revived: ' + ', '.join(done) if done else 'is up'}")
    return None


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


def forget() -> None:
    """Let no later `up` take the cluster for one that fits, and nobody use its credentials."""
    (home().cluster / "key").unlink(missing_ok=True)
    home().kubeconfig.unlink(missing_ok=True)


def delete(engine: Engine) -> None:
    """Delete the cluster, and kind's network if no other cluster uses it."""
    forget()
    run(
        [tool("kind"), "delete", "cluster", "--name", versions.CLUSTER, "--kubeconfig", home().kubeconfig], engine.how()
    )
    form = "{{json .Containers}}"
    used = answer(["docker", "network", "inspect", "--format", form, NETWORK], engine.how())
    if used is not None and not json.loads(used):
        engine.docker("network", "rm", NETWORK)
