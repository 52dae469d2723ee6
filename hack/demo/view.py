"""How the demo looks: a live table while it runs, and each story in full at the end.

Contract: colours come from the terminal's own palette, so that light and dark backgrounds both work; without a
terminal plain text is printed. Nothing is decided here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from hack.demo.story import OperationStory, Phases, Story

TOLD_APART = 6
"""So many of a kind have a line each."""

STYLES = {
    "Running": "green",
    "Cancelling": "yellow",
    "ForceCancelling": "yellow",
    "Terminating": "yellow",
    "KillCancelling": "yellow",
    "Succeeded": "bold green",
    "Cancelled": "bold cyan",
    "Terminated": "bold magenta",
    "Failed": "bold red",
    "TimedOut": "bold red",
}


def live(stories: list[Story], now: float) -> RenderableType:
    """The table of all executions as they are now."""
    title = f"Desist: {len(stories)} runs, stopped in every way   {now:5.1f} s"
    table = Table(title=title, title_justify="left", expand=False)
    for column in ("execution", "the program", "phase", "for", "operations", "processes", "last patch"):
        table.add_column(column)
    for story in stories:
        since = story.phases.seen[-1][0] if story.phases.seen else story.created or now
        patch = story.scenario.patches[len(story.patches) - 1] if story.patches else None
        table.add_row(
            story.scenario.execution,
            story.scenario.title,
            Text(story.phase, style=STYLES.get(story.phase, "")),
            f"{now - since:.1f} s" if not story.closed else "",
            _operations(story),
            _processes(story),
            patch.mode if patch else "",
        )
    return table


def _operations(story: Story) -> str:
    phases = Counter(one.phases.last or "asked for" for one in list(story.operations.values()))
    return ", ".join(f"{count} {phase}" for phase, count in phases.most_common())


def _processes(story: Story) -> str:
    if not story.proven:
        return str(story.processes)
    return "gone, proven" if story.seen_processes else "there were none"


def report(console: Console, stories: list[Story]) -> None:
    """Print each story in full."""
    for story in stories:
        console.print()
        console.print(_told(story), soft_wrap=True)


def _told(story: Story) -> RenderableType:
    status = story.status
    head = Text(f"{story.scenario.execution}: {story.scenario.title}", style="bold")
    lines = [Text(f"  at {at:5.1f} s  $ {command}") for at, command in story.patches]
    details = [Text(f"  phases    {_path(story.phases)}"), Text(f"  ended     {_end(status)}"), Text("  history")]
    history = [Text(f"    {line}") for line in _history(status.get("history", []))]
    return Group(head, *lines, *details, *history, *_told_of_operations(story), _proof(story))


def _path(phases: Phases) -> str:
    return " → ".join(f"{phase} ({at:.1f} s)" for at, phase in phases.seen)


def _end(status: dict[str, Any]) -> str:
    process: dict[str, Any] = next(iter(status.get("processes", [])), {})
    signal = f", signal {process['signal']}" if process.get("signal") else ""
    code = f"exit code {process['exitCode']}{signal}" if "exitCode" in process else "no process was ever started"
    result = f", result {status['result']}" if "result" in status else ""
    return f"{status.get('closedReason', 'still open')}; {code}{result}"


def _history(entries: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each entry; many of one type in a row make one line."""
    for _, group in groupby(entries, key=lambda entry: entry["type"]):
        found = list(group)
        if len(found) > TOLD_APART:
            first, last = found[0], found[-1]
            yield f"{first['seq']:>2}  {first['time'][11:23]}  {first['type']}, and so on to {last['seq']}"
        else:
            yield from map(_entry, found)


def _entry(entry: dict[str, Any]) -> str:
    operation = f"  {entry['operation']}" if entry.get("operation") else ""
    reason = f"  “{entry['reason']}”" if entry.get("reason") else ""
    command = f"  command …{entry['commandId'][-6:]}" if entry.get("commandId") else ""
    return f"{entry['seq']:>2}  {entry['time'][11:23]}  {entry['type']}{operation}{command}{reason}"


def _told_of_operations(story: Story) -> Iterator[Text]:
    """What became of its operations: a line for each, or for all that passed the same phases where they are many."""
    if not story.operations:
        return
    yield Text("  operations")
    if len(story.operations) > TOLD_APART:
        yield from _counted(story.operations.values())
    else:
        for key, one in story.operations.items():
            yield Text(f"    {key:<12}  {_path(one.phases)}{f', on {one.node}' if one.node else ''}")
    if story.left_over:
        yield Text(f"    left over by the run, until the Kill: {_by_node(story.left_over)}")


def _counted(operations: Iterable[OperationStory]) -> Iterator[Text]:
    groups: dict[str, list[str]] = {}
    for one in operations:
        groups.setdefault(" → ".join(phase for _, phase in one.phases.seen), []).append(one.node or "no node")
    for told, nodes in groups.items():
        where = ", ".join(f"{count} on {node}" for node, count in sorted(Counter(nodes).items()))
        yield Text(f"    {f'{len(nodes)} times':<12}  {told}; {where}")


def _by_node(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} processes on {node}" for node, count in sorted(counts.items()))


def _proof(story: Story) -> Text:
    if not story.proven:
        return Text(f"  proof     {story.processes} processes still there", style="bold red")
    first, last = story.checks[0][0], story.checks[-1][0]
    most = f"up to {_by_node(story.seen_on)}" if story.seen_processes else "no process"
    return Text(
        f"  proof     {most} with “{story.scenario.marker}” in their arguments seen before,\n"
        f"            none in any node's process table from {first:.1f} s to {last:.1f} s",
        style="green",
    )
