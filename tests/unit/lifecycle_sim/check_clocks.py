"""What must hold of every status that is written, however far the clocks differ."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.lifecycle_sim.check_write import Write, current
from tests.unit.lifecycle_sim.times import SLACK

MISSED_FOR = 60.0
"""Seconds: the pod's grace, and the margin."""
UNKILLABLE_AFTER = 30.0


def nothing_fires_early(write: Write) -> None:
    """What fires by itself has waited as long as it should."""
    for record in write.new.commands[len(write.old.commands) :]:
        if record.source == "escalation":
            kill_after = write.old.stop.kill_after or write.new.stop.kill_after
            assert kill_after is not None
            known = write.old.stop.kill_after is not None
            assert not known or write.times.has_come(kill_after, kill_after, write.wall), "an escalation comes early"
        if record.source == "deadline":
            assert write.new.accepted_at is not None and write.new.workflow_spec is not None
            seconds = write.new.workflow_spec.active_deadline_seconds or 0
            due = write.new.accepted_at + timedelta(seconds=seconds)
            assert write.times.has_come(due, "accepted", write.wall), "a deadline fires early"


def nothing_is_unproven_too_soon(write: Write) -> None:
    """A pod that vanished is missed for as long as its processes could live on a node that is well."""
    before, after = current(write.old), current(write.new)
    if after is None or after.state != "unproven" or after.reason == "Forgotten" or after.pod_uid is None:
        return
    if before is not None and before.state == "unproven":
        return
    removed = write.cluster.api.removed.get(after.pod_uid)
    assert removed is not None, "it is closed without proof, and its pod is there"
    assert write.cluster.clock.now - removed >= MISSED_FOR * (1 - SLACK), "it is closed without proof too soon"


def nothing_is_called_unkillable_too_soon(write: Write) -> None:
    said = [entry for entry in write.old.unconfirmed if entry.reason == "Unkillable"]
    for entry in write.new.unconfirmed:
        if entry.reason == "Unkillable" and not said:
            assert entry.pod_uid is not None
            late = write.cluster.clock.now - write.cluster.api.due[entry.pod_uid]
            lead = write.times.lead(write.wall)
            assert late >= UNKILLABLE_AFTER * (1 - SLACK) - SLACK - lead, "it is called unkillable too soon"


CLOCK_CHECKS = (nothing_fires_early, nothing_is_unproven_too_soon, nothing_is_called_unkillable_too_soon)
