"""The operator's dependencies as wheels for the image's build, which may have no network.

Contract: `wheels(step)` returns a folder with the wheels that uv.lock pins for the image's Python and this machine,
and pip's own. It is made once for each set of requirements, whatever Python runs this.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import tomllib
from pathlib import Path

from hack.cluster.commands import How, run
from hack.cluster.home import home
from hack.cluster.keys import being_made, key_of, prune
from hack.cluster.progress import Step
from hack.image.assemble import requirements
from hack.image.base import PYTHON

ROOT = Path(__file__).resolve().parents[2]
PIP = "pip==26.3"
# pip takes the names of platforms literally; these are all that a C library of Debian 12 can load.
GLIBC_MINORS = (17, 24, 26, 27, 28, 31, 34, 35, 36)


def locked() -> str:
    """The requirements that uv.lock pins for the operator."""
    return requirements(tomllib.loads((ROOT / "uv.lock").read_text()))


def wheels_key() -> str:
    """Key of the wheels: this file counts, since it says for which platforms they are."""
    return key_of(Path(__file__), locked(), PYTHON, platform.machine())


def wheels(step: Step) -> Path:
    """Folder of the wheels, downloaded if it is not there. Raises ClusterError naming pip's log."""
    folder = home().root / f"wheels-{wheels_key()}"
    if folder.exists():
        os.utime(folder)
        return folder
    step.say("downloading the operator's dependencies")
    with being_made(folder) as part, tempfile.TemporaryDirectory() as scratch:
        log = How(log=home().log("wheels"))
        run([sys.executable, "-m", "venv", scratch], log)
        listed = Path(scratch, "requirements.txt")
        listed.write_text(locked())
        pip = Path(scratch, "bin", "pip")
        options = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "-d", str(part)]
        run([pip, *options, "--require-hashes", *_for_the_image(), "-r", listed], log)
        run([pip, *options, PIP], log)
    prune(home().root, "wheels")
    return folder


def _for_the_image() -> list[str]:
    platforms = [f"manylinux_2_{minor}_{platform.machine()}" for minor in GLIBC_MINORS]
    chosen = [f"--platform={name}" for name in (f"manylinux2014_{platform.machine()}", *platforms)]
    return ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}", *chosen]
