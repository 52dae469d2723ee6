"""Debian packages: installs those that are missing, and no others.

Contract: `ensure(names)` returns when all are installed; as root it installs them, else it says which to install.
"""

from __future__ import annotations

import os
import shutil

from hack.cluster.commands import How, answer, run
from hack.cluster.errors import ClusterError
from hack.cluster.home import home
from hack.cluster.progress import Step

ENGINE = ("docker.io", "containerd", "runc", "iptables", "iproute2", "procps")
DEBIAN_ROOT = ("mmdebstrap", "debian-archive-keyring")
RUNC_BUILD = ("gcc", "libc6-dev", "libseccomp-dev", "pkg-config")
PAUSE_BUILD = ("gcc", "libc6-dev")
GO_INSTALL = ("python3-venv",)


def missing(names: tuple[str, ...]) -> list[str]:
    """Those of `names` that are not installed, in their order."""
    listed = answer(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"]) or ""
    installed = {line.split()[0] for line in listed.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def ensure(names: tuple[str, ...], step: Step) -> None:
    """Install what is missing of `names`. Raises ClusterError if that cannot be done."""
    absent = missing(names)
    if not absent:
        return
    by_hand = f"as root: apt-get install {' '.join(absent)}"
    if shutil.which("apt-get") is None:
        raise ClusterError(
            f"these Debian packages are needed: {' '.join(absent)}", advice="use a Debian machine, or one with Docker"
        )
    if os.geteuid() != 0:
        raise ClusterError("Debian packages are missing, and this is not root", advice=by_hand)
    step.say(f"installing {' '.join(absent)}")
    log = home().log("apt")
    # Killed midway, apt leaves packages that are half configured; and another apt may be at work.
    how = How(env={"DEBIAN_FRONTEND": "noninteractive"}, log=log, outlives=True)
    wait = ("-o", "DPkg::Lock::Timeout=300")
    run(["apt-get", "update", "-q"], how)
    run(["apt-get", "install", "-y", "-q", *wait, "--no-install-recommends", *absent], how)
