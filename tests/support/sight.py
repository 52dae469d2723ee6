"""What keeps modules apart that run side by side with operators of their own: what each sees, and where its pods go.

Contract: namespaces of tests are named by `fresh_name`, which has the worker in it where there are workers. `Sight`
takes the other workers' namespaces out of what the API server lists and watches: to an operator behind it, it is as if
they were not there. Without workers there is nothing to hide. `Placement.steady` keeps the pods of `lab.template`, and
of every other template that a `Lab` is given, off the node that another module may be losing at that moment.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
HOSTNAME = "kubernetes.io/hostname"
STEADY_NODE = "desist-worker"
"""The worker that no test loses."""


def fresh_name() -> str:
    """A name for a namespace of a test."""
    return "-".join(filter(None, ("t", WORKER, uuid.uuid4().hex[:8])))


@dataclass(frozen=True)
class Sight:
    """What the tests of one worker see."""

    worker: str

    def hides(self, held: Mapping[str, Any]) -> bool:
        """Whether an object is in a namespace of another worker's tests."""
        found = re.match(r"t-(gw\d+)-", held.get("metadata", {}).get("namespace", ""))
        return found is not None and found[1] != self.worker

    def of_list(self, body: bytes) -> bytes:
        """What is left of an answer to a list; any other answer as it is."""
        held = json.loads(body)
        items = held.get("items") or ()
        seen = [item for item in items if not self.hides(item)]
        return body if len(seen) == len(items) else json.dumps(held | {"items": seen}).encode()

    def of_events(self, lines: bytes) -> bytes:
        """What is left of whole lines of a watch."""
        return b"".join(line for line in lines.splitlines(keepends=True) if not self.hides(_object(line)))


def _object(line: bytes) -> Mapping[str, Any]:
    held: Mapping[str, Any] = json.loads(line).get("object", {})
    return held


def mine() -> Sight | None:
    """What this process's tests see; None: everything."""
    return Sight(WORKER) if WORKER else None


class Placement:
    """Where pods of tests may go."""

    steady: ClassVar[bool] = False
    """Set while a module runs beside one that loses a node."""

    @classmethod
    def of(cls, pod: dict[str, Any]) -> dict[str, Any]:
        """What a pod's spec gets that says nothing of nodes itself."""
        free = not {"nodeSelector", "nodeName", "affinity"} & pod.keys()
        return {"nodeSelector": {HOSTNAME: STEADY_NODE}} if cls.steady and free else {}
