"""The operator as its image has it, for benches: `python -m hack.bench.shipped [PROFILE]`, from any checkout's sources.

Contract: what the image has not is not there: the official client, which the tests need, and which kopf imports where
it finds it. With PROFILE, a file: from a SIGUSR1 until a SIGUSR2 all calls of functions are counted and timed
by the processor time of the process, and written there. Imports nothing of the operator's itself, so that it fits any
checkout.
"""

from __future__ import annotations

import cProfile
import runpy
import signal
import sys
import time

ABSENT = ("kubernetes", "pykube")


def main() -> None:
    """Run it."""
    for name in ABSENT:
        sys.modules[name] = None  # type: ignore[assignment]
    if len(sys.argv) > 1:
        _profile(sys.argv[1])
    sys.argv = ["desist.controller"]
    runpy.run_module("desist.controller", run_name="__main__", alter_sys=True)


def _profile(file: str) -> None:
    profile = cProfile.Profile(time.process_time)

    def end(*_: object) -> None:
        profile.disable()
        profile.dump_stats(file)

    signal.signal(signal.SIGUSR1, lambda *_: profile.enable())
    signal.signal(signal.SIGUSR2, end)


if __name__ == "__main__":
    main()
