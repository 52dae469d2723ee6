"""How the demo looks: a live table while it runs, and each story in full at the end.

Contract: colours come from the terminal's own palette, so that light and dark backgrounds both work; without a
terminal plain text is printed. Nothing is decided here.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from hack.demo.story import Story

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
    table = Table(title=f"Desist: eight runs, stopped in every way   {now:5.1f} s", title_justify="left", expand=False)
    for column in ("execution", "the program", "phase", "for", "processes", "last patch"):
        table.add_column(column)
    for story in stories:
        since = story.phases[-1][0] if story.phases else story.created
        patch = story.scenario.patches[len(story.patches) - 1] if story.patches else None
        table.add_row(
            story.scenario.execution,
            story.scenario.title,
            Text(story.phase, style=STYLES.get(story.phase, "")),
            f"{now - since:.1f} s" if not story.closed else "",
            _processes(story),
            dict(patch.cancellation)["mode"] if patch else "",
        )
    return table


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
    phases = " → ".join(f"{phase} ({at:.1f} s)" for at, phase in story.phases)
    details = [Text(f"  phases    {phases}"), Text(f"  ended     {_end(status)}"), Text("  history")]
    history = [Text(f"    {_entry(entry)}") for entry in status.get("history", [])]
    return Group(head, *lines, *details, *history, _proof(story))


def _end(status: dict[str, Any]) -> str:
    process: dict[str, Any] = next(iter(status.get("processes", [])), {})
    signal = f", signal {process['signal']}" if process.get("signal") else ""
    code = f"exit code {process['exitCode']}{signal}" if "exitCode" in process else "no process was ever started"
    result = f", result {status['result']}" if "result" in status else ""
    return f"{status.get('closedReason', 'still open')}; {code}{result}"


def _entry(entry: dict[str, Any]) -> str:
    reason = f"  “{entry['reason']}”" if entry.get("reason") else ""
    command = f"  command …{entry['commandId'][-6:]}" if entry.get("commandId") else ""
    return f"{entry['seq']:>2}  {entry['time'][11:23]}  {entry['type']}{command}{reason}"


def _proof(story: Story) -> Text:
    if not story.proven:
        return Text(f"  proof     {story.processes} processes still there", style="bold red")
    first, last = story.checks[0][0], story.checks[-1][0]
    most = f"up to {story.seen_processes} processes" if story.seen_processes else "no process"
    return Text(
        f"  proof     {most} with “{story.scenario.marker}” in their arguments seen on the nodes before,\n"
        f"            none in any node's process table from {first:.1f} s to {last:.1f} s",
        style="green",
    )
