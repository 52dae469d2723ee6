"""A world for tests of one run and its operations: it carries plans of both out, at once and without loss.

Contract: `settle` reconciles the run and each operation until nothing more is done. Tests change pods as a kubelet
would. Answers to the core's questions are those of a cluster in which nobody else acts, unless a test says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from desist.api.cancellation import Cancellation
from desist.api.meta import ATTEMPT_LABEL, OPERATION_ATTEMPT_LABEL, OPERATION_UID_LABEL, ObjectMeta
from desist.api.operation import CreatedBy, ExecutionRef, Operation, OperationSpec, PodWork, operation_name
from desist.api.status import OperationStatus
from desist.api.vocabulary import Mode, Phase, ProcessRole
from desist.lifecycle.decide import decide, decide_operation
from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.observed.questions import CreateAnswer, Questions, Refusal
from desist.lifecycle.observed.sight import Observed, ObservedOperation
from desist.lifecycle.operation.seen import seen_of
from desist.lifecycle.plan import (
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
from desist.lifecycle.proof.process import ended
from tests.support.builders import PodBuilder, at, make_pod, receipt
from tests.unit.lifecycle.world import World


@dataclass
class Operations:
    """One run, and its operations by key."""

    run: World = field(default_factory=lambda: World().running())
    all: dict[str, Operation] = field(default_factory=dict)
    pods: dict[str, PodBuilder] = field(default_factory=dict)
    """By name."""
    deleted: list[PodView] = field(default_factory=list)
    events: list[tuple[str, EmitEvent]] = field(default_factory=list)
    done: list[tuple[str, Action]] = field(default_factory=list)
    writes: dict[str, int] = field(default_factory=dict)
    execution_there: bool = True
    earlier: int = 0
    age: timedelta = timedelta(0)
    """How old each was when it was first seen."""
    counted_at: datetime | None = None
    listed_at_end: frozenset[str] | None = None
    """What the controller remembers of the LIST that it made when the run's end had been stored."""
    creates: bool = True
    created: CreateAnswer | None = None
    """What the API server has said to the last create of each."""
    refusals: tuple[Refusal, ...] = ()
    """What it has said to postings and DELETEs of theirs."""

    def create(self, key: str, attempt: int | None = None, **fields: Any) -> Operation:
        """Write an operation, as the workflow process of that attempt (default: the current one)."""
        metadata, status = self.run.execution.metadata, self.run.status
        run_id = fields.pop("run_id", status.run_id)
        process = status.processes[0]
        pod = process.pod if attempt is None else f"{process.pod.rpartition('-')[0]}-{attempt}"
        by = fields.pop("created_by", CreatedBy(pod_name=pod, pod_uid=process.pod_uid or "nobody"))
        if not {"timer", "local", "pod"} & fields.keys():
            fields["pod"] = PodWork(command=("work",))
        spec = OperationSpec(
            execution_ref=ExecutionRef(name=metadata.name, uid=metadata.uid),
            run_id=run_id,
            key=key,
            created_by=by,
            **fields,
        )
        name = operation_name(metadata.name, metadata.uid, run_id, key)
        made = ObjectMeta(name=name, namespace="test", uid=f"op-{key}", resource_version="1", generation=1)
        self.all[key] = Operation(metadata=made, spec=spec)
        return self.all[key]

    def status(self, key: str) -> OperationStatus:
        """The status of that operation."""
        found = self.all[key].status
        assert found is not None, "nothing was written yet"
        return found

    def pod(self, key: str) -> PodBuilder:
        """Its pod that was made last."""
        return [pod for pod in self.pods.values() if pod.obj().operation == f"op-{key}"][-1]

    def change_pod(self, key: str, pod: PodBuilder, after: float = 0) -> None:
        """Give its last pod another state, then settle."""
        self.pods[pod.obj().name] = pod
        self.settle(after)

    def exits(self, key: str, code: int = 0, message: str = "", after: float = 0) -> None:
        """Its process exits by itself, with a receipt of its launcher, and its pod is over."""
        pod = self.pod(key).exited(code, message or receipt(), finished=self.run.seconds)
        self.change_pod(key, pod.over(), after)

    def running(self, key: str, **fields: Any) -> Operations:
        """Create it and let its process run."""
        self.create(key, **fields)
        self.settle()
        self.change_pod(key, self.pod(key).running(self.run.seconds), 1)
        return self

    @property
    def phase(self) -> Phase | None:
        """The run's."""
        return self.run.status.phase

    def stop(self, key: str, mode: Mode, after: float = 0, **fields: Any) -> None:
        """Patch `spec.cancellation` of that operation, then settle."""
        held = self.all[key]
        metadata = held.metadata.model_copy(update={"generation": held.metadata.generation + 1})
        spec = held.spec.replace(cancellation=Cancellation(mode=mode, **fields))
        self.all[key] = held.replace(metadata=metadata, spec=spec)
        self.settle(after)

    def stop_run(self, mode: Mode, after: float = 0, **fields: Any) -> None:
        """Patch `spec.cancellation` of the run, then settle both."""
        self.run.execution = self.run.execution.cancelled(mode, **fields)
        self.settle(after)

    def end_run(self, code: int = 0, after: float = 1, message: str = "") -> None:
        """The workflow process exits and its pod is over."""
        pod = self.run.pod
        self.run.pods[pod.obj().name] = pod.exited(code, message or receipt(), finished=self.run.seconds).over()
        self.settle(after)

    def settle(self, after: float = 0) -> None:
        """Reconcile all until nothing more is done."""
        self.run.seconds += after
        for _ in range(20):
            acted = self._run_once()
            for key in list(self.all):
                acted = self._once(key) or acted
            if not acted:
                return
        raise AssertionError("the reconciles do not come to rest")

    def settle_operations(self) -> None:
        """Reconcile the operations alone, until nothing more is done."""
        while any([self._once(key) for key in list(self.all)]):
            pass

    def run_writes(self) -> bool:
        """Whether a reconcile of the run would write now; nothing is done."""
        plan = decide(self.observe_run(), at(self.run.seconds))
        assert isinstance(plan, Plan)
        return any(isinstance(action, WriteStatus) for action in plan.actions)

    def _run_once(self) -> bool:
        seen = self.observe_run()
        plan = decide(seen, at(self.run.seconds))
        assert isinstance(plan, Plan)
        for action in plan.actions:
            if isinstance(action, DeletePod) and action.pod in self.pods:
                self.run.done.append(action)
                self._delete(action)
            else:
                self.run.apply(action)
        return any(not isinstance(action, WakeAt) for action in plan.actions)

    def observe_run(self) -> Observed:
        """What the run's reconcile sees."""
        pods = tuple(pod.obj() for pod in self.pods.values())
        operations = tuple(seen_of(operation) for operation in self.all.values())
        self.run.extra = {
            "operations": operations,
            "operation_pods": pods,
            "counted_at": self.counted_at,
            "listed_at_end": self.listed_at_end,
        }
        return self.run.observe()

    def _once(self, key: str) -> bool:
        plan = self.plan(key)
        for action in plan.actions:
            self.done.append((key, action))
            self._apply(key, action)
        return any(not isinstance(action, WakeAt) for action in plan.actions)

    def plan(self, key: str) -> Plan:
        """What its reconcile plans now, with the answers to its questions."""
        held = self.all[key]
        execution = self.run.execution.obj() if self.execution_there else None
        seen = ObservedOperation(
            operation=held,
            settings=self.run.settings,
            execution=execution,
            pods=tuple(p.obj() for p in self.pods.values() if p.obj().operation == held.metadata.uid),
            deleted=tuple(pod for pod in self.deleted if pod.operation == held.metadata.uid),
            nodes=tuple(self.run.nodes),
            earlier=self.earlier,
            age=self.age,
            created=self.created,
            refusals=self.refusals,
            pushes=tuple(self.run.pushes.values()),
        )
        for _ in range(8):
            decided = decide_operation(seen, at(self.run.seconds))
            if isinstance(decided, Plan):
                return decided
            seen = self._answered(seen, decided)
        raise AssertionError(f"there is still a question: {decided}")

    def _answered(self, seen: ObservedOperation, asked: Questions) -> ObservedOperation:
        live = tuple({*seen.live_nodes, *asked.live_nodes})
        return replace(
            seen,
            live_nodes=live,
            live_pod=seen.live_pod or asked.live_pod is not None,
            execution_read=seen.execution_read or asked.execution,
            creator_read=seen.creator_read or asked.creator,
            creator_uid=self._creator(),
            arguments_read=seen.arguments_read or asked.arguments,
        )

    def _creator(self) -> str:
        pod = self.run.pod.obj()
        return "" if ended(pod) or pod.deletion_timestamp is not None else pod.uid

    def _apply(self, key: str, action: Action) -> None:
        match action:
            case WriteStatus():
                self.writes[key] = self.writes.get(key, 0) + 1
                written = OperationStatus.model_validate(action.status.wire())
                assert written == action.status, "the status changes on the wire"
                self.all[key] = self.all[key].replace(status=written)
            case CreatePod() if self.creates and action.name not in self.pods:
                self._create(key, action)
            case PostMailbox():
                self._change(action.pod, mailbox=action.text)
            case PushStop():
                self.run.apply(action)
            case DeletePod():
                self._delete(action)
            case EmitEvent():
                self.events.append((key, action))
            case _:
                pass

    def _create(self, key: str, action: CreatePod) -> None:
        labels = action.manifest.value["metadata"]["labels"]
        assert ATTEMPT_LABEL not in labels
        made = make_pod(action.name, uid=f"uid-{action.name}").having(
            role=ProcessRole.OPERATION,
            operation=labels[OPERATION_UID_LABEL],
            attempt=int(labels[OPERATION_ATTEMPT_LABEL]),
            run_id=self.run.status.run_id,
        )
        self.pods[action.name] = made

    def _change(self, name: str, **fields: Any) -> None:
        if name in self.pods:
            self.pods[name] = self.pods[name].having(**fields)

    def _delete(self, action: DeletePod) -> None:
        pod = self.pods.get(action.pod)
        if pod is not None and pod.obj().workflow.started_at is None and not pod.obj().node:
            self.deleted.append(pod.having(deletion_timestamp=at(self.run.seconds)).obj())
            del self.pods[action.pod]
        elif pod is not None:
            moment = at(self.run.seconds)
            self._change(action.pod, deletion_timestamp=moment, deletion_seen_at=moment, deletion_grace_seconds=1)
