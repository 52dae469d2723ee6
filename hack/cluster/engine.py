"""The Docker engine: one that answers and can run privileged containers, else one of our own.

Contract: `find_or_start(step)` returns the engine and remembers it; `current()` returns the remembered one without
asking it. An engine of our own keeps data, sockets and pid files below the home, so that it meets no other.
Podman and rootless engines were rejected: kind's nodes need real privileges on a machine with cgroup v1.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass

from hack.cluster import own_engine, packages
from hack.cluster.commands import How, answer, run
from hack.cluster.errors import ClusterError
from hack.cluster.golang import SCRATCH, build
from hack.cluster.home import home
from hack.cluster.progress import Step

PROBE_IMAGE = "localhost/desist-probe:1"
MANIFEST_SECONDS = 15.0


@dataclass(frozen=True)
class Engine:
    """A Docker engine. `host` is what DOCKER_HOST must be ("" for the client's own default)."""

    own: bool
    host: str

    def env(self) -> dict[str, str]:
        """Environment that makes docker and kind talk to this engine."""
        fixed = {"KIND_EXPERIMENTAL_PROVIDER": "docker"}
        if self.host:
            fixed |= {"DOCKER_HOST": self.host, "DOCKER_CONTEXT": ""}
        # Debian's engine has no BuildKit.
        return fixed | ({"DOCKER_BUILDKIT": "0", "DOCKER_TLS_VERIFY": ""} if self.own else {})

    def how(self, **settings: object) -> How:
        """`How` with this engine's environment."""
        return How(env=self.env(), **settings)  # type: ignore[arg-type]  # the fields of How, passed through

    def docker(self, *arguments: str, how: How | None = None) -> str:
        """Output of a docker command. Raises ClusterError if it fails."""
        return run(["docker", *arguments], how or self.how())

    def answers(self) -> bool:
        """Whether the engine is up."""
        return answer(["docker", "version", "--format", "{{.Server.Version}}"], self.how(seconds=20)) is not None

    def has_image(self, name: str) -> bool:
        """Whether the engine stores an image of that name."""
        return answer(["docker", "image", "inspect", name], self.how()) is not None


def own() -> Engine:
    """The engine of our own, up or not."""
    return Engine(True, own_engine.host())


def current() -> Engine:
    """The engine that `up` chose last. Raises ClusterError if there is none."""
    chosen = home().engine / "chosen.json"
    if not chosen.exists():
        raise ClusterError("there is no cluster yet", advice="make cluster-up")
    return Engine(**json.loads(chosen.read_text()))


def find_or_start(step: Step) -> Engine:
    """An engine that answers and runs privileged containers; the step's result says which, and how it was come by."""
    if not own_engine.alive():
        foreign = Engine(False, os.environ.get("DOCKER_HOST", ""))
        if _fits(foreign, step):
            return _chosen(foreign, step, "the Docker that answers here")
        # With systemd, Debian's package starts its own daemon when it is installed: then that one will do.
        if packages.missing(packages.ENGINE):
            packages.ensure(packages.ENGINE, step)
            if _fits(foreign, step):
                return _chosen(foreign, step, "Debian's, installed")
    words = own_engine.up(step)
    return _chosen(own(), step, f"our own, {words}")


def pulled(engine: Engine, name: str, step: Step) -> bool:
    """Whether the engine has a published image, pulled if its registry answers at once."""
    if engine.has_image(name):
        return True
    step.say(f"asking for {name}")
    if answer(["docker", "manifest", "inspect", name], engine.how(seconds=MANIFEST_SECONDS)) is None:
        return False
    step.say(f"pulling {name}")
    return answer(["docker", "pull", "--quiet", name], engine.how()) is not None


def _chosen(engine: Engine, step: Step, words: str) -> Engine:
    version = engine.docker("version", "--format", "{{.Server.Version}}").strip()
    home().engine.mkdir(parents=True, exist_ok=True)
    (home().engine / "chosen.json").write_text(json.dumps({"own": engine.own, "host": engine.host}))
    step.result(f"{words}, Docker {version}")
    return engine


def _fits(engine: Engine, step: Step) -> bool:
    step.say("looking for a Docker that answers and runs privileged containers")
    return shutil.which("docker") is not None and engine.answers() and _runs_privileged(engine, step)


def _runs_privileged(engine: Engine, step: Step) -> bool:
    """Whether a privileged container starts and ends well; its image holds one small program of ours."""
    if not engine.has_image(PROBE_IMAGE):
        context = build(SCRATCH, step).parent
        dockerfile = 'FROM scratch\nCOPY app /app\nENTRYPOINT ["/app", "-run-for=1ms"]\n'
        file = home().engine / "probe.Dockerfile"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dockerfile)
        engine.docker("build", "-q", "-t", PROBE_IMAGE, "-f", str(file), str(context))
    command = ["docker", "run", "--rm", "--privileged", "--network", "none", PROBE_IMAGE]
    return answer(command, engine.how(seconds=60)) is not None
