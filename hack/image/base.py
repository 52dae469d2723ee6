"""The base of the operator's image where there is no registry: Python and the libraries it loads, from Debian packages.

Contract: `base_image(engine, step)` brings the image into the engine under NAME: where Docker was found and can pull,
that is the published Python image, else our own. Ours holds no shell, no
package manager and no certificates: the operator speaks to one server, whose certificate is in its service account's
folder. Packages are unpacked, not installed (mmdebstrap's variant `extract`), so that their maintainer scripts and the
packages that only those need stay out; files that nothing loads are filtered from the archive, copyright files stay.
Which versions of the packages these are: those of the mirror's today, or of the day that the environment names
(DESIST_DEBIAN_SNAPSHOT=20261101T000000Z) where snapshot.debian.org can be reached.
Rejected: a root as the cluster tools make it for workloads (157 MB instead of 29: a shell, apt, perl, the usual tools);
mmdebstrap's own hooks for the filtering, which run before its clean-up and break it.
"""

from __future__ import annotations

import os
import re
import tarfile
import tempfile
from fnmatch import translate
from pathlib import Path

from hack.cluster import packages, versions
from hack.cluster.commands import How, run
from hack.cluster.engine import Engine, pulled
from hack.cluster.errors import ClusterError
from hack.cluster.home import home
from hack.cluster.image_store import ensure, import_root, root_image
from hack.cluster.keys import being_made, key_of, prune
from hack.cluster.progress import Step

NAME = "localhost/desist-python:1"
PYTHON = "3.11"
# The Dockerfile's own default.
PUBLISHED = f"python:{PYTHON}.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3"
SNAPSHOT = "DESIST_DEBIAN_SNAPSHOT"
ARCHIVE = "http://snapshot.debian.org/archive"
# What databases, terminals and name services need; their Python modules go with them.
LIBRARIES = (
    "libdb-",
    "libreadline",
    "libhistory",
    "libncurses",
    "libpanel",
    "libmenu",
    "libform",
    "libtinfo",
    "libnsl",
)
SERVICES = (
    "libtirpc",
    "libgssrpc",
    "libgssapi",
    "libkrb5",
    "libk5crypto",
    "libkadm5",
    "libkdb5",
    "libkeyutils",
    "libsqlite3",
)
PACKAGING = ("libpcre2", "libzstd", "libselinux", "libmd.", "libmvec", "gconv/", "perl", "audit/", "krb5/")
MODULES = ("_dbm", "readline", "_curses", "nis", "_sqlite3", "_test", "_xxtest", "xxlimited", "_codecs_", "ossaudiodev")
STANDARD = (
    "sqlite3/",
    "curses/",
    "dbm/",
    "pydoc_data/",
    "turtledemo/",
    "unittest/test/",
    "ctypes/test/",
    "__phello__/",
)
DROPPED = (
    *(f"*lib/*-linux-gnu/{name}*" for name in (*LIBRARIES, *SERVICES, *PACKAGING)),
    *(f"usr/lib/python{PYTHON}/lib-dynload/{name}*" for name in MODULES),
    *(f"usr/lib/python{PYTHON}/{name}*" for name in STANDARD),
    *(
        "etc/apt/*",
        "etc/dpkg/*",
        "etc/alternatives/*",
        "etc/cron*",
        "etc/logrotate*",
        "etc/rmt",
        "var/*",
        "usr/lib/dpkg/*",
    ),
    *(
        "bin/*",
        "usr/bin/[!p]*",
        "usr/bin/p[!y]*",
        "usr/bin/pydoc*",
        "usr/bin/pygettext*",
        "usr/sbin/*",
        "sbin/*",
        "usr/lib/tmpfiles.d/*",
    ),
    *("usr/share/[!d]*", "usr/share/doc/*[!t]"),
)
KEPT = ("usr/share/doc/*/copyright",)


def _any(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern) for pattern in patterns))


def base_key() -> str:
    """Key of all that goes into the base. Without a snapshot a cached base keeps the versions of its day."""
    return root_image(NAME, _archive_key()).key


def _archive_key() -> str:
    return key_of(Path(__file__), versions.DEBIAN, *sources())


def sources() -> list[str]:
    """Package sources of the day that SNAPSHOT names; empty: mmdebstrap's own. Raises ClusterError if malformed."""
    day = os.environ.get(SNAPSHOT, "")
    if not day:
        return []
    if not re.fullmatch(r"\d{8}T\d{6}Z", day):
        raise ClusterError(f"{SNAPSHOT} is {day!r}: it has to be a time as in 20261101T000000Z")
    suites = {"debian": versions.DEBIAN, "debian-security": f"{versions.DEBIAN}-security"}
    # A snapshot's signature stays valid; only the date until which it was meant to be used has passed.
    return [f"deb [check-valid-until=no] {ARCHIVE}/{name}/{day} {suite} main" for name, suite in suites.items()]


def base_image(engine: Engine, step: Step) -> str:
    """Bring the base into the engine; returns its name. Raises ClusterError naming mmdebstrap's log."""
    if not engine.own and pulled(engine, PUBLISHED, step):
        engine.docker("tag", PUBLISHED, NAME)
        return NAME
    image = root_image(NAME, _archive_key())
    ensure(engine, image, lambda: import_root(engine, root(step), NAME, image.key), step)
    return NAME


def root(step: Step) -> Path:
    """Archive of the base. Raises ClusterError naming mmdebstrap's log."""
    archive = home().root / f"debian-python-{_archive_key()}.tar"
    if archive.exists():
        os.utime(archive)
        return archive
    packages.ensure(packages.DEBIAN_ROOT, step)
    step.say("unpacking Python from Debian packages")
    with being_made(archive) as part, tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch, "whole.tar")
        options = ["--variant=extract", f"--include=python{PYTHON}", "--format=tar"]
        run(["mmdebstrap", *options, versions.DEBIAN, whole, *sources()], How(log=home().log("debian-python")))
        slim(whole, part)
    prune(home().root, "debian-python", ".tar")
    return archive


def slim(whole: Path, target: Path) -> None:
    """Copy an archive without what is dropped, and with Python under its usual name."""
    dropped, kept = _any(DROPPED), _any(KEPT)
    with tarfile.open(whole) as source, tarfile.open(target, "w") as result:
        for member in source:
            name = member.name.removeprefix("./")
            if kept.match(name) or not dropped.match(name):
                result.addfile(member, source.extractfile(member) if member.isreg() else None)
        usual = tarfile.TarInfo("usr/bin/python3")
        usual.type, usual.linkname = tarfile.SYMTYPE, f"python{PYTHON}"
        result.addfile(usual)
