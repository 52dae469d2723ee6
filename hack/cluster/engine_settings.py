"""What an engine of our own runs with: dockerd's settings, its OCI runtime, and limits of the host's kernel.

Contract: `write()` writes the settings that this checkout wants; `written()` tells whether the files are these. What a
running engine is recognised by (its cgroup, its addresses) is read from the file that it was started with, which an
older checkout may have written. The cgroup's name has the state folder in it, so that engines of two folders do not
take each other's processes for their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hack.cluster.capabilities import lacking_here
from hack.cluster.errors import ClusterError
from hack.cluster.home import home
from hack.cluster.host_traces import Ours
from hack.cluster.keys import key_of

RUNTIME = Path(__file__).parent / "assets" / "engine" / "runtime.sh"
ADDRESSES = "172.30.16.0/20"
# Forwarding: a dockerd that has to switch it on sets the whole host's FORWARD policy to DROP. Inotify: each node runs a
# systemd, a kubelet and a containerd, and 128 instances are soon used up.
LEAST = {
    "net.ipv4.ip_forward": 1,
    "fs.inotify.max_user_instances": 8192,
    "fs.inotify.max_user_watches": 1048576,
}


def socket() -> str:
    """Address of the engine, as DOCKER_HOST has it."""
    return f"unix://{home().run}/docker.sock"


def pid_file() -> Path:
    """Where dockerd writes its process id."""
    return home().run / "docker.pid"


def _wanted() -> dict[str, Any]:
    place = home().engine
    return {
        "data-root": str(place / "data"),
        "exec-root": str(home().run / "exec"),
        "pidfile": str(pid_file()),
        "hosts": [socket()],
        "storage-driver": "overlay2",
        "cgroup-parent": home().label,
        # With cgroup v2 and systemd the default is systemd's driver, which refuses a parent that is no slice.
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "bridge": "none",
        "default-address-pools": [{"base": ADDRESSES, "size": 24}],
        "runtimes": {"desist": {"path": str(place / "runtime")}},
        "default-runtime": "desist",
    }


def _runtime() -> str:
    return RUNTIME.read_text().replace("@LACKING@", " ".join(lacking_here()))


def _key() -> str:
    return key_of(json.dumps(_wanted(), sort_keys=True), _runtime())


def _key_file() -> Path:
    return home().engine / "settings.key"


def write() -> Path:
    """Write settings and runtime; returns the file for dockerd."""
    place = home().engine
    place.mkdir(parents=True, exist_ok=True)
    (place / "runtime").write_text(_runtime())
    (place / "runtime").chmod(0o755)
    file = place / "daemon.json"
    file.write_text(json.dumps(_wanted(), indent=1))
    _key_file().write_text(_key())
    return file


def written() -> bool:
    """Whether the files are those that `write` would write: a running engine fits then."""
    return _key_file().exists() and _key_file().read_text() == _key()


def cgroup() -> str:
    """Name of the cgroup of the engine's containers: that of the engine started last."""
    file = home().engine / "daemon.json"
    name: str = json.loads(file.read_text())["cgroup-parent"] if file.exists() else home().label
    return name


def ours() -> Ours:
    """What the engine started last is recognised by."""
    return Ours(cgroup(), (home().run, home().engine), ADDRESSES)


def to_raise(present: Mapping[str, int]) -> dict[str, int]:
    """Those of the kernel's limits that are too low. None is ever lowered: others rely on them."""
    return {name: least for name, least in LEAST.items() if present[name] < least}


def raise_limits() -> None:
    """Raise the kernel's limits. Raises ClusterError where that is not allowed."""
    files = {name: Path("/proc/sys", *name.split(".")) for name in LEAST}
    try:
        for name, least in to_raise({name: int(file.read_text()) for name, file in files.items()}).items():
            files[name].write_text(str(least))
    except OSError as error:
        raise ClusterError(f"a limit of the kernel cannot be raised: {error}", advice="run as root") from error
