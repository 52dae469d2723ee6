"""The programs that tests run, each told by its name; every one carries a marker in its arguments.

Contract: `command(source)` is what a template's container gets; the marker is the last argument, so that /proc of the
node can be asked whether anything of it still lives.
"""

from __future__ import annotations

from hack.cluster.api import WORKLOAD as WORKLOAD

WORKS = """
import sys, time
print("started", flush=True)
time.sleep(3600)
"""
"""Runs on; the stop signal ends it as it ends any program."""

POLITE = """
import signal, sys, time
def stop(number, frame):
    print("cleaned up", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("started", flush=True)
while True:
    time.sleep(3600)
"""
"""Cleans up on SIGTERM and exits with code 0."""

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("heard, and ignored", flush=True))
print("started", flush=True)
while True:
    time.sleep(3600)
"""
"""Hears SIGTERM and goes on."""

ENDS_WHEN_ASKED = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: print("heard, and ignored", flush=True))
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))
print("started", flush=True)
while True:
    time.sleep(3600)
"""
"""Hears SIGTERM and goes on; exits with code 0 on SIGUSR1, by which a test ends it without any stop."""

FINISHES = """
import sys
print("done", flush=True)
"""
"""Ends at once, exit code 0."""

FAILS = """
import sys
print("failing", flush=True)
sys.exit(7)
"""
"""Ends at once, exit code 7."""


def command(source: str, marker: str) -> list[str]:
    """The container's command for one of the programs above."""
    return ["python3", "-u", "-c", source, marker]
