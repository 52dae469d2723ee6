"""A world for tests: it holds one execution and its pods, and carries plans out at once and without loss.

Contract: `step` observes, asks, decides and applies, and checks what must hold of every plan. What is written goes
over the wire and back. Tests change `pods` and `nodes` between steps, as a kubelet would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from desist.api.records import CommandRecord
from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import HistoryType, Mode, Phase
from desist.api.workflow import Workflow
from desist.controller.observe import with_live_pod
from desist.lifecycle.decide import decide
from desist.lifecycle.observed.pods import NodeView, PodView
from desist.lifecycle.observed.pushes import PushAnswer, Pushed, PushTo
from desist.lifecycle.observed.questions import NOTHING, Answer, CreateAnswer, Questions, Refusal
from desist.lifecycle.observed.sight import Observed, TooLarge
from desist.lifecycle.plan import (
    AFTER_POST,
    Action,
    CreatePod,
    DeletePod,
    EmitEvent,
    Plan,
    PostMailbox,
    PushStop,
    WakeAt,
    WriteStatus,
)
from desist.lifecycle.settings import Settings
from tests.support.builders import ExecutionBuilder, PodBuilder, at, make_execution, make_node, make_pod, make_workflow


@dataclass
class World:
    """One execution and what surrounds it."""

    execution: ExecutionBuilder = field(default_factory=make_execution)
    workflow: Workflow | None = field(default_factory=make_workflow)
    settings: Settings = field(default_factory=Settings)
    too_large: TooLarge | None = None
    dry_run: CreateAnswer | None = field(default_factory=lambda: CreateAnswer(Answer.PASSED))
    created: CreateAnswer | None = None
    made: str = ""
    """UID of the pod that this process knows to have made."""
    missed_since: datetime | None = None
    """When the current attempt's pod was first asked for in vain."""
    began: datetime | None = None
    """When this controller process began to look."""
    creates: bool = True
    """Whether a create takes effect."""
    pods: dict[str, PodBuilder] = field(default_factory=dict)
    unlabelled: dict[str, PodBuilder] = field(default_factory=dict)
    """Pods that are there, and that no watch shows any more."""
    deleted: list[PodView] = field(default_factory=list)
    nodes: list[NodeView] = field(default_factory=lambda: [make_node()])
    cached_nodes: list[NodeView] | None = None
    """What the watch has shown of the nodes, where it lags behind `nodes`."""
    seconds: float = 0
    field_manager: str | None = None
    pushes: dict[str, Pushed] = field(default_factory=dict)
    """By UID of the pod: what was pushed to it last."""
    refusals: tuple[Refusal, ...] = ()
    """What the API server has said to postings and DELETEs."""
    events: list[EmitEvent] = field(default_factory=list)
    done: list[Action] = field(default_factory=list)
    writes: int = 0
    uids: int = 0
    extra: dict[str, Any] = field(default_factory=dict)
    """More that the reconcile sees: its operations."""

    @property
    def status(self) -> WorkflowExecutionStatus:
        assert self.execution.status is not None, "nothing was written yet"
        return self.execution.status

    @property
    def phase(self) -> Phase | None:
        return self.status.phase

    @property
    def pod(self) -> PodBuilder:
        """The pod that was made last."""
        return list(self.pods.values())[-1]

    def types(self) -> list[HistoryType]:
        return [entry.type for entry in self.status.history]

    def command(self, number: int = -1) -> CommandRecord:
        return self.status.commands[number]

    def observe(self) -> Observed:
        """What a pass sees, with the answers to its questions."""
        seen = Observed(
            execution=self.execution.obj(),
            settings=self.settings,
            workflow=self.workflow,
            too_large=self.too_large,
            pods=tuple(builder.obj() for builder in self.pods.values()),
            deleted=tuple(self.deleted),
            nodes=tuple(self.nodes if self.cached_nodes is None else self.cached_nodes),
            created=self.created,
            refusals=self.refusals,
            pushes=tuple(self.pushes.values()),
            made=self.made,
            began=self.began,
            field_manager=self.field_manager,
            **self.extra,
        )
        while (asked := questions(seen, self.seconds)) and not (asked.dry_run and self.dry_run is None):
            dry_run = self.dry_run if asked.dry_run else seen.dry_run
            nodes = tuple(self.nodes) if asked.live_nodes else seen.nodes
            seen = replace(seen, dry_run=dry_run, nodes=nodes, live_nodes=(*seen.live_nodes, *asked.live_nodes))
            seen = replace(seen, operations_listed=seen.operations_listed or asked.operations)
            if asked.live_pod is not None:
                found = self._live(asked.live_pod.name)
                self.missed_since = None if found else self.missed_since or at(self.seconds)
                seen = with_live_pod(seen, found, self.missed_since)
        return seen

    def _live(self, name: str) -> PodView | None:
        builder = self.pods.get(name) or self.unlabelled.get(name)
        return builder.obj() if builder else None

    def plan(self) -> Plan:
        """What a pass plans now; nothing is done."""
        plan = decided(self.observe(), self.seconds)
        check_shape(plan, self.seconds)
        return plan

    def step(self, after: float = 0) -> Plan:
        """Let time pass, then one pass."""
        self.seconds += after
        plan = self.plan()
        for action in plan.actions:
            self.apply(action)
        return plan

    def settle(self, after: float = 0) -> None:
        """Passes until nothing more is done."""
        self.seconds += after
        for _ in range(12):
            if not [action for action in self.step().actions if not isinstance(action, WakeAt)]:
                return
        raise AssertionError("the passes do not come to rest")

    def request(self, mode: Mode, after: float = 0, **fields: Any) -> None:
        """Patch `spec.cancellation`, then settle."""
        self.execution = self.execution.cancelled(mode, **fields)
        self.settle(after)

    def change_pod(self, change: Callable[[PodBuilder], PodBuilder], after: float = 0) -> None:
        """Change the pod that was made last, then settle."""
        uid = self.pod.obj().uid
        self.pods[self.pod.obj().name] = change(self.pod)
        assert self.pod.obj().uid == uid
        self.settle(after)

    def running(self, after: float = 1) -> World:
        """Start the run, and let its process run."""
        self.settle()
        self.change_pod(lambda pod: pod.running(self.seconds + after), after)
        return self

    def listening(self) -> World:
        """Running, and its launcher takes pushes."""
        self.settings = replace(self.settings, push_key_id="0a1b2c3d", push_key="x", push_port=7633)
        self.running()
        self.change_pod(lambda pod: pod.having(address="10.244.1.7", push=PushTo("0a1b2c3d", 7633)))
        return self

    def answers(self, after: float = 0, **fields: Any) -> None:
        """The launcher answers what was pushed last, then settle."""
        self.seconds += after
        last = self.pushes[self.pod.obj().uid]
        said = {"command_id": self.command().id, "sequence": last.sequence, "did": "told", **fields}
        answer = PushAnswer(**{"told": 1, "refused": 0, "main_ended": False, "left": 0, "at": at(self.seconds), **said})
        self.pushes[last.pod_uid] = replace(last, answer=answer)
        self.settle()

    def lose_pod(self, *, seen: bool) -> None:
        """The pod is no more; `seen`: its DELETED event was."""
        name = self.pod.obj().name
        gone = self.pods.pop(name)
        if seen:
            self.deleted.append(gone.obj())

    def take_label_off(self) -> None:
        """Somebody takes our label off the pod: to the watch, it is deleted."""
        name = self.pod.obj().name
        self.unlabelled[name] = self.pods[name]
        self.lose_pod(seen=True)

    def apply(self, action: Action) -> None:
        """Do one action."""
        self.done.append(action)
        match action:
            case WriteStatus():
                self.writes += 1
                wire = action.status.wire()
                self.execution = self.execution.with_status(WorkflowExecutionStatus.model_validate(wire))
                assert self.execution.status == action.status, "the status changes on the wire"
                self._check_rest()
            case CreatePod():
                self._create(action)
            case PostMailbox():
                self._change(action.pod, action.uid, mailbox=action.text)
            case PushStop():
                answer = self.pushes[action.uid].answer if action.uid in self.pushes else None
                self.pushes[action.uid] = Pushed(action.uid, action.sequence, action.asks, at(self.seconds), answer)
            case DeletePod():
                self._delete(action)
            case EmitEvent():
                self.events.append(action)
            case WakeAt():
                pass

    def _check_rest(self) -> None:
        """What was written is not written again; a run that has just ended may still answer a request, and one that
        has just rejected one may still begin or stall."""
        again = decided(self.observe(), self.seconds).actions
        writes = [action.status for action in again if isinstance(action, WriteStatus)]
        assert not self.status.open or self.status.attempt is None or not writes

    def _create(self, action: CreatePod) -> None:
        if self.created is not None and self.created.at is not None:
            self.created = replace(self.created, at=at(self.seconds))
        if action.name in self.pods or not self.creates:
            return
        labels = action.manifest.value["metadata"]["labels"]
        self.uids += 1
        self.pods[action.name] = make_pod(
            action.name,
            run_id=labels["desist.dev/run-id"],
            attempt=int(labels["desist.dev/attempt"]),
            uid=f"uid-{self.uids}",
        )

    def _change(self, name: str, uid: str, **fields: Any) -> None:
        there = self.pods if name in self.pods else self.unlabelled
        pod = there[name]
        assert pod.obj().uid == uid
        version = str(int(pod.obj().resource_version) + 1)
        there[name] = pod.having(resource_version=version, **fields)

    def _delete(self, action: DeletePod) -> None:
        there = self.pods if action.pod in self.pods else self.unlabelled
        pod = there[action.pod].obj()
        assert pod.uid == action.uid
        assert action.resource_version in ("", AFTER_POST, pod.resource_version)
        if not pod.node or pod.phase in ("Succeeded", "Failed"):
            gone = there.pop(action.pod).obj()
            if there is self.pods:
                self.deleted.append(gone)
            return
        grace = pod.grace_seconds if action.grace_seconds is None else action.grace_seconds
        self._change(
            pod.name,
            pod.uid,
            deletion_timestamp=at(self.seconds + grace),
            deletion_grace_seconds=grace,
            deletion_seen_at=at(self.seconds),
        )


def questions(seen: Observed, seconds: float) -> Questions:
    """What must be asked before anything is decided."""
    asked = decide(seen, at(seconds))
    return asked if isinstance(asked, Questions) else NOTHING


def decided(seen: Observed, seconds: float) -> Plan:
    """The plan for an observation that leaves nothing to ask."""
    plan = decide(seen, at(seconds))
    assert isinstance(plan, Plan), f"there is a question left: {plan}"
    return plan


def check_shape(plan: Plan, seconds: float) -> None:
    """What holds of every plan: first at most one write, its Events, then what touches pods; no wake in the past."""
    writes = [action for action in plan.actions if isinstance(action, WriteStatus)]
    assert len(writes) <= 1
    assert not writes or isinstance(plan.actions[0], WriteStatus)
    events = [i for i, action in enumerate(plan.actions) if isinstance(action, EmitEvent)]
    touches = [i for i, a in enumerate(plan.actions) if isinstance(a, CreatePod | PushStop | PostMailbox | DeletePod)]
    assert not events or not touches or max(events) < min(touches)
    assert not events or writes
    assert all(action.when > at(seconds) for action in plan.actions if isinstance(action, WakeAt))


def deeds(plan: Plan) -> list[Action]:
    """A plan's actions but Events and wakes."""
    return [action for action in plan.actions if not isinstance(action, EmitEvent | WakeAt)]


def done(plan: Plan) -> list[str]:
    """The kinds of them."""
    return [type(action).__name__ for action in deeds(plan)]
