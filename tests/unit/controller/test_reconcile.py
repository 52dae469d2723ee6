"""One reconcile: nothing is decided while a last deed is unseen; what is otherwise is read, then decided again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from desist.controller.caches import Caches
from desist.controller.intake import Intake
from desist.controller.kinds import Key
from desist.controller.memory import PATIENCE, Memory
from desist.controller.observe import Sights
from desist.controller.platform import Platform
from desist.controller.records import ExecutionRecord, WorkflowRecord, workflow_record
from desist.controller.rows import Means, all_kinds, execution_reconciler
from desist.controller.settings import ControllerSettings
from desist.controller.store import Store
from desist.controller.unreadable import Complaints
from desist.controller.urgency import Urgency
from desist.controller.waking import Waking
from desist.lifecycle.observed.questions import Questions
from tests.unit.controller.fakes import NOW, FakeCluster, body, record

TEMPLATE = {"spec": {"containers": [{"name": "workflow", "image": "i", "command": ["run"]}]}}
WORKFLOW = {
    "metadata": {"name": "order", "namespace": "shop", "uid": "dwf", "resourceVersion": "3", "generation": 1},
    "spec": {"template": TEMPLATE},
}


class Setting:
    """The parts of a reconcile, with one execution and its workflow known."""

    def __init__(self, **parts: Any) -> None:
        self.fake = FakeCluster(objects={"order-1": body(**parts)})
        self.later: list[tuple[Key, float]] = []
        self.seconds = self.wall = 0.0
        self.caches, self.memory = Caches(), Memory(lambda: self.seconds)
        self.waking = Waking(
            self.fake.woken.append, lambda key, seconds: self.later.append((key, seconds)), self.memory.awaits_sight
        )
        self.executions, self.operations = self.waking.executions, self.waking.operations
        self.executions.note(record(**parts))
        workflows: Store[WorkflowRecord] = Store()
        workflows.note(workflow_record(WORKFLOW))
        platform = Platform(ControllerSettings(), self.caches.runtimes)
        self.creates = self.fake.creates(lambda: self.seconds)
        self.awaits_stop = Urgency(self.caches, self.memory, self.now).awaits_stop
        self.means = Means(
            cluster=self.fake.cluster,
            creates=self.creates,
            sights=Sights(self.caches, self.memory, platform, NOW),
            waking=self.waking,
            push=self.fake.push,
            record_event=self.fake.record_event,
            clock=self.now,
            intake=lambda: self.intake,
            seconds=lambda: self.seconds,
        )
        self.intake = Intake(all_kinds(self.means), self.fake.woken.append, Complaints(self.fake.record_event))
        self.reconciler = execution_reconciler(self.means, workflows)

    def now(self) -> datetime:
        """The wall clock stands still unless `wall` moves it."""
        return NOW + timedelta(seconds=self.wall)

    @property
    def known(self) -> ExecutionRecord:
        held = self.executions.get("wfx")
        assert isinstance(held, ExecutionRecord)
        return held


async def test_a_new_execution_is_tried_then_begun_then_its_pod_is_made() -> None:
    setting = Setting()
    await setting.reconciler.reconcile("wfx")
    verbs = [call.split()[0] for call in setting.fake.calls]
    assert [verb for verb in verbs if verb != "event"] == ["dry-run", "status", "create"]
    status = setting.known.execution.status
    assert status is not None
    assert (status.phase, status.attempt) == ("Pending", 1)


async def test_nothing_is_decided_while_the_pod_that_was_made_is_not_seen() -> None:
    setting = Setting()
    await setting.reconciler.reconcile("wfx")
    before = list(setting.fake.calls)
    assert await setting.reconciler.reconcile("wfx") == NOW + PATIENCE
    assert setting.fake.calls == before


async def test_a_conflict_leads_to_a_fresh_look_and_to_another_reconcile_at_once() -> None:
    setting = Setting()
    setting.fake.outdated = {"status"}
    fresh = body(spec={"workflowRef": {"name": "order"}, "cancellation": {"mode": "Kill"}})
    fresh["metadata"] = {**fresh["metadata"], "resourceVersion": "9", "generation": 2}
    setting.fake.objects["order-1"] = fresh
    due = await setting.reconciler.reconcile("wfx")
    assert due is not None
    assert due - NOW < timedelta(milliseconds=100)
    assert setting.awaits_stop(setting.known)
    setting.fake.outdated = set()
    await setting.reconciler.reconcile("wfx")
    assert "status Cancelled" in setting.fake.calls
    assert not [call for call in setting.fake.calls if call.startswith("create")]


async def test_an_execution_that_is_gone_or_replaced_is_forgotten() -> None:
    gone = Setting()
    gone.fake.vanished = {"status"}
    assert await gone.reconciler.reconcile("wfx") is None
    assert gone.executions.get("wfx") is None

    replaced = Setting()
    replaced.fake.outdated = {"status"}
    other = body()
    other["metadata"] = {**other["metadata"], "uid": "other", "resourceVersion": "9"}
    replaced.fake.objects["order-1"] = other
    await replaced.reconciler.reconcile("wfx")
    assert replaced.executions.get("wfx") is None


async def test_the_reconcile_of_what_is_not_known_does_nothing() -> None:
    setting = Setting()
    assert await setting.reconciler.reconcile("nobody") is None
    assert setting.fake.calls == []


async def test_questions_that_never_end_are_a_fault_and_not_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desist.controller.rows.decide", lambda *_: Questions(live_nodes=("node-1",)))
    setting = Setting()
    with pytest.raises(AssertionError, match="there is still a question"):
        await setting.reconciler.reconcile("wfx")
    assert len(setting.fake.calls) <= 10
