"""The nodes' image: one that the user names, kind's published one where Docker can pull it, else ours.

Contract: `choose(engine, step)` returns an image that the engine has. Ours is built as kind builds its own: kind's
files (from its Go module) on a Debian root, containerd, CNI plugins, Kubernetes, and the component images inside.
On an engine of our own nothing is pulled: it is there because the machine has no Docker, and so, most likely, no
registry; a build that succeeds without a network answer beats a time-out. A pull there is asked for by naming an image.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hack.cluster import debian, golang, keys, packages, versions
from hack.cluster.commands import How, answer, run
from hack.cluster.engine import Engine, pulled
from hack.cluster.home import home
from hack.cluster.image_store import LABEL, ROOT_CHANGES, Image, ensure, import_root
from hack.cluster.keys import key_of
from hack.cluster.progress import Step

ASSETS = Path(__file__).parent / "assets"
VARIABLE = "DESIST_NODE_IMAGE"
NAME = f"localhost/desist-node:{versions.KUBERNETES}"
BASE = "localhost/desist-node-base:1"
ROUTES = "localhost/desist-node-routes:1"
STAGE = "localhost/desist-node-stage:1"
IMPORTER = "desist-node-import"


def choose(engine: Engine, step: Step) -> str:
    """Name of the image to make nodes of. Raises ClusterError if the user's image cannot be had."""
    named = os.environ.get(VARIABLE)
    if named:
        if not engine.has_image(named):
            step.say(f"pulling {named}")
            engine.docker("pull", "--quiet", named)
        step.result(f"{named}, named by {VARIABLE}")
        return named
    if not engine.own and pulled(engine, versions.PUBLISHED_NODE_IMAGE, step):
        step.result(f"{versions.PUBLISHED_NODE_IMAGE}, published by kind")
        return versions.PUBLISHED_NODE_IMAGE
    image = Image(NAME, key())
    how = ensure(engine, image, lambda: _build(engine, image, step), step)
    step.result(f"{NAME}, our own, {how}")
    return NAME


def key() -> str:
    """Key of all that goes into our own image."""
    programs = [golang.key(program) for program in golang.NODE_PROGRAMS]
    root = (debian.root_key(debian.NODE_PACKAGES), *ROOT_CHANGES)
    # This file too: it sets compiler flags, file modes and the image's entry point.
    files = (golang.MODULES / "kind", ASSETS / "node", ASSETS / "components", Path(__file__))
    return key_of(*programs, *root, *files)


def _build(engine: Engine, image: Image, step: Step) -> None:
    parts = len(golang.NODE_PROGRAMS) + 4
    step.part(1, parts)
    root = debian.root("node", debian.NODE_PACKAGES, step)
    binaries = {}
    for number, program in enumerate(golang.NODE_PROGRAMS, start=2):
        step.part(number, parts)
        binaries[program.name] = golang.build(program, step)
    import_root(engine, root, BASE, "base")
    with tempfile.TemporaryDirectory(dir=home().root, prefix=keys.SCRATCH_PREFIX) as folder:
        place = Path(folder)
        step.part(parts - 2, parts)
        components = _build_components(engine, binaries, place, step)
        step.part(parts - 1, parts)
        _build_stage(engine, binaries, place, step)
        step.part(parts, parts)
        _import_components(engine, components, image, step)


def _kubeadm_images(binaries: dict[str, Path], place: Path) -> list[str]:
    kubeadm = place / "kubeadm"
    kubeadm.symlink_to(binaries["kube"])
    listed = run([kubeadm, "config", "images", "list", "--kubernetes-version", f"v{versions.KUBERNETES}"])
    return listed.split()


def _build_components(engine: Engine, binaries: dict[str, Path], place: Path, step: Step) -> Path:
    """Archive of the component images, under the names that kubeadm gives them (they are never pulled)."""
    packages.ensure(packages.PAUSE_BUILD, step)
    step.say("building the component images")
    context = place / "components"
    shutil.copytree(ASSETS / "components", context)
    run(["gcc", "-Os", "-static", "-s", "-o", context / "pause", context / "pause.c"])
    for name in ("kube", "coredns"):
        _place(binaries[name], context / name)
    (context / "node-routes").chmod(0o755)
    names = _kubeadm_images(binaries, place)
    for name in [*names, ROUTES]:
        target = name.rpartition("/")[2].partition(":")[0]
        stage = target if target in ("pause", "coredns") else "kube"
        arguments = ["--quiet", "--network", "none", "--build-arg", f"BASE={BASE}", "--target", stage, "--tag", name]
        engine.docker("build", *arguments, str(context), how=engine.how(log=home().log("node-image")))
    archive = place / "components.tar"
    engine.docker("save", "--output", str(archive), ROUTES, *names)
    (place / "pause-name").write_text(next(name for name in names if "/pause:" in name))
    return archive


def _build_stage(engine: Engine, binaries: dict[str, Path], place: Path, step: Step) -> None:
    """The node image without the component images."""
    files = golang.module_folder("kind", "sigs.k8s.io/kind", step) / "images" / "base" / "files"
    step.say("building the node image")
    context = place / "node"
    rootfs = context / "rootfs"
    for part in ("usr", "kind", "etc"):
        shutil.copytree(files / part, rootfs / part)
    _set_modes(rootfs)
    shutil.copytree(ASSETS / "node" / "manifests", rootfs / "kind" / "manifests")
    shutil.copy(ASSETS / "node" / "Dockerfile", context)
    _place(ASSETS / "node" / "crictl", rootfs / "usr/local/bin/crictl")
    _place(binaries["kube"], rootfs / "usr/bin/kube")
    _place(binaries["runc"], rootfs / "usr/local/sbin/runc")
    for program in golang.CONTAINERD:
        _place(binaries[program.name], rootfs / "usr/local/bin" / program.name)
    pause = (place / "pause-name").read_text()
    arguments = {"BASE": BASE, "VERSION": f"v{versions.KUBERNETES}", "PAUSE": pause}
    given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    engine.docker(
        "build",
        "--quiet",
        "--network",
        "none",
        *given,
        "--tag",
        STAGE,
        str(context),
        how=engine.how(log=home().log("node-image")),
    )


def _set_modes(rootfs: Path) -> None:
    """The modes of kind's own Dockerfile: a Go module's files have none of their own."""
    for path in [rootfs, *rootfs.rglob("*")]:
        program = path.is_dir() or path.parent.name == "bin"
        path.chmod(0o755 if program else 0o644)


def _place(source: Path, target: Path) -> None:
    """An executable copy; a link where the file system allows it, since some of these are large."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.stat().st_mode & 0o777 == 0o755 and source.stat().st_dev == target.parent.stat().st_dev:
        target.hardlink_to(source)
    else:
        shutil.copy(source, target)
        target.chmod(0o755)


def _import_components(engine: Engine, components: Path, image: Image, step: Step) -> None:
    step.say("putting the component images into it")
    log = home().log("node-image")
    answer(["docker", "rm", "--force", "--volumes", IMPORTER], engine.how())
    script = (ASSETS / "node" / "import-images").read_text()
    create = ["run", "--interactive", "--name", IMPORTER, "--network", "none", "--security-opt", "seccomp=unconfined"]
    engine.docker(*create, "--entrypoint", "bash", STAGE, "-c", script, how=How(engine.env(), log, components))
    changes = ('ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]', "CMD []", f"LABEL {LABEL}={image.key}")
    engine.docker("commit", *(word for change in changes for word in ("--change", change)), IMPORTER, image.name)
    engine.docker("rm", "--volumes", IMPORTER)
