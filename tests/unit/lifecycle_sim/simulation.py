"""The whole simulation: a cluster, one or two controllers, and what people do.

Contract: `settle` lets every controller see and do all that it can at this moment; `idle` lets time pass with that
happening all along; `freeze` lets it pass with no controller at work. `heal` ends all faults, `finish` says what must
have come of it then.
"""

from __future__ import annotations

from typing import Any

from desist.api.cancellation import Cancellation
from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import Mode
from desist.lifecycle.observed.questions import Answer
from desist.lifecycle.settings import Settings
from tests.support.builders import make_execution, make_spec
from tests.unit.lifecycle_sim import rules
from tests.unit.lifecycle_sim.api import Refused
from tests.unit.lifecycle_sim.audit import Audit
from tests.unit.lifecycle_sim.clock import Walls
from tests.unit.lifecycle_sim.cluster import NODES, SimulatedCluster
from tests.unit.lifecycle_sim.controllers import KINDS, Controller
from tests.unit.lifecycle_sim.network import FAIR, Network
from tests.unit.lifecycle_sim.processes import Program

PASSES = 60
"""More passes than that at one moment never come to rest."""
HELD_FOR = 30
"""After so many passes at one moment a watch that was held up goes on."""
LONG = 2000.0


class Simulation:
    """One execution's life."""

    def __init__(
        self,
        program: Program,
        *,
        deadline: int | None = None,
        kill_after: int | None = None,
        walls: Walls | None = None,
        push: bool = True,
    ) -> None:
        spec = make_spec(active_deadline_seconds=deadline, kill_after=kill_after)
        execution = make_execution(workflow_ref=None, workflow_spec=spec).obj()
        self.walls = walls or Walls()
        self.cluster = SimulatedCluster(execution, program, self.walls)
        self.audit = Audit(self.cluster)
        self.network = Network(self.cluster)
        self.settings = Settings(push_key_id="0a1b2c3d", push_key="x") if push else Settings()
        self.controllers = [self._controller()]
        self.requests = 0

    @property
    def status(self) -> WorkflowExecutionStatus:
        """The stored one."""
        return self.cluster.api.execution.status or WorkflowExecutionStatus()

    @property
    def now(self) -> float:
        return self.cluster.clock.now

    def _controller(self) -> Controller:
        wall = self.walls.controllers[len(getattr(self, "controllers", ()))]
        return Controller(self.cluster.api, self.audit, self.network, wall=wall, settings=self.settings)

    def request(self, mode: Mode, **fields: Any) -> bool:
        """Patch `spec.cancellation`; tells whether the API took it."""
        self.requests += 1
        return self._patch(Cancellation(mode=mode, request_id=f"request-{self.requests}", **fields))

    def second_controller(self) -> None:
        """Another one is started, on another machine."""
        self.controllers.append(self._controller())

    def names_newest_pod(self) -> bool:
        """Whether the stored status names the newest pod: what it does not name can be found by its label alone."""
        pod = self.cluster.newest_pod()
        named = [(process.pod, process.pod_uid) for process in self.status.processes]
        return pod is not None and ((pod.name, pod.uid) in named or (pod.name, None) in named)

    def awaits_pod(self) -> bool:
        """Whether the stored status names a pod that nobody has made."""
        return bool(self._awaited())

    def take_name(self) -> None:
        """Somebody makes a pod of the name that the current attempt's shall have."""
        self.cluster.api.taken |= self._awaited()

    def _awaited(self) -> set[str]:
        named = {process.pod for process in self.status.processes if process.pod_uid is None}
        return named - self.cluster.api.pods.keys()

    def withdraw(self) -> bool:
        """Remove the request; tells whether the API let it go."""
        return self._patch(None)

    def _patch(self, request: Cancellation | None) -> bool:
        stored = self.cluster.api.execution
        try:
            self.cluster.api.patch_cancellation(request)
        except Refused:
            assert self.cluster.api.execution == stored
            return False
        return True

    def settle(self) -> None:
        """Every controller sees what arrives, and does all that is due now."""
        for count in range(PASSES):
            if count == HELD_FOR and len(self.controllers) > 1:
                self._release()
            busy = [controller for controller in self.controllers if self._due(controller)]
            if not busy:
                return
            for controller in busy:
                controller.run()
                self.audit.check()
        raise AssertionError("the controllers do not come to rest")

    def _release(self) -> None:
        """Of two controllers, one that is not shown what the other sees corrects it for as long as that lasts."""
        for controller in self.controllers:
            controller.paused.clear()

    def _due(self, controller: Controller) -> bool:
        for kind in KINDS:
            if kind not in controller.paused:
                controller.deliver(kind)
        return bool(controller.plan) or (controller.wake is not None and controller.wake <= self.now)

    def idle(self, seconds: float) -> None:
        """Time passes, the controllers work."""
        end = self.now + seconds
        while True:
            self.settle()
            wakes = [controller.wake for controller in self.controllers]
            moments = [m for m in (self.cluster.clock.next, *wakes) if m is not None and m <= end]
            if not moments:
                break
            self._advance(max(min(moments), self.now))
        self._advance(end)
        self.settle()

    def freeze(self, seconds: float) -> None:
        """Time passes, no controller works."""
        self._advance(self.now + seconds)

    def _advance(self, moment: float) -> None:
        self.cluster.clock.advance_to(moment)
        self.audit.check()

    def heal(self) -> None:
        """All faults cease."""
        self.cluster.api.answer = Answer.PASSED
        self.cluster.api.taken.clear()
        self.network.weather = FAIR
        for controller in self.controllers:
            controller.paused.clear()
            controller.wake = self.now
        for name in NODES:
            self.cluster.recover(name)

    def finish(self) -> None:
        """After all faults have ceased and much time has passed, everything is as it should be."""
        self.heal()
        self.idle(LONG)
        status, program = self.status, self.cluster.program
        assert status.observed_generation == self.cluster.api.execution.metadata.generation
        if self._must_have_ended():
            assert status.phase in rules.ENDS, f"the run is still {status.phase}"
        if status.phase in rules.ENDS and not program.unkillable:
            alive = [box.pod.name for box in self.cluster.alive() if box.pod.uid not in self._hidden()]
            assert not alive, f"the run has ended and {alive} live"
            pods = [pod for pod in self.cluster.api.pods.values() if pod.phase not in ("Succeeded", "Failed")]
            left = [pod.name for pod in pods if pod.uid not in self._hidden()]
            assert not left, f"the run has ended and {left} are there"
        if status.phase not in rules.ENDS:
            self._check_what_stays_open(status)

    def _hidden(self) -> set[str]:
        """UIDs of pods that were given up, and that nobody can find any more."""
        return self.cluster.api.unlabelled & self.audit.apart

    def _check_what_stays_open(self, status: WorkflowExecutionStatus) -> None:
        request = self.cluster.api.execution.spec.cancellation
        if request is None or rules.stray(request, status.run_id):
            return
        rank = rules.RANK[status.phase or "Pending"]
        assert rank >= rules.RANK["Running"] + rules.STRENGTH[request.mode], "a stored stop is not in force"
        for box in self.cluster.alive():
            there = self.cluster.api.pods.get(box.pod.name)
            if there is None or there.uid != box.pod.uid or box.process is None or not box.process.alive:
                continue
            assert box.process.told or there.deletion_timestamp is not None, "nobody told the process"
            overdue = rank > rules.RANK["Cancelling"]
            assert not overdue or [entry.reason for entry in status.unconfirmed] == ["Unkillable"]

    def _must_have_ended(self) -> bool:
        program, status = self.cluster.program, self.status
        if program.unkillable:
            return False
        if program.runs is not None:
            return True
        request = self.cluster.api.execution.spec.cancellation
        means_it = request is not None and not rules.stray(request, status.run_id)
        firm = request is not None and request.mode is not Mode.CANCEL
        bounded = status.cancellation is not None and status.cancellation.kill_after is not None
        late = status.workflow_spec is not None and status.workflow_spec.active_deadline_seconds is not None
        return late or (means_it and (firm or bounded or program.cleanup is not None))
