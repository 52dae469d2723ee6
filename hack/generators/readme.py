"""Fills the README's captured parts: what the demo printed, what was measured, what the commands cost.

Contract: `python -m hack.generators.readme PART < OUTPUT` replaces the text between the markers of that name by its
standard input, as a block of code. Nobody edits what is between the markers by hand. The captured runs are those of
`make demo ARGS=--plain`, `make figures` (`fanout` is its part `operations`), `make bench-latency` (`latency`) and
`python -m hack.timing` (`costs`).
"""

from __future__ import annotations

import argparse
import re
import sys

from hack.generators.committed import ROOT

README = ROOT / "README.md"


def main() -> None:
    """Replace one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("demo", "figures", "fanout", "latency", "costs"))
    part = parser.parse_args().part
    block = f"<!-- {part} -->\n```text\n{sys.stdin.read().strip()}\n```\n<!-- /{part} -->"
    text, count = re.subn(rf"<!-- {part} -->.*?<!-- /{part} -->", lambda _: block, README.read_text(), flags=re.DOTALL)
    if count != 1:
        sys.exit(f"README.md has {count} parts named {part}; there must be one")
    README.write_text(text)


if __name__ == "__main__":
    main()
