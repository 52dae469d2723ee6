"""A workflow is judged when it is written, and its condition says so in words."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from desist.api.meta import Condition
from desist.controller.caches import Caches
from desist.controller.platform import Platform
from desist.controller.records import WorkflowRecord, workflow_record
from desist.controller.settings import ControllerSettings
from desist.controller.store import Store
from desist.controller.workflows import WorkflowReconciler
from desist.kube.lanes import Budget
from desist.lifecycle.observed.questions import Answer, CreateAnswer
from tests.unit.controller.fakes import NOW, FakeCluster
from tests.unit.controller.test_reconcile import WORKFLOW


class Setting:
    """One workflow and what judges it."""

    def __init__(self, dry_run: CreateAnswer, **pod: Any) -> None:
        body = copy.deepcopy(WORKFLOW)
        body["spec"]["template"]["spec"].update(pod)  # type: ignore[index]  # the constant's values are objects
        self.fake = FakeCluster(objects={"order": body}, dry_run=dry_run)
        self.workflows: Store[WorkflowRecord] = Store()
        self.workflows.note(workflow_record(body))
        platform = Platform(ControllerSettings(), Caches().runtimes)
        self.seconds = 0.0
        creates = self.fake.creates(lambda: self.seconds)
        self.reconciler = WorkflowReconciler(
            self.workflows, platform, self.fake.cluster, creates, self.fake.record_event, lambda: NOW
        )

    @property
    def ready(self) -> Condition:
        record = self.workflows.get("dwf")
        assert record is not None
        assert record.workflow.status is not None
        assert record.workflow.status.observed_generation == 1
        return record.workflow.status.conditions[0]


async def test_a_template_that_the_api_server_accepts_is_ready_and_is_told_once() -> None:
    setting = Setting(CreateAnswer(Answer.PASSED))
    assert await setting.reconciler.reconcile("dwf") is None
    assert (setting.ready.status, setting.ready.reason) == ("True", "Accepted")
    assert [call.split()[0] for call in setting.fake.calls] == ["dry-run", "status", "event"]
    await setting.reconciler.reconcile("dwf")
    assert [call.split()[0] for call in setting.fake.calls] == ["dry-run", "status", "event", "dry-run"]


async def test_what_desist_refuses_is_said_without_asking_the_api_server() -> None:
    setting = Setting(CreateAnswer(Answer.PASSED), hostPID=True)
    assert await setting.reconciler.reconcile("dwf") is None
    assert (setting.ready.status, setting.ready.reason) == ("False", "TemplateRefused")
    assert setting.ready.message.startswith("spec.hostPID: ")
    assert "dry-run" not in [call.split()[0] for call in setting.fake.calls]


async def test_what_the_api_server_refuses_is_said_in_its_words() -> None:
    setting = Setting(CreateAnswer(Answer.INVALID, 'Pod "x" is invalid: spec.containers[0].image: Required value'))
    await setting.reconciler.reconcile("dwf")
    assert (setting.ready.status, setting.ready.reason) == ("False", "TemplateInvalid")
    assert "spec.containers[0].image" in setting.ready.message


async def test_what_a_webhook_says_holds_nothing_that_a_terminal_obeys() -> None:
    setting = Setting(CreateAnswer(Answer.REFUSED, "admission webhook denied: \x1b[31m" + "x" * 9000))
    await setting.reconciler.reconcile("dwf")
    assert "\x1b" not in setting.ready.message and len(setting.ready.message) == 4096


@pytest.mark.parametrize(
    ("answer", "reason", "first"), [(Answer.REFUSED, "PodRefused", 1), (Answer.INVALID, "TemplateInvalid", 60)]
)
async def test_what_the_api_server_or_a_policy_refused_is_tried_again_later_each_time_until_it_passes(
    answer: Answer, reason: str, first: float
) -> None:
    setting = Setting(CreateAnswer(answer, "denied"))
    assert await setting.reconciler.reconcile("dwf") == NOW + timedelta(seconds=first)
    setting.seconds += first
    assert await setting.reconciler.reconcile("dwf") == NOW + timedelta(seconds=2 * first)
    setting.seconds += 2 * first
    assert (setting.ready.status, setting.ready.reason) == ("False", reason)
    setting.fake.dry_run = CreateAnswer(Answer.PASSED)
    assert await setting.reconciler.reconcile("dwf") is None
    assert (setting.ready.status, setting.ready.reason) == ("True", "Accepted")


async def test_a_workflow_that_is_gone_is_forgotten() -> None:
    setting = Setting(CreateAnswer(Answer.PASSED))
    setting.fake.vanished = {"status"}
    await setting.reconciler.reconcile("dwf")
    assert setting.workflows.get("dwf") is None


async def test_the_condition_is_written_out_of_the_budget_that_no_stop_waits_for() -> None:
    setting = Setting(CreateAnswer(Answer.PASSED))
    await setting.reconciler.reconcile("dwf")
    assert setting.fake.budgets == [Budget.START]


async def test_a_template_that_is_too_large_is_said_without_asking_anybody() -> None:
    setting = Setting(CreateAnswer(Answer.PASSED), nodeName="<" * 50_000)
    assert await setting.reconciler.reconcile("dwf") is None
    assert (setting.ready.status, setting.ready.reason) == ("False", "TemplateRefused")
    assert "more than the 262144 that are allowed" in setting.ready.message
    assert [call.split()[0] for call in setting.fake.calls] == ["status", "event"]
