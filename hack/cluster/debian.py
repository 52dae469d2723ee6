"""Roots of Debian packages, as archives in the cache: the base of every image where there is no registry.

Contract: `root(name, include, step)` returns a tar of a minimal Debian with these packages and without documentation;
it is made once for each list of packages. The key has no package versions: a cached root keeps those of its day.
"""

from __future__ import annotations

import os
from pathlib import Path

from hack.cluster import packages, versions
from hack.cluster.commands import How, run
from hack.cluster.home import home
from hack.cluster.keys import being_made, key_of, prune
from hack.cluster.progress import Step

LEFT_OUT = tuple(f"path-exclude=/usr/share/{part}/*" for part in ("man", "doc", "locale", "i18n", "info", "lintian"))
CLEAN_UP = 'rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/* "$1"/var/cache/debconf/*-old'
NODE_PACKAGES = (
    *("systemd", "systemd-sysv", "bash", "procps", "hostname", "util-linux", "mount", "kmod", "e2fsprogs"),
    *("iptables", "nftables", "conntrack", "iproute2", "ethtool", "libseccomp2", "containernetworking-plugins"),
    *("ca-certificates", "curl", "jq", "busybox-static"),
)


def root_key(include: tuple[str, ...]) -> str:
    """Cache key of a root with these packages."""
    return key_of(Path(__file__), versions.DEBIAN, *sorted(include))


def root(name: str, include: tuple[str, ...], step: Step) -> Path:
    """Archive of a Debian root with the packages `include`. Raises ClusterError naming mmdebstrap's log."""
    archive = home().root / f"debian-{name}-{root_key(include)}.tar"
    if archive.exists():
        os.utime(archive)
        return archive
    packages.ensure(packages.DEBIAN_ROOT, step)
    step.say(f"making a Debian root of {len(include)} packages and what they need, about a minute")
    options = [f"--dpkgopt={option}" for option in LEFT_OUT]
    with being_made(archive) as part:
        chosen = [f"--include={','.join(include)}", f"--customize-hook={CLEAN_UP}", "--format=tar"]
        log = home().log(f"debian-{name}")
        run(["mmdebstrap", "--variant=minbase", *options, *chosen, versions.DEBIAN, part], How(log=log))
    prune(home().root, f"debian-{name}", ".tar")
    return archive
