"""Command line of the cluster tools: `python -m hack.cluster COMMAND`."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext

from hack.cluster import images, nodes, status, updown
from hack.cluster.errors import ClusterError
from hack.cluster.home import cluster_lock


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hack.cluster", description="A real Kubernetes cluster on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="bring the cluster up, or revive it")
    down = commands.add_parser("down", help="delete the cluster")
    down.add_argument("--all", action="store_true", help="stop an engine of our own too; its images stay in the cache")
    shown = commands.add_parser("status", help="say what is up, and where its files are")
    shown.add_argument("--output", choices=("text", "json"), default="text")
    commands.add_parser("images", help="build the workload images and load them into the nodes")
    commands.add_parser("leftovers", help="say what an engine of our own has on this host; exit code 1 if anything")
    load = commands.add_parser("load", help="load image archives into the nodes")
    load.add_argument("archive", nargs="+")
    for name, what in (("kubelet", "a node's kubelet, while its containers run on"), ("node", "a whole node")):
        part = commands.add_parser(name, help=f"stop or start {what}")
        part.add_argument("action", choices=("stop", "start"))
        part.add_argument("node")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    match arguments.command:
        case "up":
            updown.up()
        case "down":
            updown.down(everything=arguments.all)
        case "images":
            images.workload_images()
        case "load":
            images.load_archives(arguments.archive)
        case "kubelet":
            (nodes.stop_kubelet if arguments.action == "stop" else nodes.start_kubelet)(arguments.node)
        case "node":
            (nodes.stop_node if arguments.action == "stop" else nodes.start_node)(arguments.node)


def main() -> int:
    """Exit code 0, or 1 with what failed, the log to read and what to do next on standard error."""
    arguments = _parser().parse_args()
    try:
        if arguments.command == "status":
            found = status.status()
            print(json.dumps(found, indent=2) if arguments.output == "json" else status.text(found))
            return 0
        if arguments.command == "leftovers":
            return updown.leftovers()
        # A node is lost on purpose while something runs on it: that must not wait for whoever runs it.
        with nullcontext() if arguments.command in ("kubelet", "node") else cluster_lock():
            _run(arguments)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
