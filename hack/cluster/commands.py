"""Runs programs: their output goes to a log or comes back as text, and a failure names program, log and last lines.

Contract: `run()` raises ClusterError unless the exit code is 0, and that error always names a log: the given one, or
<home>/logs/<program>-failed.log with the last failure's output. `answer()` returns None instead and keeps no log.
Neither uses a shell. A program does not outlive the process that runs it, unless `How.outlives` says so.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hack.cluster.errors import ClusterError
from hack.cluster.home import home

LINES_SHOWN = 8
PR_SET_PDEATHSIG = 1
# Loaded before any fork: a child must not load libraries while threads of its parent hold locks.
_LIBC = ctypes.CDLL(None)


@dataclass(frozen=True)
class How:
    """How a program is run: extra environment, log file (appended), standard input (text or a file), limit, folder.

    `outlives` lets it go on when this process is killed: for a package manager, which must not be stopped midway.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    stdin: str | Path | None = None
    seconds: float | None = None
    folder: Path | None = None
    outlives: bool = False


class Failed(Exception):
    """A program could not be run, failed or took too long: what to say of it, and what it printed."""

    def __init__(self, words: str, output: str = "") -> None:
        super().__init__(words)
        self.words = words
        self.output = output


def run(arguments: Sequence[str | Path], how: How | None = None) -> str:
    """Standard output of a program ("" if it went to a log). Raises ClusterError if it fails or takes too long."""
    how = how or How()
    command = [str(argument) for argument in arguments]
    try:
        return _checked(command, how)
    except Failed as failed:
        log = how.log or _kept(command, failed)
        lines = [failed.words, *_last_lines(failed.output)]
        raise ClusterError("\n".join(lines), log=log) from None


def answer(arguments: Sequence[str | Path], how: How | None = None) -> str | None:
    """Standard output of a program, None if it cannot be run, fails or takes too long."""
    try:
        return _checked([str(argument) for argument in arguments], how or How())
    except Failed:
        return None


def _checked(command: list[str], how: How) -> str:
    try:
        done = _execute(command, how)
    except FileNotFoundError:
        raise Failed(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"`{_short(command)}` took more than {how.seconds:.0f} s") from None
    if done.returncode != 0:
        output = how.log.read_text(errors="replace") if how.log else f"{done.stdout}{done.stderr}"
        raise Failed(f"`{_short(command)}` failed with exit code {done.returncode}", output)
    return done.stdout or ""


def _execute(command: list[str], how: How) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **how.env}
    text = how.stdin if isinstance(how.stdin, str) else None
    source = how.stdin.open("rb") if isinstance(how.stdin, Path) else None
    sink = how.log.open("a") if how.log else None
    try:
        return subprocess.run(
            command,
            env=environment,
            cwd=how.folder,
            timeout=how.seconds,
            text=True,
            errors="replace",
            check=False,
            stdout=sink or subprocess.PIPE,
            stderr=subprocess.STDOUT if sink else subprocess.PIPE,
            preexec_fn=None if how.outlives else _end_with_parent,
            **({"input": text} if text is not None else {"stdin": source or subprocess.DEVNULL}),
        )
    finally:
        for file in (source, sink):
            if file:
                file.close()


def _end_with_parent() -> None:
    """In the child, before its program: the kernel kills it when its parent ends, by SIGKILL too.

    "Parent" is the thread that forked. That fits here, since this thread waits for the program; a program begun in one
    thread and waited for in another would die with the first.
    """
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _kept(command: list[str], failed: Failed) -> Path:
    log = home().log(f"{Path(command[0]).name}-failed")
    log.write_text(f"$ {' '.join(command)}\n{failed.words}\n{failed.output}")
    return log


def _short(command: list[str]) -> str:
    words = " ".join(command)
    return words if len(words) <= 160 else words[:157] + "..."


def _last_lines(output: str) -> list[str]:
    return [f"    {line}" for line in output.strip().splitlines()[-LINES_SHOWN:]]
