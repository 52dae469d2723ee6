"""Builds the operator's and the launcher's image under a key of all that goes into them.

Contract: `images()` names both images of this checkout and touches nothing; `build_images()` brings them into the
engine; an unchanged checkout builds nothing. The names end in the key, so that no node ever runs an older image under
the same name, and several checkouts share one cluster.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.api import Build, build, go, go_environment, key_of, load, node_names
from hack.cluster.commands import How, run
from hack.cluster.engine import Engine, current
from hack.cluster.golang import compiler
from hack.cluster.home import home
from hack.cluster.keys import being_made, prune
from hack.cluster.progress import Progress, Step
from hack.image.base import NAME as BASE
from hack.image.base import base_image, base_key
from hack.image.wheels import ROOT, wheels, wheels_key

OPERATOR = "localhost/desist-operator"
LAUNCHER = "localhost/desist-launcher"
HERE = Path(__file__).parent
BUILD_FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags", "-s -w")


@dataclass(frozen=True)
class Images:
    """Names of both images, with their tags."""

    operator: str
    launcher: str


def images() -> Images:
    """The images of this checkout, built or not."""
    return Images(f"{OPERATOR}:{_operator_key()}", f"{LAUNCHER}:{_launcher_key()}")


def _operator_key() -> str:
    sources = ROOT / "operator" / "desist"
    return key_of(base_key(), wheels_key(), HERE / "Dockerfile", HERE / "assemble.py", sources)


def _launcher_sources() -> list[Path]:
    folder = ROOT / "launcher"
    programs = [path for path in folder.glob("*.go") if not path.name.endswith("_test.go")]
    return sorted([*programs, folder / "go.mod", folder / "go.sum", folder / "Dockerfile"])


def _launcher_key() -> str:
    return key_of(compiler(), *BUILD_FLAGS, *_launcher_sources())


def build_images(progress: Progress) -> Images:
    """Bring both images into the engine, in two steps of `progress`. Raises ClusterError naming the log to read."""
    named, engine = images(), current()
    with progress.step("operator image") as step:
        with _operator_context(engine, named.operator, step) as context:
            wanted = Build(named.operator, context, HERE / "Dockerfile", {"BASE": BASE}, [named.operator])
            how = build(engine, wanted, step)
        step.result(f"{named.operator}, {how}")
    with progress.step("launcher image") as step:
        binary = _launcher_binary(named.launcher, step)
        dockerfile = ROOT / "launcher" / "Dockerfile"
        how = build(engine, Build(named.launcher, binary.parent, dockerfile, {}, [named.launcher]), step)
        step.result(f"{named.launcher}, {how}")
    return named


def load_images(progress: Progress, named: Images) -> None:
    """Bring both images from the engine into all nodes, in one step of `progress`; older ones leave the nodes."""
    with progress.step("images into the nodes") as step:
        load([named.operator, named.launcher], step)
        removed = sum(_forget_old(current(), node) for node in node_names())
        step.result(f"loaded, {removed} old ones removed" if removed else "loaded")


def _forget_old(engine: Engine, node: str) -> int:
    """Remove the images from a node that the engine keeps no more (it keeps the newest few); returns how many."""
    ctr = ("exec", node, "ctr", "--namespace", "k8s.io", "images")
    known = engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    old = superseded(engine.docker(*ctr, "ls", "--quiet").split(), known)
    if old:
        engine.docker(*ctr, "rm", *old)
    return len(old)


def superseded(in_node: Sequence[str], in_engine: Sequence[str]) -> list[str]:
    """Images of operator and launcher that a node has and the engine has no more."""
    ours = (f"{OPERATOR}:", f"{LAUNCHER}:")
    return [name for name in in_node if name.startswith(ours) and name not in in_engine]


@contextmanager
def _operator_context(engine: Engine, name: str, step: Step) -> Iterator[Path]:
    """A folder laid out as the checkout, with the wheels beside; empty where nothing needs to be built."""
    with tempfile.TemporaryDirectory() as scratch:
        context = Path(scratch)
        wanted = Build(name, context, HERE / "Dockerfile", {"BASE": BASE}, [name]).image()
        if not (wanted.in_engine(engine) or wanted.archive.exists()):
            base_image(engine, step)
            _fill(context, wheels(step))
        yield context


def _fill(context: Path, carried: Path) -> None:
    (context / "hack" / "image").mkdir(parents=True)
    shutil.copy(HERE / "assemble.py", context / "hack" / "image")
    shutil.copy(ROOT / "uv.lock", context)
    shutil.copytree(carried, context / "wheels")
    sources = ROOT / "operator" / "desist"
    shutil.copytree(sources, context / "operator" / "desist", ignore=shutil.ignore_patterns("__pycache__"))


def _launcher_binary(name: str, step: Step) -> Path:
    folder = home().root / f"desist-launcher-{name.rpartition(':')[2]}"
    binary = folder / "desist-launcher"
    if not binary.exists():
        step.say("compiling the launcher")
        with being_made(folder) as part:
            part.mkdir()
            env = {**go_environment(), "CGO_ENABLED": "0"}
            how = How(env=env, folder=ROOT / "launcher", log=home().log("launcher"))
            run([go(), "build", *BUILD_FLAGS, "-o", part / "desist-launcher", "."], how)
        prune(home().root, "desist-launcher")
    return binary
