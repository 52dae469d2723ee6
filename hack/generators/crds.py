"""Write the CRDs from the models: `python -m hack.generators.crds`, or `--check` to say what is stale.

Contract: `crds/` is for people who install without Helm; the chart carries byte-identical copies, because a chart
cannot read files outside of its own folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from desist.api.crds import files
from hack.generators.committed import ROOT, write_or_check

FOLDERS = (ROOT / "crds", ROOT / "charts" / "desist" / "files" / "crds")


def committed() -> dict[Path, str]:
    """Path to text, for every file that this generator owns."""
    return {folder / name: text for folder in FOLDERS for name, text in files().items()}


def main() -> None:
    """Write the files, or check that they are current."""
    parser = argparse.ArgumentParser(prog="python -m hack.generators.crds", description="Write the CRDs.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    write_or_check(committed(), check=parser.parse_args().check)


if __name__ == "__main__":
    main()
