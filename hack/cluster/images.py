"""The workload images for tests, demo and examples, and how any other image gets built and into the nodes.

Contract: `build_and_load()` builds by Docker under a key of its inputs; `debian_image()` makes a base of Debian
packages for it. Nodes get an image only if they do not have it yet (kind compares the ids).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hack.cluster import debian, golang, ownership, versions
from hack.cluster.commands import run
from hack.cluster.engine import Engine, current, pulled
from hack.cluster.home import home
from hack.cluster.image_store import Image, ensure, import_root, root_image
from hack.cluster.keys import key_of
from hack.cluster.progress import Progress, Step
from hack.cluster.tools import tool

WORKLOAD = "localhost/desist-workload:1"
SCRATCH = "localhost/desist-scratch:1"
PUBLISHED_DEBIAN = f"debian:{versions.DEBIAN}-slim"
WORKLOAD_PACKAGES = (
    *("python3-minimal", "libpython3-stdlib", "bash", "coreutils", "procps", "util-linux", "psmisc", "curl"),
)
SCRATCH_DOCKERFILE = Path(__file__).parent / "assets" / "scratch" / "Dockerfile"


@dataclass(frozen=True)
class Build:
    """An image to build: `inputs` are the files, folders and words that its key is made of.

    `context` and `dockerfile` may lie anywhere; `arguments` count for the key by themselves.
    """

    name: str
    context: Path
    dockerfile: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    inputs: Sequence[str | Path] = ()

    def image(self) -> Image:
        """Name and key."""
        given = [f"{name}={value}" for name, value in sorted(self.arguments.items())]
        return Image(self.name, key_of(self.name, self.dockerfile, *given, *(self.inputs or [self.context])))


def build(engine: Engine, wanted: Build, step: Step) -> str:
    """Bring the image into the engine; returns how, in a word. Raises ClusterError naming the build's log."""
    image = wanted.image()
    log = home().log(image.slug)

    def make() -> None:
        step.say(f"building {wanted.name}")
        log.unlink(missing_ok=True)
        given = [word for name, value in wanted.arguments.items() for word in ("--build-arg", f"{name}={value}")]
        options = ["--network", "host", "--label", image.label, "--tag", wanted.name, "--file", str(wanted.dockerfile)]
        engine.docker("build", *options, *given, str(wanted.context), how=engine.how(log=log))

    return ensure(engine, image, make, step)


def debian_image(name: str, packages: tuple[str, ...], step: Step) -> str:
    """Bring an image of these Debian packages into the engine; returns its key, an input for what is built on it."""
    engine = current()
    image = root_image(name, debian.root_key(packages))
    slug = image.slug.removeprefix("image-desist-").removeprefix("image-")

    def make() -> None:
        if not engine.own and pulled(engine, PUBLISHED_DEBIAN, step):
            step.say(f"installing {len(packages)} packages in {PUBLISHED_DEBIAN}")
            words = ("build", "--label", image.label, "--tag", name, "-")
            engine.docker(*words, how=engine.how(log=home().log(image.slug), stdin=dockerfile(packages)))
        else:
            import_root(engine, debian.root(slug, packages, step), name, image.key)

    ensure(engine, image, make, step)
    return image.key


def dockerfile(packages: tuple[str, ...]) -> str:
    """The image of these Debian packages where Docker can pull: no Debian tools are needed on this machine then."""
    install = f"apt-get install --yes --no-install-recommends {' '.join(packages)}"
    return f"FROM {PUBLISHED_DEBIAN}\nRUN apt-get update && {install} && rm -rf /var/lib/apt/lists/*\n"


def load(names: Sequence[str], step: Step) -> None:
    """Bring images from the engine into all nodes. Raises ClusterError, also where they are another folder's."""
    step.say(f"loading {', '.join(names)} into the nodes")
    engine = current()
    ownership.check(engine)
    run(
        [tool("kind"), "load", "docker-image", "--name", versions.CLUSTER, *names],
        engine.how(log=home().log("load")),
    )


def build_and_load(wanted: Build, step: Step) -> None:
    """`build`, then `load`; the step's result says how the image was come by."""
    how = build(current(), wanted, step)
    load([wanted.name], step)
    step.result(f"{wanted.name}, {how}, loaded")


def load_archives(archives: Sequence[str]) -> None:
    """Load archives of `docker save` into all nodes. Raises ClusterError."""
    engine = current()
    ownership.check(engine)
    progress = Progress(len(archives))
    for archive in archives:
        with progress.step(f"load {archive}") as step:
            run([tool("kind"), "load", "image-archive", archive, "--name", versions.CLUSTER], engine.how())
            step.result("loaded")


def workload_images() -> None:
    """Build both workload images and load them."""
    progress = Progress(2)
    with progress.step("workload image") as step:
        debian_image(WORKLOAD, WORKLOAD_PACKAGES, step)
        load([WORKLOAD], step)
        step.result(f"{WORKLOAD} loaded")
    with progress.step("scratch image") as step:
        binary = golang.build(golang.SCRATCH, step)
        build_and_load(Build(SCRATCH, binary.parent, SCRATCH_DOCKERFILE), step)
