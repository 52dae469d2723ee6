"""Shows that long steps move: elapsed time and what is left while they run, one line with the time when they end.

Contract: `Progress(total)` numbers the steps; `with progress.step(name) as step` shows one; `step.say()` tells what it
does now, `step.watch()` counts lines of a log against an estimate, `step.result()` sets the words of its last line,
`step.note()` adds lines to it.
On a terminal one line is rewritten; elsewhere a plain line comes every 20 s. Output goes to standard error, so that
`status --output json` stays clean. A progress bar was rejected: the estimates are upper bounds, not shares of time.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.status import Status

PLAIN_INTERVAL = 20.0
TERMINAL_INTERVAL = 0.5


class Step:
    """One numbered step. Safe to use from the thread that runs it while another shows it."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.outcome = "done"
        self.notes: list[str] = []
        self._began = time.monotonic()
        self._doing = ""
        self._part = ""
        self._log: tuple[Path, int, str] | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._began

    def say(self, doing: str) -> None:
        """What the step does now."""
        self._doing, self._log = doing, None

    def part(self, number: int, total: int) -> None:
        """Which of the step's parts this is, so that one sees what is left."""
        self._part = f"part {number} of {total}"

    def watch(self, log: Path, at_most: int, unit: str) -> None:
        """Count the lines of `log` from now on, against an upper bound of `at_most` of `unit`."""
        self._log = (log, at_most, unit)

    def result(self, outcome: str) -> None:
        """The words of the step's last line."""
        self.outcome = outcome

    def note(self, words: str) -> None:
        """A line of its own when the step ends, also if it fails."""
        self.notes.append(words)

    def line(self) -> str:
        """The state in one line."""
        words = [self._part, self._doing, self._counted(), f"{self.seconds:.0f} s"]
        return f"{self.label}: " + ", ".join(word for word in words if word)

    def _counted(self) -> str:
        if self._log is None:
            return ""
        log, at_most, unit = self._log
        count = log.read_bytes().count(b"\n") if log.exists() else 0
        return f"{count} of at most {max(at_most, count)} {unit}"


class Progress:
    """Numbers and shows the steps of one command."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._console = Console(stderr=True, highlight=False)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show the step `name` while the block runs; its last line has the time it took, also when it fails."""
        self._done += 1
        step = Step(f"[{self._done}/{self._total}] {name}")
        try:
            with _shown(self._console, step):
                yield step
        except BaseException:
            self._print(f"{step.label}: failed after {step.seconds:.1f} s", step.notes)
            raise
        self._print(f"{step.label}: {step.outcome} ({step.seconds:.1f} s)", step.notes)

    def _print(self, line: str, notes: list[str]) -> None:
        print("\n    ".join([line, *notes]), file=sys.stderr, flush=True)


@contextmanager
def _shown(console: Console, step: Step) -> Iterator[None]:
    ended = threading.Event()
    status = console.status("") if console.is_terminal else None
    shower = threading.Thread(target=_show, args=(step, status, ended), daemon=True)
    if status:
        status.start()
    shower.start()
    try:
        yield
    finally:
        ended.set()
        shower.join()
        if status:
            status.stop()


def _show(step: Step, status: Status | None, ended: threading.Event) -> None:
    while not ended.wait(TERMINAL_INTERVAL if status else PLAIN_INTERVAL):
        if status:
            status.update(step.line().replace("[", r"\["))
        else:
            print(f"  ... {step.line()}", file=sys.stderr, flush=True)
