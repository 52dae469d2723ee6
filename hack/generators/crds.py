"""Write the CRDs from the models: `python -m hack.generators.crds`, or `--check` to say what is stale.

Contract: `crds/` is for people who install without Helm; the chart carries byte-identical copies, because a chart
cannot read files outside of its own folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from desist.api.crds import files

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT / "crds", ROOT / "charts" / "desist" / "files" / "crds")


def stale() -> Iterator[tuple[Path, str]]:
    """Each file that is missing or differs, with the text that it should have."""
    for folder in FOLDERS:
        for name, text in files().items():
            path = folder / name
            if not path.is_file() or path.read_text() != text:
                yield path, text


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hack.generators.crds", description="Write the CRDs.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    check = parser.parse_args().check
    found = list(stale())
    for path, text in found:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        print(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main())
