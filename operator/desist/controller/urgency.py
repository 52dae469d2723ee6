"""Which executions overtake others: the core's answer, from what is in memory.

Contract: asked at each add of a key, from memory alone, so that every way of waking an execution uses the right lane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from desist.controller.caches import Caches
from desist.controller.memory import Memory
from desist.controller.records import ExecutionRecord, Resting, current_pod
from desist.lifecycle.stop.urgency import awaits_stop, urgent


@dataclass(frozen=True, slots=True)
class Urgency:
    """Says so of one execution."""

    caches: Caches
    memory: Memory
    clock: Callable[[], datetime]

    def of(self, record: ExecutionRecord | Resting) -> bool:
        """Whether it overtakes those that start and go on."""
        if isinstance(record, Resting):
            return False
        return urgent(record.execution, self.caches.pods(record.metadata), self.clock())

    def awaits_stop(self, record: ExecutionRecord) -> bool:
        """Whether a stop was not judged, or not posted."""
        uid = record.metadata.uid
        posting = self.memory.last_posting(uid)
        posted = posting.text if posting is not None and posting.pod == current_pod(record) else ""
        return awaits_stop(record.execution, self.caches.pods(record.metadata), posted)
