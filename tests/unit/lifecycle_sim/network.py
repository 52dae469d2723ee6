"""The network between controllers and launchers: what is pushed may be lost, come late, or come twice; so may answers.

Contract: `send` gives nothing back, as a datagram does not. Whoever is alive when it arrives reads it, whether or not
its kubelet works, and answers. An answer reaches who sent it, if that has not died meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from desist.lifecycle.plan import PushStop
from tests.unit.lifecycle_sim.cluster import SimulatedCluster
from tests.unit.lifecycle_sim.processes import Heard

HOP = 0.005


@dataclass(frozen=True)
class Weather:
    """What becomes of all datagrams."""

    arrives: tuple[float, ...] = (HOP,)
    """After how many seconds, each time."""
    answers: float | None = HOP
    """After how many seconds more its answer does; None: never."""


FAIR = Weather()
LOST = Weather(())
WEATHERS = (FAIR, LOST, Weather(answers=None), Weather((5.0,), 30.0), Weather((HOP, 7.0)))


@dataclass
class Network:
    """All of it."""

    cluster: SimulatedCluster
    weather: Weather = FAIR

    def send(self, push: PushStop, answered: Callable[[Heard], None]) -> None:
        """Send a datagram."""
        for delay in self.weather.arrives:
            self.cluster.clock.after(delay, lambda: self._arrive(push, answered))

    def _arrive(self, push: PushStop, answered: Callable[[Heard], None]) -> None:
        box = self.cluster.box(push.uid)
        heard = box.process.hear(push.text) if box is not None and box.process is not None else None
        delay = self.weather.answers
        if heard is not None and delay is not None:
            self.cluster.clock.after(delay, lambda: answered(heard))
