"""Writes generated files, or says that they are stale.

Contract: a generator gives a map of path to text; with `--check` nothing is written and the process exits with 1 and
the command to run when a file differs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def write_or_check(files: Mapping[Path, str], *, check: bool) -> None:
    """Write each file that differs; with `check` exit with 1 instead.

    Args:
        files: paths below the checkout, and the text that belongs there.
        check: only compare.
    """
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if check:
        if stale:
            names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
            sys.exit(f"stale generated files: {names}; run `make generate` and commit the result")
        return
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path])
        print(f"wrote {path.relative_to(ROOT)}")
