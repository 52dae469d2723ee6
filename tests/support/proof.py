"""Proof from the node: which processes with a marker in their arguments are alive, read from the nodes' /proc.

Contract: nothing that Kubernetes says counts here. `gone_for_good` looks twice, some seconds apart, because what is
dead must stay dead; of several markers all are looked for, and then all again, so that the wait is made once.
"""

from __future__ import annotations

import time

from hack.cluster.api import Process, processes_with

STAYS_DEAD_SECONDS = 3.0
LOOK_SECONDS = 0.2


def processes(marker: str) -> list[Process]:
    """Every live process in a node with the marker in its arguments, the launcher's own included."""
    return [process for process in processes_with(marker) if process.state not in "ZX"]


def workflow_processes(marker: str) -> list[Process]:
    """The same, without the launcher: what the template's command has become."""
    return [process for process in processes(marker) if "desist-launcher" not in process.arguments[0]]


def wait_until_started(marker: str, seconds: float = 60) -> None:
    """Until the template's command runs: Running means that its launcher does, which waits before a late start."""
    end = time.monotonic() + seconds
    while not workflow_processes(marker):
        assert time.monotonic() < end, f"no process of {marker} after {seconds} s"
        time.sleep(LOOK_SECONDS)  # the same


def wait_until_gone(marker: str, seconds: float = 60) -> None:
    """Until nothing of it lives: for what ends with nobody in the API to say so. Fails with what still lives."""
    end = time.monotonic() + seconds
    while left := processes(marker):
        assert time.monotonic() < end, f"alive after {seconds} s: {left}"
        time.sleep(LOOK_SECONDS)  # no event tells of a process's end


def gone_for_good(marker: str, *others: str) -> bool:
    """Whether nothing of any of them lives, now and some seconds later."""
    return not alive_now_or_later(marker, *others)


def alive_now_or_later(*markers: str) -> list[str]:
    """Those of which something lives, now or some seconds later."""
    now = {marker for marker in markers if processes(marker)}
    if len(now) == len(markers):
        return [*markers]
    time.sleep(STAYS_DEAD_SECONDS)  # that nothing happens cannot be watched for
    return [marker for marker in markers if marker in now or processes(marker)]
