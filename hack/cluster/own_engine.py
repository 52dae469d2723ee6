"""A Docker engine of our own, from Debian's packages: start, find and stop dockerd, leaving nothing behind.

Contract: `start()` returns when it answers, whatever an earlier one left (it may have been SIGKILLed with everything
below it); `stop()` leaves no process, mount, link, rule or cgroup of it, and keeps its images.
It lives in a session of its own: the shell that started it may end. No default bridge (docker0): nothing here needs
one, kind makes its own network, and builds use the host's.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from hack.cluster import host_traces, packages
from hack.cluster.capabilities import lacking_here
from hack.cluster.commands import How, answer, run
from hack.cluster.errors import ClusterError
from hack.cluster.home import home, without_lock
from hack.cluster.progress import Step

RUNTIME = Path(__file__).parent / "assets" / "engine" / "runtime.sh"
CGROUP = "desist"
START_SECONDS = 120.0
ADDRESSES = "172.30.16.0/20"
STOP_SECONDS = 20.0
# Each node runs a systemd, a kubelet and a containerd, and 128 inotify instances are soon used up.
SYSCTLS = ("net.ipv4.ip_forward=1", "fs.inotify.max_user_instances=8192", "fs.inotify.max_user_watches=1048576")


def pid_in(file: Path, place: Path) -> int | None:
    """The process that a pid file names, if it is alive and has a path below `place` in its arguments.

    After a SIGKILL the file stays, and its number soon belongs to another process; or the process stays for a while
    as a zombie, which has its name still but no arguments.
    """
    try:
        pid = int(file.read_text())
        return pid if f"{place}/".encode() in Path(f"/proc/{pid}/cmdline").read_bytes() else None
    except (OSError, ValueError):
        return None


def _dockerd_pid() -> Path:
    return home().run / "docker.pid"


def _pid_files() -> list[tuple[Path, Path]]:
    """The pid files of dockerd and its containerd, each with the folder that the process's arguments name."""
    containerd = home().run / "exec" / "containerd"
    return [(_dockerd_pid(), home().engine), (containerd / "containerd.pid", containerd)]


def alive() -> bool:
    """Whether our dockerd runs."""
    return pid_in(_dockerd_pid(), home().engine) is not None


def start(step: Step) -> None:
    """Start dockerd and wait until it answers. Raises ClusterError naming its log."""
    packages.ensure(packages.ENGINE, step)
    if shutil.which("docker") is None:
        # Since Debian 13 the client is a package of its own.
        packages.ensure(("docker-cli",), step)
    if os.geteuid() != 0:
        raise ClusterError("an engine of our own needs root", advice="run as root, or start Docker yourself")
    step.say("starting dockerd")
    home().run.mkdir(parents=True, exist_ok=True)
    for file, place in _pid_files():
        if pid_in(file, place) is None:
            file.unlink(missing_ok=True)
    # Forwarding first: a dockerd that has to switch it on sets the whole host's FORWARD policy to DROP.
    run(["sysctl", "-qw", *SYSCTLS])
    log = home().log("dockerd")
    with log.open("a") as sink:
        process = subprocess.Popen(
            ["dockerd", "--config-file", str(_settings())],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd="/",
            env=without_lock(dict(os.environ)),
            start_new_session=True,
        )
    _wait_until_it_answers(process, log)


def _settings() -> Path:
    place = home().engine
    place.mkdir(parents=True, exist_ok=True)
    runtime = place / "runtime"
    runtime.write_text(RUNTIME.read_text().replace("@LACKING@", " ".join(lacking_here())))
    runtime.chmod(0o755)
    settings = {
        "data-root": str(place / "data"),
        "exec-root": str(home().run / "exec"),
        "pidfile": str(_dockerd_pid()),
        "hosts": [f"unix://{home().run}/docker.sock"],
        "storage-driver": "overlay2",
        "cgroup-parent": CGROUP,
        "bridge": "none",
        "default-address-pools": [{"base": ADDRESSES, "size": 24}],
        "runtimes": {"desist": {"path": str(runtime)}},
        "default-runtime": "desist",
    }
    file = place / "daemon.json"
    file.write_text(json.dumps(settings, indent=1))
    return file


def _wait_until_it_answers(process: subprocess.Popen[bytes], log: Path) -> None:
    env = {"DOCKER_HOST": f"unix://{home().run}/docker.sock"}
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends:
        if answer(["docker", "version"], How(env=env, seconds=10)) is not None:
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    tail = "\n".join(f"    {line[:300]}" for line in log.read_text(errors="replace").splitlines()[-5:])
    raise ClusterError(f"dockerd does not answer\n{tail}", log=log, advice="free what the log complains about")


def stop() -> None:
    """Stop dockerd, and remove what it leaves on the host."""
    for file, place in _pid_files():
        pid = pid_in(file, place)
        if pid is not None:
            _end(pid)
    host_traces.remove(host_traces.Ours(CGROUP, (home().run, home().engine), ADDRESSES))


def wipe() -> None:
    """Remove the data of a stopped engine that cannot start with it; images come back from the cache."""
    for folder in (home().engine / "data", home().run):
        shutil.rmtree(folder, ignore_errors=True)


def _end(pid: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        ends = time.monotonic() + STOP_SECONDS
        while time.monotonic() < ends:
            if _gone(pid):
                return
            time.sleep(0.05)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
