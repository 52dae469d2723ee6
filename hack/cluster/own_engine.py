"""A Docker engine of our own, from Debian's packages: start, find and stop dockerd, leaving nothing behind.

Contract: `up()` returns when it answers, whatever an earlier one left (it may have been SIGKILLed with everything
below it); `stop()` leaves no process, mount, link, rule or cgroup of it, and keeps its images; it raises ClusterError
where something stays. Data is thrown away only where dockerd itself ended twice with it.
It lives in a session of its own: the shell that started it may end. No default bridge (docker0): nothing here needs
one, kind makes its own network, and builds use the host's.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from hack.cluster import engine_settings, host_traces, packages
from hack.cluster.commands import How, answer
from hack.cluster.errors import ClusterError
from hack.cluster.home import home, without_lock
from hack.cluster.host_traces import Ours
from hack.cluster.progress import Step

START_SECONDS = 120.0
STOP_SECONDS = 20.0


class DockerdEnded(ClusterError):
    """dockerd started, and ended by itself."""


def host() -> str:
    """What DOCKER_HOST must be."""
    return engine_settings.socket()


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


def _pid_files() -> list[tuple[Path, Path]]:
    """The pid files of dockerd and its containerd, each with the folder that the process's arguments name."""
    containerd = home().run / "exec" / "containerd"
    return [(engine_settings.pid_file(), home().engine), (containerd / "containerd.pid", containerd)]


def alive() -> bool:
    """Whether our dockerd runs; it may not answer yet, or no more."""
    return pid_in(engine_settings.pid_file(), home().engine) is not None


def up(step: Step) -> str:
    """Bring the engine up; returns how it was come by, in words. Raises ClusterError naming its log."""
    words = "started"
    if alive():
        if engine_settings.written():
            step.say("waiting until dockerd answers")
            if _answers(None):
                return "was up"
            words = f"restarted, since it did not answer for {START_SECONDS:.0f} s"
        else:
            words = "restarted, since its settings changed"
        step.say(words)
        stop()
    _check(step)
    return _started(step, words)


def _started(step: Step, words: str) -> str:
    errors: list[ClusterError] = []
    while len(errors) < 2:
        try:
            _start(step)
            return words
        except ClusterError as error:
            errors.append(error)
            stop()
    if not all(isinstance(error, DockerdEnded) for error in errors):
        raise errors[-1]
    step.say("dockerd ended twice with its old data: starting anew")
    wipe()
    _start(step)
    return "started anew: dockerd ended twice with its old data"


def _check(step: Step) -> None:
    """What an engine needs of its host. Raises ClusterError: no new data would help there."""
    packages.ensure(packages.ENGINE, step)
    if shutil.which("docker") is None:
        # Since Debian 13 the client is a package of its own.
        packages.ensure(("docker-cli",), step)
    if os.geteuid() != 0:
        raise ClusterError("an engine of our own needs root", advice="run as root, or start Docker yourself")
    for place in others():
        raise ClusterError(
            f"the engine of another state folder runs, and the two share addresses: {place}",
            advice=f"DESIST_HOME={place} make cluster-down ARGS=--all; or use that folder",
        )
    engine_settings.raise_limits()


def others() -> list[Path]:
    """State folders of other engines of these tools that run on this host."""
    found = (home_of(command) for command in host_traces.commands_of("dockerd"))
    return [place for place in found if place is not None and place != home().root]


def traces() -> Ours:
    """What our engine's traces on this host are told by: not by addresses while another engine has the same ones."""
    ours = engine_settings.ours()
    return replace(ours, addresses=None) if others() else ours


def home_of(command: Sequence[str]) -> Path | None:
    """State folder of the engine that this command line starts, None if it is no engine of these tools."""
    file = Path(next((word for option, word in pairwise(command) if option == "--config-file"), ""))
    ours = file.parts[-2:] == ("engine", "daemon.json")
    return file.parent.parent if ours else None


def _start(step: Step) -> None:
    step.say("starting dockerd")
    home().run.mkdir(parents=True, exist_ok=True)
    for file, place in _pid_files():
        if pid_in(file, place) is None:
            file.unlink(missing_ok=True)
    settings = engine_settings.write()
    host_traces.cut_off(engine_settings.ours())
    with home().log("dockerd").open("a") as sink:
        process = subprocess.Popen(
            ["dockerd", "--config-file", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd="/",
            env=without_lock(dict(os.environ)),
            start_new_session=True,
        )
    if _answers(process):
        return
    log = home().log("dockerd")
    tail = "\n".join(f"    {line[:300]}" for line in log.read_text(errors="replace").splitlines()[-5:])
    kind, words = (ClusterError, "does not answer") if process.poll() is None else (DockerdEnded, "ended")
    raise kind(f"dockerd {words}\n{tail}", log=log, advice="free what the log complains about")


def _answers(process: subprocess.Popen[bytes] | None) -> bool:
    """Whether dockerd answers in time; `process` is it, if this process started it, and need not be waited for."""
    env = {"DOCKER_HOST": host(), "DOCKER_CONTEXT": "", "DOCKER_TLS_VERIFY": ""}
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends:
        if answer(["docker", "version"], How(env=env, seconds=10)) is not None:
            return True
        if process.poll() is not None if process else not alive():
            return False
        time.sleep(0.1)
    return False


def stop() -> None:
    """Stop dockerd, and remove what it leaves on the host. Raises ClusterError naming what stays."""
    for file, place in _pid_files():
        pid = pid_in(file, place)
        if pid is not None:
            _end(pid)
    host_traces.remove(traces())


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
    raise ClusterError(f"process {pid} does not end after SIGKILL", log=home().log("dockerd"))


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
