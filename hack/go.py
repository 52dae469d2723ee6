"""Runs `go` in launcher/, with the Go that the cluster tools found or installed.

Contract: arguments are go's own; the exit code is go's. It exists so that the Makefile need not know where Go is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hack.cluster.api import ClusterError, go

LAUNCHER = Path(__file__).resolve().parent.parent / "launcher"


def main() -> None:
    os.chdir(LAUNCHER)
    try:
        binary = str(go())
    except ClusterError as error:
        sys.exit(f"error: {error}")
    os.execve(binary, [binary, *sys.argv[1:]], {**os.environ, "CGO_ENABLED": "0"})


if __name__ == "__main__":
    main()
