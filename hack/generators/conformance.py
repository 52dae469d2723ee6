"""Writes docs/conformance.md: every behaviour, and the tests that prove it, from the tests' own marks.

Contract: reads `@pytest.mark.conformance("A1", ...)` from the syntax trees of tests/ (nothing is imported or run), on
functions, classes and modules (`pytestmark`). A mark that names an unknown row is an error. A row without a test says
"not yet".
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from hack.generators.committed import ROOT, write_or_check

ROWS = Path(__file__).with_name("conformance_rows.tsv")
TARGET = ROOT / "docs" / "conformance.md"
HEAD = """# Conformance

Each row is one behaviour that Desist promises. The tests named beside it prove it; rows without one say "not yet".
Tests below `tests/cluster` run on a real cluster, those below `tests/unit` prove what is pure logic.
This page is generated from the marks in the tests by `make generate`.
"""


def main() -> None:
    """Write the page, or check that it is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the page is current")
    write_or_check({TARGET: page()}, check=parser.parse_args().check)


def page() -> str:
    """The page's text."""
    tests = _tests_by_row()
    known = {row for _, rows in _groups() for row, _ in rows}
    if unknown := sorted(set(tests) - known):
        sys.exit(f"conformance marks name unknown rows: {', '.join(unknown)}")
    return "\n".join([HEAD, *(_table(title, rows, tests) for title, rows in _groups())])


def _table(title: str, rows: list[tuple[str, str]], tests: dict[str, set[str]]) -> str:
    lines = [f"## {title}", "", "| # | behaviour | proved by |", "|---|---|---|"]
    for row, behaviour in rows:
        proof = "<br>".join(f"`{test}`" for test in sorted(tests.get(row, ()))) or "not yet"
        lines.append(f"| {row} | {behaviour} | {proof} |")
    return "\n".join([*lines, ""])


def _groups() -> list[tuple[str, list[tuple[str, str]]]]:
    groups: list[tuple[str, list[tuple[str, str]]]] = []
    for line in ROWS.read_text().splitlines()[1:]:
        if line.startswith("# "):
            groups.append((line[2:], []))
        elif line:
            row, behaviour = line.split("\t")
            groups[-1][1].append((row, behaviour))
    return groups


def _tests_by_row() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name = str(path.relative_to(ROOT / "tests"))
        for test, row in _marks(ast.parse(path.read_text(), str(path))):
            found[row].add(f"{name}::{test}" if test else name)
    return found


def _marks(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                yield from ((node.name, row) for row in _rows(decorator))
        elif isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets
        ):
            for call in ast.walk(node.value):
                yield from (("", row) for row in _rows(call))


def _rows(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "conformance":
        for argument in node.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value


if __name__ == "__main__":
    main()
