"""The operator as a process on this machine, from any checkout: how long it takes to be ready, and what it holds.

It runs as its image has it (`shipped`).

Method: ready is what `/readyz` says, counted from the start of the process, asked every 50 ms. Memory is the process's
resident set (VmRSS) and its highest (VmHWM), from /proc.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.cluster.api import kubeconfig

HERE = Path(__file__).parents[2]


def checkouts(beside: Path | None) -> dict[str, Path]:
    """By their names in what is printed: this checkout, and another one if there is one."""
    return {"here": HERE} if beside is None else {"here": HERE, "beside": beside.resolve()}


class Operator:
    """`with` it. `source` is the folder that holds `desist/`; `push_secret` is NAMESPACE/NAME, or empty: no push.

    `profile`: the file into which what `profiled` encloses is written; None: nothing is.
    """

    def __init__(
        self, source: Path, log: Path, launcher: str, push_secret: str = "", profile: Path | None = None
    ) -> None:
        self._source, self._log, self._launcher, self._push_secret = source, log, launcher, push_secret
        self._profile = profile
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = int(free.getsockname()[1])
        self.ready_after = 0.0
        """Seconds from the start of the process to ready."""

    def __enter__(self) -> Operator:
        began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hack.bench.shipped", *([str(self._profile)] if self._profile else ())],
                env=self._environment(),
                stdout=log,
                stderr=log,
            )
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() - began > 300:
                self.__exit__()
                raise RuntimeError(f"the operator is not ready: see {self._log}")
            time.sleep(0.05)
        self.ready_after = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)

    def memory(self) -> tuple[float, float]:
        """Resident now, and the highest so far, in MiB."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        held = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
        return int(held["VmRSS"]) / 1024, int(held["VmHWM"]) / 1024

    def own_memory(self) -> float:
        """What no other process shares, in MiB."""
        lines = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024

    def cpu_seconds(self) -> float:
        """Processor time that it has used."""
        return ticks(self._process.pid) / os.sysconf("SC_CLK_TCK")

    @contextmanager
    def profiled(self) -> Iterator[None]:
        """Count and time all calls inside; returns when that is written."""
        self._process.send_signal(signal.SIGUSR1)
        yield
        self._process.send_signal(signal.SIGUSR2)
        self.settle()

    def settle(self, seconds: float = 300) -> None:
        """Until it has used little processor time for three seconds."""
        end = time.monotonic() + seconds
        used = self.cpu_seconds()
        while time.monotonic() < end:
            time.sleep(3)
            before, used = used, self.cpu_seconds()
            if used - before < 0.3:
                return

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=30) as answer:
                return bool(answer.status == 200)
        except (urllib.error.HTTPError, OSError):
            return False

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DESIST_")}
        ours = {
            "KUBECONFIG": str(kubeconfig()),
            "PYTHONPATH": f"{self._source}:{HERE}",
            "DESIST_LAUNCHER_IMAGE": self._launcher,
            "DESIST_PROBE_HOST": "127.0.0.1",
            "DESIST_PROBE_PORT": str(self._port),
            "DESIST_LOG_FORMAT": "Json",
            "DESIST_PUSH_SECRET": self._push_secret,
        }
        return kept | ours


def ticks(pid: int) -> int:
    """Processor time that a process has used, in the kernel's ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
