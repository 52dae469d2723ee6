"""Start: what a run is started with, and what keeps it from beginning."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desist.api.base import Opaque
from desist.api.conditions import ConditionStatus, ConditionType, StallReason
from desist.api.meta import Condition
from desist.api.vocabulary import HistoryType, Mode, Phase
from desist.lifecycle.decide import decide
from desist.lifecycle.observed.questions import Answer, CreateAnswer, Questions, WantedPod
from desist.lifecycle.observed.sight import Observed, TooLarge
from desist.lifecycle.plan import CreatePod, WakeAt, WriteStatus
from desist.lifecycle.settings import Settings
from tests.support.builders import TEMPLATE, at, make_execution, make_spec, make_workflow
from tests.unit.lifecycle.world import World, decided, done, questions


def condition(world: World, kind: ConditionType) -> Condition:
    return next(c for c in world.status.conditions if c.type is kind)


def test_the_first_write_is_the_first_attempt_and_the_pod_is_created_after_it() -> None:
    world = World()
    plan = world.step()
    assert done(plan) == ["WriteStatus", "CreatePod"]
    assert (world.phase, world.status.attempt) == (Phase.PENDING, 1)
    assert world.types() == [HistoryType.START_ACCEPTED]
    created = next(a for a in plan.actions if isinstance(a, CreatePod))
    assert created.name == world.status.processes[0].pod == created.manifest.value["metadata"]["name"]


def test_nothing_is_written_while_the_answer_to_the_dry_run_is_missing() -> None:
    seen = Observed(execution=make_execution().obj(), settings=Settings(), workflow=make_workflow())
    assert questions(seen, 0).dry_run
    assert isinstance(decide(seen, at(0)), Questions)


def test_the_dry_run_is_asked_for_only_where_the_run_would_begin() -> None:
    cancelled = Observed(
        execution=make_execution().cancelled(Mode.CANCEL).obj(), settings=Settings(), workflow=make_workflow()
    )
    assert not questions(cancelled, 0).dry_run
    missing = Observed(execution=make_execution().obj(), settings=Settings())
    assert not questions(missing, 0).dry_run
    world = World()
    world.step()
    assert not questions(world.observe(), 1).dry_run


def test_a_run_keeps_what_it_was_started_with_and_started_says_what_differs_by_now() -> None:
    world = World(make_execution(active_deadline_seconds=60, arguments=Opaque.of({"n": 1}))).running()
    assert world.status.workflow_spec is not None
    assert world.status.workflow_spec.active_deadline_seconds == 60
    world.workflow = make_workflow(grace=99)
    world.execution = world.execution.changed(active_deadline_seconds=7, arguments=Opaque.of({"n": 2}))
    world.settle()
    assert world.status.workflow_spec.stop_policy.grace_period_seconds == 5
    assert world.status.arguments == Opaque.of({"n": 1})
    message = condition(world, ConditionType.STARTED).message
    assert "arguments" in message
    assert "activeDeadlineSeconds" in message


def nested(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = [value]
    return value


HOST_PID = Opaque.of({"spec": {"hostPID": True, "containers": [{"name": "w", "image": "i", "command": ["c"]}]}})
STALLS = [
    ("a missing Workflow", {"workflow": None}, {}, "WorkflowNotFound", "'job'"),
    ("a template that is refused", {"workflow": make_workflow(template=HOST_PID)}, {}, "TemplateRefused", "hostPID"),
    ("arguments too large", {"too_large": TooLarge(StallReason.ARGUMENTS_REFUSED, "more than the 32768")}, {},
     "ArgumentsRefused", "32768"),
    ("a template too large", {"too_large": TooLarge(StallReason.TEMPLATE_REFUSED, "more than the 262144")}, {},
     "TemplateRefused", "262144"),
    ("arguments nested too deep", {}, {"arguments": Opaque.of({"a": nested(64)})}, "ArgumentsRefused", "64 levels"),
    ("a template nested too deep",
     {"workflow": make_workflow(template=Opaque.of({**TEMPLATE, "more": nested(64)}))}, {},
     "TemplateRefused", "64 levels"),
    ("a template that the API server refuses",
     {"dry_run": CreateAnswer(Answer.INVALID, "spec.x: Invalid")}, {}, "TemplateInvalid", "spec.x: Invalid"),
    ("a quota of zero", {"dry_run": CreateAnswer(Answer.REFUSED, "exceeded quota")}, {}, "CreateRefused", "quota"),
]  # fmt: skip


def test_arguments_of_64_levels_are_taken_and_kept() -> None:
    arguments = Opaque.of({"a": nested(63)})
    world = World(make_execution(arguments=arguments)).running()
    assert world.status.arguments == arguments


def stalled(world_fields: dict[str, object], spec: dict[str, object]) -> World:
    world = World(make_execution(**spec), **world_fields)  # type: ignore[arg-type]  # the table's fields of World
    world.settle()
    return world


@pytest.mark.parametrize(
    ("world_fields", "spec", "reason", "words"), [case[1:] for case in STALLS], ids=[case[0] for case in STALLS]
)
def test_what_keeps_a_run_from_beginning_is_a_condition_in_words(
    world_fields: dict[str, object], spec: dict[str, object], reason: str, words: str
) -> None:
    world = stalled(world_fields, spec)
    found = condition(world, ConditionType.STALLED)
    assert (found.status, found.reason) == (ConditionStatus.TRUE, reason)
    assert words in found.message
    assert condition(world, ConditionType.RECONCILING).status is ConditionStatus.FALSE
    assert (world.phase, world.status.run_id, world.pods) == (Phase.PENDING, None, {})
    assert [e.reason for e in world.events] == ["Stalled"]


@pytest.mark.parametrize(("world_fields", "spec"), [case[1:3] for case in STALLS], ids=[case[0] for case in STALLS])
def test_what_cannot_begin_can_be_cancelled_at_once(world_fields: dict[str, object], spec: dict[str, object]) -> None:
    world = stalled(world_fields, spec)
    world.request(Mode.CANCEL)
    assert world.phase is Phase.CANCELLED
    assert condition(world, ConditionType.STALLED).status is ConditionStatus.FALSE


def test_a_run_begins_once_what_kept_it_is_gone() -> None:
    world = World(workflow=None)
    world.settle()
    world.workflow = make_workflow()
    world.settle(1)
    assert world.status.run_id is not None
    assert condition(world, ConditionType.STALLED).status is ConditionStatus.FALSE


@pytest.mark.parametrize(
    ("answer", "retry_after", "seconds"),
    [(Answer.REFUSED, None, 1), (Answer.INVALID, None, 60), (Answer.REFUSED, 8.0, 8), (Answer.INVALID, 240.0, 240)],
)
def test_a_first_pod_that_is_refused_is_tried_again_since_a_policy_may_change(
    answer: Answer, retry_after: float | None, seconds: float
) -> None:
    world = World(dry_run=CreateAnswer(answer, "denied", retry_after=retry_after))
    world.settle()
    assert [a.when for a in world.plan().actions if isinstance(a, WakeAt)] == [at(seconds)]
    writes = world.writes
    world.settle(seconds)
    assert world.writes == writes, "the same refusal is said once"
    world.dry_run = CreateAnswer(Answer.PASSED)
    world.settle(seconds)
    assert world.status.run_id is not None


def test_nothing_is_tried_again_where_only_an_event_can_help() -> None:
    world = World(workflow=None)
    world.settle()
    assert not [a for a in world.plan().actions if isinstance(a, WakeAt)]


def test_the_pod_is_asked_for_until_it_is_seen() -> None:
    world = World(creates=False)
    world.step()
    assert done(world.step(1)) == ["CreatePod"]
    assert done(world.step(1)) == ["CreatePod"]
    world.creates = True
    world.settle(1)
    assert done(world.step(1)) == []


def test_a_status_that_has_not_begun_is_slim() -> None:
    world = World(workflow=None)
    world.settle()
    assert set(world.status.wire()) <= {
        "observedGeneration",
        "phase",
        "bucket",
        "conditions",
        "canCancel",
        "canForce",
        "canTerminate",
        "canKill",
        "commandCount",
        "historyCount",
        "waitingOn",
    }


def test_two_controllers_that_begin_the_same_run_at_the_same_time_ask_for_the_same_pod() -> None:
    first, second = (World().step().actions[0] for _ in range(2))
    assert isinstance(first, WriteStatus)
    assert first == second


def test_a_workflow_in_place_is_taken_with_its_own_deadline() -> None:
    world = World(make_execution(workflow_spec=make_spec(active_deadline_seconds=5)), workflow=None)
    world.settle()
    assert world.status.workflow_spec is not None
    assert world.status.workflow_spec.active_deadline_seconds == 5


def test_what_is_answered_is_not_asked_again() -> None:
    seen = Observed(execution=make_execution().obj(), settings=Settings(), workflow=make_workflow())
    assert not questions(replace(seen, dry_run=CreateAnswer(Answer.REFUSED)), 0).dry_run
    world = World(creates=False)
    world.step()
    world.execution = world.execution.cancelled(Mode.CANCEL)
    absent = world.observe()
    assert absent.live_pod
    assert questions(absent, 1).live_pod is None
    asked = questions(replace(absent, live_pod=False), 1).live_pod
    assert asked == WantedPod(world.status.processes[0].pod, world.status.run_id or "", 1)


def test_a_rejection_is_written_though_the_dry_run_has_no_answer_yet() -> None:
    other_run = "01HZZZZZZZZZZZZZZZZZZZZZZZ"
    seen = Observed(
        execution=make_execution().cancelled(Mode.CANCEL, run_id=other_run).obj(),
        settings=Settings(),
        workflow=make_workflow(),
    )
    assert isinstance(decided(seen, 0).actions[0], WriteStatus)
