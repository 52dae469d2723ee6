"""What a controller of the simulation remembers of its pushes, and how it sends them.

Contract: as the real one keeps it: the last push to each pod with the last answer of that pod, in memory only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from desist.lifecycle.observed.pushes import PushAnswer, Pushed
from desist.lifecycle.plan import PushStop
from tests.unit.lifecycle_sim.network import Network
from tests.unit.lifecycle_sim.processes import Heard


@dataclass
class Pushes:
    """Those of one life of one controller."""

    network: Network
    now: Callable[[], datetime]
    woken: Callable[[], None]
    """An answer has come."""
    last: dict[str, Pushed] = field(default_factory=dict)
    """By UID of the pod."""

    def send(self, push: PushStop) -> None:
        """Send it, and go on."""
        known = self.last.get(push.uid)
        answer = known.answer if known is not None else None
        self.last[push.uid] = Pushed(push.uid, push.sequence, push.asks, self.now(), answer)
        self.network.send(push, lambda heard: self._answered(push.uid, heard))

    def _answered(self, uid: str, heard: Heard) -> None:
        answer = PushAnswer(
            command_id=heard.command_id,
            sequence=heard.sequence,
            did="told",
            told=1,
            refused=0,
            main_ended=heard.main_ended,
            left=heard.left,
            at=self.now(),
        )
        self.last[uid] = replace(self.last[uid], answer=answer)
        self.woken()
