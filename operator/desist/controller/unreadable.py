"""What is said of an object that this version cannot read: in the log and in a Warning Event, once a generation.

Contract: such an object holds nobody up, and nothing is done about it; whoever looks at it learns so, and what to do.
A watch tells the same object again and again (a heartbeat of its status, a new list), and each time would be an Event.
Rejected: reading it without its status (the run of a newer version's status would be begun a second time).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from desist.api.meta import ObjectMeta
from desist.controller.events import Notice, RecordEvent, Subject
from desist.controller.kinds import Body, Kind, Unreadable

logger = logging.getLogger(__name__)
REASON = "Unreadable"
"""Reason of the Event."""
WHAT_TO_DO = (
    "nothing is done about it, also not about a stop, until that is mended (kubectl edit, for status with "
    "--subresource=status); kubectl delete ends its processes without the operator"
)


@dataclass(frozen=True, slots=True)
class Complaints:
    """Says what cannot be read."""

    record_event: RecordEvent
    said: dict[str, int] = field(default_factory=dict)
    """Generations by UID."""

    def tell(self, kind: Kind[Any], body: Body, error: Unreadable) -> None:
        """An object cannot be read."""
        found = body["metadata"]
        uid, generation = found["uid"], found.get("generation", 0)
        if self.said.get(uid) == generation:
            return
        self.said[uid] = generation
        logger.error("%s", error)
        metadata = ObjectMeta(
            name=found["name"],
            namespace=found.get("namespace", ""),
            uid=uid,
            resource_version=found["resourceVersion"],
        )
        self.record_event(Subject(kind, metadata), Notice(REASON, f"{error}; {WHAT_TO_DO}", warning=True))

    def forget(self, uid: str) -> None:
        """The object is gone, or can be read."""
        self.said.pop(uid, None)
