"""When things truly happened, and whether a time that somebody wrote has truly come.

Contract: `has_come` bears what the documents allow: the controllers' clocks may differ from each other, and then what
one has written comes for the other by that difference earlier or later. Nothing else may make it earlier: neither the
nodes' clocks nor the API server's, nor a controller's own, however far it is off.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from desist.api.status import WorkflowExecutionStatus
from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.wire import mailbox
from tests.unit.lifecycle_sim.clock import Clock, Wall

SLACK = 0.01
"""Of a wait: no clock drifts by more."""


class Written(Protocol):
    """A status write, as far as it matters here."""

    @property
    def new(self) -> WorkflowExecutionStatus:
        """What was written."""

    @property
    def wall(self) -> Wall:
        """The writer's clock."""


@dataclass(frozen=True)
class Stamp:
    """Who wrote a time, and when."""

    moment: float
    wall: Wall


class Times:
    """Remembers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stamps: dict[object, Stamp] = {}

    def wrote(self, write: Written) -> None:
        """A status is stored."""
        if write.new.accepted_at is not None:
            self._note("accepted", write.wall)
        if write.new.stop.kill_after is not None:
            self._note(write.new.stop.kill_after, write.wall)
        if write.new.stop.kill_at is not None:
            self._note(write.new.stop.kill_at, write.wall)

    def posted(self, pod: PodView, stop: mailbox.Stop, wall: Wall) -> bool:
        """A posting is about to be stored; tells whether its deadline is a new one, and not taken over by a merge."""
        known = (pod.uid, stop.deadline) in self._stamps
        self._note((pod.uid, stop.deadline), wall)
        return not known

    def grace_is_over(self, pod: PodView, wall: Wall) -> bool:
        """Whether what the pod's mailbox holds lets its processes be killed by now."""
        stop = mailbox.parse(pod.mailbox)
        if stop is None or stop.deadline is None:
            return False
        return self.has_come(stop.deadline, (pod.uid, stop.deadline), wall)

    def has_come(self, due: datetime, written: object, wall: Wall) -> bool:
        """Whether the time has come for whoever has that clock; `written`: what it was noted as."""
        stamp = self._stamps[written]
        ahead = (wall.at(stamp.moment) - stamp.wall.at(stamp.moment)).total_seconds()
        wait = (due - stamp.wall.at(stamp.moment)).total_seconds() - max(ahead, 0.0)
        return self._clock.now - stamp.moment >= wait * (1 - SLACK) - SLACK

    def lead(self, wall: Wall) -> float:
        """Seconds by which that clock is ahead of any by which something was written."""
        ahead = (wall.at(s.moment) - s.wall.at(s.moment) for s in self._stamps.values())
        return max((0.0, *(each.total_seconds() for each in ahead)))

    def _note(self, what: object, wall: Wall) -> None:
        self._stamps.setdefault(what, Stamp(self._clock.now, wall))
