"""Which executions overtake others: those of which a stop was not judged, or was judged and not posted.

Contract: asked at each add of a key, from memory alone, so that every way of waking an execution uses the fast lane.
Status tells of a posting with its next write only, which may be the run's last: memory knows before, and the mailbox
itself after a restart.
"""

from __future__ import annotations

from dataclasses import dataclass

from desist.controller.caches import Caches
from desist.controller.memory import Memory
from desist.controller.observe import current_pod
from desist.controller.records import ExecutionRecord
from desist.lifecycle.wire import mailbox


@dataclass(frozen=True, slots=True)
class Urgency:
    """Says so of one execution."""

    caches: Caches
    memory: Memory

    def of(self, record: ExecutionRecord) -> bool:
        """Whether a stop waits for the reconcile. In a pod that is being deleted there is nothing to be posted."""
        command, uid, name = record.unposted, record.metadata.uid, current_pod(record)
        if command is None:
            return record.unjudged
        pods = [pod for pod in self.caches.pods(uid) if pod.name == name]
        if any(pod.deletion_timestamp is not None for pod in pods):
            return record.unjudged
        posting = self.memory.last_posting(uid)
        posted = [pod.mailbox for pod in pods] + ([posting.text] if posting and posting.pod == name else [])
        return record.unjudged or command not in map(_command_of, posted)


def _command_of(text: str) -> str | None:
    """The command that a mailbox holds."""
    stop = mailbox.parse(text)
    return stop.command_id if stop is not None else None
