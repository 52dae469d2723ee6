"""Runs a command and keeps how long it took, so that `make figures` can quote it.

Contract: `python -m hack.timing NAME COMMAND...` runs the command with this process's streams, adds a line to
`times.jsonl` in the state folder (name, seconds, whether anything had been built before, exit code) and exits with the
command's code. It prints nothing: what the command printed last stays last. Without arguments it prints the last
times of each command and the size of the state folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path(os.environ.get("DESIST_HOME", Path.home() / ".cache" / "desist"))
TIMES = HOME / "times.jsonl"


def main() -> None:
    """Run and record; without arguments, report."""
    if len(sys.argv) == 1:
        return report()
    name, *command = sys.argv[1:]
    warm = (HOME / "kubeconfig").exists()
    began = time.monotonic()
    code = subprocess.call(command)
    HOME.mkdir(parents=True, exist_ok=True)
    line = {"name": name, "seconds": round(time.monotonic() - began, 1), "warm": warm, "exitCode": code}
    with TIMES.open("a") as times:
        times.write(json.dumps(line) + "\n")
    sys.exit(code)


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
