"""The demo's command line: brings everything up, runs the scenarios, tells what happened.

Contract: can be run again and again; leaves cluster, release and executions for the user to look at. Holds the
cluster's lock from beginning to end (the programs that it runs inherit it). Exits with 1 where an execution did not end
as its scenario says, and after an error, which is told in a line.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from rich.console import Console
from rich.live import Live

from hack.cluster.api import ClusterError, cluster_lock, shell_line
from hack.demo.scenarios import SCENARIOS
from hack.demo.stage import NAMESPACE, Stage
from hack.demo.view import live, report


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--plain", action="store_true", help="no live view: table and reports at the end")
    parser.add_argument("--no-setup", action="store_true", help="the cluster is up and the chart installed already")
    options = parser.parse_args()
    console = Console(highlight=False)
    try:
        with cluster_lock():
            if not options.no_setup:
                set_up()
            sys.exit(perform(console, plain=options.plain or not console.is_terminal))
    except subprocess.CalledProcessError as error:
        # The program said why.
        sys.exit(f"error: `{' '.join(error.cmd[1:])}` failed")
    except (ClusterError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted; the same command begins anew", file=sys.stderr)
        sys.exit(130)


def set_up() -> None:
    """Cluster, workload images, release. Raises CalledProcessError where one of them fails."""
    for step in (["hack.cluster", "up"], ["hack.cluster", "images"], ["hack.image", "install"]):
        subprocess.run([sys.executable, "-m", *step], check=True)


def perform(console: Console, *, plain: bool) -> int:
    """Run all scenarios at once; 0 where each ended as it should."""
    stage = Stage(SCENARIOS)
    console.print(f"Making the namespace {NAMESPACE} and removing what an earlier demo left there ...")
    stage.prepare()
    stage.begin()
    if plain:
        stage.run(lambda: None)
        console.print(live(stage.stories, stage.now))
    else:
        with Live(live(stage.stories, stage.now), console=console, auto_refresh=False) as view:
            stage.run(lambda: view.update(live(stage.stories, stage.now), refresh=True))
    report(console, stage.stories)
    console.print(_what_next(), soft_wrap=True)  # a line that is to be copied stays one
    wrong = [story.scenario.execution for story in stage.stories if not story.as_promised]
    if wrong:
        console.print(f"[bold red]not as promised: {', '.join(wrong)}[/]")
    return 1 if wrong else 0


def _what_next() -> str:
    return (
        "\nThe cluster is yours to play with:\n"
        f"  {shell_line()}\n"
        f"  kubectl -n {NAMESPACE} get wfx\n"
        f"  kubectl -n {NAMESPACE} get wfx stubborn-report-1 -o yaml\n"
        f"  kubectl -n {NAMESPACE} get op\n"
        f"  kubectl explain wfx.spec.cancellation --recursive\n"
        "`make cluster-down` deletes it, `make cluster-down ARGS=--all` stops the engine too."
    )


if __name__ == "__main__":
    main()
