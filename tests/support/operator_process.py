"""The operator as a process on this machine: started, stopped, killed, and its log kept.

Contract: `start` returns when /readyz would say ok (it says so in a log line); `stop` sends SIGTERM and gives exit code
and seconds; `kill` sends SIGKILL. The log goes to a file (for people) and is read back as parsed lines.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from desist.kube.connection import Connection
from hack.cluster.home import home
from tests.support import sight
from tests.support.apiproxy import ApiProxy

REPOSITORY = Path(__file__).parents[2]
Line = dict[str, Any]


DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
"""A run of the tests that is killed leaves no operator behind: it would act on every execution of the next one."""


def fresh_log(module: str) -> Path:
    """Where the operator of a test module logs, and keeps what it was started with; nothing is there yet.

    By the module's whole name: two of one name in two folders may run side by side, and each operator that is started
    again reads whose namespaces it sees from there.
    """
    log = home().log(f"operator-{module.removeprefix('tests.cluster.')}")
    log.unlink(missing_ok=True)
    return log


class OperatorProcess:
    """One operator process at a time; `start` may be called again after `stop` or `kill`."""

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        environment: Mapping[str, str] | None = None,
        module: Sequence[str] = ("desist.controller",),
    ) -> None:
        self._kubeconfig = kubeconfig
        self._module = module
        self._log = log
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[str] | None = None
        self._lines: list[Line] = []
        self._first = 0
        self._news = threading.Condition()
        self._proxy: ApiProxy | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def lines(self, fits: Callable[[Line], bool] = lambda _: True) -> list[Line]:
        """The log so far, of all starts."""
        with self._news:
            return [line for line in self._lines if fits(line)]

    def launch(self) -> None:
        """Start the process without waiting for anything."""
        assert not self.alive
        self._first = len(self.lines())
        self._process = subprocess.Popen(
            [*DIES_WITH_US, sys.executable, "-m", *self._module],
            cwd=REPOSITORY,
            env=self._full_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def start(self, seconds: float = 60) -> None:
        """Start the process and wait until it is ready."""
        self.launch()
        self.wait_for_line("ready", seconds)

    def wait_for_line(self, wanted: str | Callable[[Line], bool], seconds: float) -> Line:
        """The first line of this start with that text in its message, or that fits. Fails if the process ends."""
        fits = (lambda line: wanted in line["message"]) if isinstance(wanted, str) else wanted
        end = time.monotonic() + seconds
        with self._news:
            while True:
                found = next((line for line in self._lines[self._first :] if fits(line)), None)
                if found is not None:
                    return found
                left = end - time.monotonic()
                if left <= 0 or not self.alive:
                    tail = "\n".join(str(line) for line in self._lines[-20:])
                    raise AssertionError(f"the operator did not log {wanted!r} (alive: {self.alive}):\n{tail}")
                self._news.wait(min(left, 1))

    def stop(self, seconds: float = 30) -> tuple[int, float]:
        """SIGTERM; gives the exit code and how many seconds it took."""
        assert self._process is not None
        begun = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(seconds)
        return code, time.monotonic() - begun

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self._process is not None and self.alive:
            self._process.kill()
            self._process.wait(10)

    def wait(self, seconds: float) -> int:
        """Wait for its end; gives the exit code."""
        assert self._process is not None
        code = self._process.wait(seconds)
        self._reader.join(seconds)
        return code

    def probe_port(self) -> int:
        """The port that it says its probes are on."""
        found = re.search(r":(\d+)/livez", self.wait_for_line("probes: ", 60)["message"])
        assert found is not None
        return int(found[1])

    def wait_for_probe(self, path: str, status: int, seconds: float) -> None:
        """Until the probe answers so; asked again and again, as the kubelet does."""
        end = time.monotonic() + seconds
        while (said := self.probe(path))[0] != status:
            assert time.monotonic() < end, f"{path} still says {said} after {seconds} s"
            time.sleep(0.2)

    def probe(self, path: str) -> tuple[int, str]:
        """Status and text of /livez or /readyz; (0, why) where nobody answers."""
        port = self.probe_port()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def _sighted(self) -> Path:
        """Credentials through which it does not see other workers' tests; a test's own proxy sees to that itself."""
        seen = sight.mine()
        if seen is None or self._kubeconfig != home().kubeconfig:
            return self._kubeconfig
        if self._proxy is None:
            # Its thread is a daemon: it ends with this process, and another start of the operator finds it.
            self._proxy = ApiProxy(Connection.from_kubeconfig(self._kubeconfig), seen).__enter__()
        return self._proxy.kubeconfig(self._log.with_suffix(".kubeconfig"))

    def _full_environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DESIST_")}
        return {
            **kept,
            "KUBECONFIG": str(self._sighted()),
            "PYTHONPATH": str(REPOSITORY / "operator"),
            "DESIST_PROBE_HOST": "127.0.0.1",
            "DESIST_PROBE_PORT": "0",
            "DESIST_LOG_FORMAT": "Json",
            "DESIST_LOG_LEVEL": "DEBUG",
            **self._environment,
        }

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with self._log.open("a") as log:
            for text in process.stderr:
                log.write(text)
                log.flush()
                with self._news:
                    self._lines.append(parsed(text))
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()


def parsed(text: str) -> Line:
    """A log line: JSON, or raw text as a message."""
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    return line if isinstance(line, dict) and "message" in line else {"message": text.rstrip("\n"), "level": "raw"}
