"""`python -m tests.unit.fuzz --count 100000`: random objects through readers, decisions and the check of their writes.

Prints the seed and the count; with the same seed the same objects come. A case that fails is printed with its number,
with which `--only` runs it alone; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import collections
import secrets
import time
import traceback

from tests.unit.fuzz.cases import run

SHOWN = 20
"""Kinds of failures that are printed."""


def main() -> int:
    """Run the cases; the exit code is 1 where one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.unit.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--only", type=int, help="the number of the one case to run, with its traceback")
    chosen = parser.parse_args()
    if chosen.only is not None:
        run(chosen.seed, chosen.only)
        return 0
    return _report(chosen.seed, chosen.count)


def _report(seed: int, count: int) -> int:
    since = time.monotonic()
    failed: dict[str, list[int]] = collections.defaultdict(list)
    for index in range(count):
        try:
            run(seed, index)
        except Exception as error:
            failed[_kind(error)].append(index)
    seconds, failures = time.monotonic() - since, sum(map(len, failed.values()))
    print(f"fuzz: seed {seed}, {count:,} objects, {failures} failed, {seconds:.0f} s")
    for kind, indexes in sorted(failed.items(), key=lambda item: -len(item[1]))[:SHOWN]:
        print(f"{len(indexes):6} times, first case {indexes[0]}: {kind}")
    return 1 if failures else 0


def _kind(error: Exception) -> str:
    """Type, place and the beginning of the message: what fails alike is counted together."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = str(error).replace("\n", " ")
    return f"{type(error).__name__} at {frame.filename.rpartition('/')[2]}:{frame.lineno}: {text[:200]}"


if __name__ == "__main__":
    raise SystemExit(main())
