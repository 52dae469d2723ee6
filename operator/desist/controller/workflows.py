"""A `Workflow` is judged when it is written, not when somebody needs it: condition `Ready`, in words.

Contract: `reconcile` judges one workflow: what Desist refuses in the template, then what the API server says to a
dry-run create of a pod made from it. The condition names the field. What the API server refuses is tried again later
(the settings `retry_after`, and `retry_invalid_after` where it calls the pod invalid): a quota, a policy or a webhook
may stand behind it in both cases, and nothing tells of their change. Nothing is written where nothing changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from desist.api import outside
from desist.api.conditions import ConditionStatus, ConditionType
from desist.api.execution import WorkflowExecution, WorkflowExecutionSpec
from desist.api.meta import Condition
from desist.api.workflow import Workflow, WorkflowStatus
from desist.controller import log
from desist.controller.cluster import Cluster, Outdated, Vanished
from desist.controller.creates import Creates, NoSlot
from desist.controller.events import Notice, RecordEvent, Subject
from desist.controller.kinds import WORKFLOW, Key
from desist.controller.platform import Platform
from desist.controller.records import WorkflowRecord
from desist.controller.store import Store
from desist.kube.lanes import Budget
from desist.lifecycle.observed.questions import Answer, CreateAnswer
from desist.lifecycle.pod.manifest import dry_run_manifest
from desist.lifecycle.pod.template import refusals

logger = logging.getLogger(__name__)
MESSAGE = 4096
"""Characters of a condition's message."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be said about a workflow."""

    ready: bool
    reason: str
    message: str = ""
    again_after: float | None = None
    """In how many seconds to judge again what may change by itself."""


@dataclass(frozen=True, slots=True)
class WorkflowReconciler:
    """Reconciles workflows."""

    workflows: Store[WorkflowRecord]
    platform: Platform
    cluster: Cluster
    creates: Creates
    record_event: RecordEvent
    clock: Callable[[], datetime]

    async def reconcile(self, uid: str) -> datetime | None:
        """Reconcile the workflow of that UID; gives when it is due again. Raises kube's errors."""
        record = self.workflows.get(uid)
        key = Key(WORKFLOW.name, uid)
        if record is None:
            self.creates.forget(key)
            return None
        with log.context(namespace=record.metadata.namespace, workflow=record.metadata.name):
            try:
                judgement = await self._judge(key, record)
            except NoSlot as later:
                logger.debug("the dry run comes later: %s", later)
                return None
            status = status_of(record.workflow, judgement, self.clock())
            if status != record.workflow.status:
                await self._write(record.workflow, status, judgement)
        again = judgement.again_after
        return None if again is None else self.clock() + timedelta(seconds=again)

    async def _judge(self, key: Key, record: WorkflowRecord) -> Judgement:
        if record.too_large is not None:
            return Judgement(False, record.too_large.reason, record.too_large.message)
        workflow = record.workflow
        refused = refusals(workflow.spec.template.value, workflow.spec.stop_policy)
        if refused:
            return Judgement(False, "TemplateRefused", outside.text("; ".join(refused), MESSAGE))
        tried = _dry_run_execution(workflow)
        settings = self.platform.core_settings()
        made_from = (workflow.metadata.generation, settings)
        answer = await self.creates.dry_run(
            key, tried.metadata, made_from, lambda: dry_run_manifest(tried, workflow.spec, None, settings)
        )
        return judgement_of(answer)

    async def _write(self, workflow: Workflow, status: WorkflowStatus, judgement: Judgement) -> None:
        try:
            body = await self.cluster.replace_status(WORKFLOW, workflow.metadata, status.wire(), Budget.START)
        except Vanished:
            self.workflows.forget(workflow.metadata.uid)
            return
        except Outdated:
            logger.debug("the workflow changed meanwhile: its event brings the next reconcile")
            return
        written = WORKFLOW.read(body)
        self.workflows.note(written)
        logger.info("Ready %s: %s", judgement.ready, judgement.message)
        notice = Notice(judgement.reason, judgement.message, warning=not judgement.ready)
        self.record_event(Subject(WORKFLOW, written.metadata), notice)


def judgement_of(answer: CreateAnswer) -> Judgement:
    """What the API server's answer to the dry-run create says about a workflow."""
    match answer.answer:
        case Answer.PASSED:
            return Judgement(True, "Accepted", "executions can be started")
        case Answer.INVALID:
            return Judgement(False, "TemplateInvalid", outside.text(answer.message, MESSAGE), answer.retry_after)
        case Answer.REFUSED | Answer.TAKEN:
            return Judgement(False, "PodRefused", outside.text(answer.message, MESSAGE), answer.retry_after)
        case _:
            assert_never(answer.answer)


def status_of(workflow: Workflow, judgement: Judgement, now: datetime) -> WorkflowStatus:
    """The status that says so; the transition time stays where the answer is the same as before."""
    wanted = ConditionStatus.TRUE if judgement.ready else ConditionStatus.FALSE
    before = workflow.status.conditions if workflow.status else ()
    known = next((c for c in before if c.type is ConditionType.READY), None)
    ready = Condition(
        type=ConditionType.READY,
        status=wanted,
        reason=judgement.reason,
        message=judgement.message,
        last_transition_time=known.last_transition_time if known and known.status is wanted else now,
        observed_generation=workflow.metadata.generation,
    )
    return WorkflowStatus(observed_generation=workflow.metadata.generation, conditions=(ready,))


def _dry_run_execution(workflow: Workflow) -> WorkflowExecution:
    """An execution that exists nowhere; its pod is never made."""
    metadata = workflow.metadata.replace(name=workflow.metadata.name, deletion_timestamp=None)
    return WorkflowExecution(metadata=metadata, spec=WorkflowExecutionSpec(workflow_spec=workflow.spec))
