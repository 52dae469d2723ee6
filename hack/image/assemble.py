"""Fills the image's folder /opt/desist: the operator's dependencies, as the lock file pins them, compiled to bytecode.

Contract: runs inside of the image's build, with any Python from 3.11 on and nothing but the standard library. Reads
`uv.lock` of the build folder and installs exactly the hashes that it names. Where the folder holds wheels it needs no
network (and brings pip as one of them); else pip asks PyPI. Bytecode is `unchecked-hash`: it is valid whatever the
files' times are, which layers do not keep to the second, and a read-only root could never renew it.
Rejected: a second, exported list of requirements in the repository, which can grow stale; uv in the image's build,
which needs a network where there may be none.
"""

from __future__ import annotations

import compileall
import importlib.util
import py_compile
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PROJECT, EXTRA = "desist", "operator"
# Sources and stubs for compilers and type checkers, scripts, and the tests that some packages install.
UNUSED = ("**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.c", "**/*.h", "**/tests", "**/__pycache__", "bin")

Package = Mapping[str, Any]


def requirements(lock: Mapping[str, Any]) -> str:
    """What the operator needs, with hashes and in pip's own form, from a parsed uv.lock.

    Raises ValueError where the lock holds two versions of one package: that needs markers that are not read here.
    """
    packages: dict[str, Package] = {}
    for package in lock["package"]:
        if packages.setdefault(package["name"], package) is not package:
            raise ValueError(f"uv.lock holds two versions of {package['name']}")
    conditions: dict[str, set[str]] = {}
    for name, marker in _needed(packages, packages[PROJECT], ""):
        conditions.setdefault(name, set()).add(marker)
    return "".join(_line(packages[name], markers) for name, markers in sorted(conditions.items()))


def _needed(packages: Mapping[str, Package], package: Package, under: str) -> Iterator[tuple[str, str]]:
    """Each dependency, also of dependencies, with the marker under which it is needed ("": always)."""
    extra = package.get("optional-dependencies", {}).get(EXTRA, []) if package["name"] == PROJECT else []
    for dependency in [*package.get("dependencies", []), *extra]:
        own = dependency.get("marker", "")
        marker = f"({under}) and ({own})" if under and own else under or own
        yield dependency["name"], marker
        yield from _needed(packages, packages[dependency["name"]], marker)


def _line(package: Package, markers: set[str]) -> str:
    marker = "" if "" in markers else " ; " + " or ".join(f"({marker})" for marker in sorted(markers))
    hashes = sorted(wheel["hash"] for wheel in package["wheels"])
    return f"{package['name']}=={package['version']}{marker}" + "".join(f" --hash={one}" for one in hashes) + "\n"


def install(build: Path, target: Path) -> None:
    """Install what `build/uv.lock` pins into `target`. Raises CalledProcessError after pip has said why."""
    listed = build / "requirements.txt"
    listed.write_text(requirements(tomllib.loads((build / "uv.lock").read_text())))
    wheels = sorted(build.glob("*.whl"))
    source = ["--no-index", "--find-links", str(build)] if wheels else []
    exact = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile", "--no-cache-dir"]
    quiet = ["--disable-pip-version-check", "--root-user-action", "ignore", "--quiet"]
    command = [*_pip(wheels), "install", *quiet, *exact, *source, "--target", str(target), "-r", str(listed)]
    subprocess.run(command, check=True)


def _pip(wheels: list[Path]) -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    carried = next((wheel for wheel in wheels if wheel.name.startswith("pip-")), None)
    if carried is None:
        sys.exit("assemble: the base has no pip, and the build's context brings none: neither pip nor wheels")
    return [sys.executable, f"{carried}/pip"]


def prune(target: Path) -> None:
    """Remove what no running program reads."""
    for pattern in UNUSED:
        for path in list(target.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def compile_all(folder: Path) -> None:
    """Compile every module below `folder`. Raises ValueError where one has an error."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(folder, quiet=1, force=True, invalidation_mode=mode):
        raise ValueError(f"not everything in {folder} can be compiled")


def main() -> None:
    build, target = Path(sys.argv[1]), Path(sys.argv[2])
    install(build, target)
    prune(target)
    compile_all(target)


if __name__ == "__main__":
    main()
