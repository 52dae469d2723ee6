"""Command line of the images and the release.

Contract: `build` brings the images into the engine, `load` also into the nodes, `install` also brings the Helm release
to this checkout's state. Each prints the names of the images to standard output. Exits with 1 after a ClusterError.
"""

from __future__ import annotations

import argparse
import sys

from hack.cluster.api import ClusterError, Progress, cluster_lock, kubeconfig
from hack.image.build import Images, build_images, load_images
from hack.image.release import ensure_release


def _build() -> Images:
    return build_images(Progress(2))


def _load() -> Images:
    progress = Progress(3)
    built = build_images(progress)
    load_images(progress, built)
    return built


def _install() -> Images:
    return ensure_release(kubeconfig())


COMMANDS = {"build": _build, "load": _load, "install": _install}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hack.image", description=__doc__)
    parser.add_argument("command", choices=COMMANDS, help="build the images, load them into the nodes, or install")
    command = parser.parse_args().command
    try:
        with cluster_lock():
            made = COMMANDS[command]()
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(made.operator, made.launcher, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
