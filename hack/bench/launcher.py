"""What the launcher holds, and what it does, where nothing happens: this checkout's beside another one's, in turns.

`python -m hack.bench.launcher [--beside CHECKOUT]`, without a cluster. Each turn starts so many launchers in front of a
`sleep`, under a push key and with a free port each (a launcher from before push ignores both), waits until they have
settled, and then for `--seconds`. Resident memory is what the kernel says (VmRSS); without the program's own text,
which the pods of a node may share, it is RssAnon. How often it wakes is the kernel's count of switches of all its
threads. Medians of the launchers of a turn.
"""

from __future__ import annotations

import argparse
import base64
import os
import socket
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from hack.bench.process import checkouts, ticks
from hack.cluster.api import go, go_environment
from hack.image.build import BUILD_FLAGS

SETTLES = 3.0
"""Seconds after its start; what a launcher does at first is over then."""


class Idle(NamedTuple):
    """One launcher."""

    resident: float
    """KiB."""
    anonymous: float
    """KiB."""
    switches: float
    """In the whole time of waiting."""
    ticks: float
    """Of processor time in it."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m hack.bench.launcher", description=__doc__)
    parser.add_argument("--beside", type=Path, help="another checkout")
    parser.add_argument("--turns", type=int, default=3, help="of each (default 3)")
    parser.add_argument("--launchers", type=int, default=9, help="in a turn (default 9)")
    parser.add_argument("--seconds", type=float, default=10, help="in which nothing happens (default 10)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="desist-launchers-") as scratch:
        built = {name: compiled(checkout, Path(scratch) / name) for name, checkout in checkouts(options.beside).items()}
        for turn in range(options.turns):
            for name, binary in built.items():
                found = measured(binary, options.launchers, options.seconds)
                print(
                    f"{name:<7} {turn + 1}: resident {found.resident:5.0f} KiB, anonymous {found.anonymous:5.0f} KiB,"
                    f" woken {found.switches:.0f} times, {found.ticks:.0f} ticks of processor time",
                    flush=True,
                )


def compiled(checkout: Path, binary: Path) -> Path:
    """The launcher of that checkout, built as for the image."""
    environment = {**go_environment(), "CGO_ENABLED": "0"}
    subprocess.run(
        [go(), "build", *BUILD_FLAGS, "-o", binary, "."], cwd=checkout / "launcher", env=environment, check=True
    )
    return binary


def measured(binary: Path, launchers: int, seconds: float) -> Idle:
    """Medians of one turn."""
    with ExitStack() as running:
        pids = [running.enter_context(started(binary)) for _ in range(launchers)]
        time.sleep(SETTLES)
        before = [work(pid) for pid in pids]
        time.sleep(seconds)
        done = [
            [now - then for now, then in zip(work(pid), was, strict=True)]
            for pid, was in zip(pids, before, strict=True)
        ]
        found = [(*memory(pid), *each) for pid, each in zip(pids, done, strict=True)]
    return Idle(*(statistics.median(column) for column in zip(*found, strict=True)))


@contextmanager
def started(binary: Path) -> Iterator[int]:
    """A launcher in front of a program that does nothing; its PID."""
    with tempfile.TemporaryDirectory(prefix="desist-launcher-") as folder:
        mailbox = Path(folder) / "mailbox"
        mailbox.mkdir()
        process = subprocess.Popen(
            [binary, "run", "--", "sleep", "3600"], env=environment(Path(folder)), stderr=subprocess.DEVNULL
        )
        try:
            yield process.pid
        finally:
            process.terminate()  # it passes that on
            process.wait(30)


def environment(folder: Path) -> dict[str, str]:
    """What its pod would say."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    return {
        "PATH": os.environ["PATH"],
        "DESIST_MAILBOX": str(folder / "mailbox"),
        "DESIST_OUTCOME": str(folder / "outcome.json"),
        "DESIST_STOP": str(folder / "stop.json"),
        "DESIST_TERMINATION_LOG": str(folder / "termination"),
        "DESIST_PUSH_KEY": base64.b64encode(bytes(32)).decode(),
        "DESIST_PUSH_PORT": str(port),
        "DESIST_POD_UID": str(uuid.uuid4()),
        "DESIST_RUN_ID": "bench",
    }


def memory(pid: int) -> tuple[float, float]:
    """VmRSS and RssAnon, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    held = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "RssAnon"))}
    return float(held["VmRSS"]), float(held["RssAnon"])


def work(pid: int) -> tuple[float, float]:
    """Switches of all threads so far, and ticks of processor time."""
    switches = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        lines = (thread / "status").read_text().splitlines()
        switches += sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
    return float(switches), float(ticks(pid))


if __name__ == "__main__":
    main()
