"""Runs a command and keeps how long it took, so that `make figures` can quote it.

Contract: `python -m hack.timing [--since SECONDS] NAME COMMAND...` runs the command with this process's streams, adds a
line to `times.jsonl` in the state folder (name, seconds, warm or cold, exit code) and exits with the command's code.
Time counts from `--since` (as `date +%s` has it), so that a caller's own preparation can be in it. It prints nothing:
what the command printed last stays last. Without arguments it prints the last times of each command and the size of
the state folder.
Cold is what meets nothing made before: for `check`, which needs only .venv, that .venv was made since then; for others,
that under this state folder no cluster was ever created, which is begun when all programs and images are there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path(os.environ.get("DESIST_HOME") or Path.home() / ".cache" / "desist")
TIMES = HOME / "times.jsonl"
VENV = Path(__file__).parent.parent / ".venv" / "pyvenv.cfg"
# Written before a cluster is created, and kept when it is deleted.
CLUSTER = HOME / "cluster" / "kind.yaml"


def main() -> None:
    """Run and record; without arguments, report."""
    if len(sys.argv) == 1:
        return report()
    parser = argparse.ArgumentParser(prog="python -m hack.timing", description=__doc__)
    parser.add_argument("--since", type=int, default=int(time.time()), help="when it began (default: now)")
    parser.add_argument("name")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    was_warm = warm(given.name, given.since)
    before = time.time() - given.since
    began = time.monotonic()
    try:
        code = subprocess.call(given.command)
    except KeyboardInterrupt:
        code = 130
    HOME.mkdir(parents=True, exist_ok=True)
    seconds = round(before + time.monotonic() - began, 1)
    line = {"name": given.name, "seconds": seconds, "warm": was_warm, "exitCode": code}
    with TIMES.open("a") as times:
        times.write(json.dumps(line) + "\n")
    sys.exit(code)


def warm(name: str, since: float) -> bool:
    """Whether the command finds what an earlier one made."""
    if name == "check":
        return VENV.exists() and VENV.stat().st_mtime < since
    return CLUSTER.exists()


def report() -> None:
    """Print the last times, and how much disk the state folder takes."""
    for name, entry in sorted(latest().items()):
        minutes, seconds = divmod(round(entry["seconds"]), 60)
        print(f"make {name:<12} {minutes:3} min {seconds:02} s")
    used = subprocess.run(["du", "--summarize", "--block-size=G", HOME], capture_output=True, text=True, check=False)
    size = used.stdout.split()[0].removesuffix("G")
    print(f"state folder      {size} GB: Go's caches, programs, images, the engine's data")


def latest() -> dict[str, dict[str, Any]]:
    """The last successful line for each name, cold and warm apart ("test, warm")."""
    found: dict[str, dict[str, Any]] = {}
    for line in TIMES.read_text().splitlines() if TIMES.exists() else ():
        entry = json.loads(line)
        if entry["exitCode"] == 0:
            found[f"{entry['name']}, {'warm' if entry['warm'] else 'cold'}"] = entry
    return found


if __name__ == "__main__":
    main()
