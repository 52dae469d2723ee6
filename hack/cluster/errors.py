"""The one error of the cluster tools: what failed, which log to read, and what to do next.

Contract: everything that a user can meet is a `ClusterError`; anything else that surfaces is a bug of these tools.
"""

from __future__ import annotations

from pathlib import Path


class ClusterError(Exception):
    """A step failed. `log` is the file to read, `advice` what to do next (each may be absent)."""

    def __init__(self, message: str, log: Path | None = None, advice: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.log = log
        self.advice = advice

    def __str__(self) -> str:
        lines = [self.message]
        if self.log is not None:
            lines.append(f"  log:  {self.log}")
        if self.advice is not None:
            lines.append(f"  next: {self.advice}")
        return "\n".join(lines)
