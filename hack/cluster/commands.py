"""Runs programs: their output goes to a log or comes back as text, and a failure names program, log and last lines.

Contract: `run()` raises ClusterError unless the exit code is 0; `answer()` returns None instead. Neither uses a shell.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hack.cluster.errors import ClusterError

LINES_SHOWN = 8


@dataclass(frozen=True)
class How:
    """How a program is run: extra environment, log file (appended), standard input (text or a file), limit, folder."""

    env: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    stdin: str | Path | None = None
    seconds: float | None = None
    folder: Path | None = None


def run(arguments: Sequence[str | Path], how: How | None = None) -> str:
    """Standard output of a program ("" if it went to a log). Raises ClusterError if it fails or takes too long."""
    how = how or How()
    command = [str(argument) for argument in arguments]
    try:
        done = _execute(command, how)
    except FileNotFoundError:
        raise ClusterError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise ClusterError(f"`{_short(command)}` took more than {how.seconds:.0f} s", log=how.log) from None
    if done.returncode != 0:
        words = _last_lines(how.log.read_text(errors="replace") if how.log else done.stderr)
        raise ClusterError(f"`{_short(command)}` failed with exit code {done.returncode}\n{words}", log=how.log)
    return done.stdout or ""


def answer(arguments: Sequence[str | Path], how: How | None = None) -> str | None:
    """Standard output of a program, None if it cannot be run, fails or takes too long."""
    try:
        return run(arguments, how)
    except ClusterError:
        return None


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
            **({"input": text} if text is not None else {"stdin": source or subprocess.DEVNULL}),
        )
    finally:
        for file in (source, sink):
            if file:
                file.close()


def _short(command: list[str]) -> str:
    words = " ".join(command)
    return words if len(words) <= 160 else words[:157] + "..."


def _last_lines(output: str) -> str:
    return "\n".join(f"    {line}" for line in output.strip().splitlines()[-LINES_SHOWN:])
