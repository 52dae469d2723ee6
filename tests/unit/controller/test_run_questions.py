"""Before a run is closed its operations are listed: what the watch has not brought is read, what is gone is dropped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from desist.controller.ask_run import RunQuestions
from desist.controller.kinds import OPERATION, Key
from desist.controller.records import execution_record
from desist.lifecycle.observed.questions import Questions
from desist.lifecycle.observed.sight import Observed
from desist.lifecycle.settings import Settings
from tests.unit.controller.fakes import NOW, RUN, SUCCEEDED, body, operation, operation_body
from tests.unit.controller.test_reconcile import Setting


def stored(setting: Setting, *bodies: dict[str, Any]) -> None:
    setting.fake.objects |= {each["metadata"]["name"]: each for each in bodies}


async def listed(setting: Setting) -> Observed:
    means = setting.means
    own = RunQuestions(means.cluster, means.creates, means.caches, means.memory, setting.operations, means.intake)
    seen = Observed(execution=setting.known.execution, settings=Settings())
    return await own.answer(Questions(operations=True), setting.known, seen)


async def test_what_is_missing_or_newer_is_read_and_what_is_gone_is_dropped() -> None:
    setting = Setting()
    for uid in ("gone", "same", "behind"):
        setting.operations.note(operation(uid))
    stored(setting, operation_body("same"), operation_body("behind", 9, status=SUCCEEDED), operation_body("new"))
    observed = await listed(setting)
    assert setting.fake.calls == [
        "list operations shop spec.executionRef.uid=wfx",
        "get order-1-behind",
        "get order-1-new",
    ]
    assert {seen.uid: seen.phase.value for seen in observed.operations} == {
        "same": "Pending",
        "behind": "Succeeded",
        "new": "Pending",
    }
    assert observed.operations_listed
    assert Key(OPERATION.name, "new") in setting.fake.woken


async def test_what_was_noted_after_the_list_was_made_is_not_gone() -> None:
    setting = Setting()
    setting.operations.note(operation("later", 2000))
    observed = await listed(setting)
    assert [seen.uid for seen in observed.operations] == ["later"]


async def test_one_that_goes_before_it_is_read_is_dropped() -> None:
    setting = Setting()
    setting.operations.note(operation("op"))
    stored(setting, operation_body("op", 9))
    setting.fake.vanished = {"get"}
    assert (await listed(setting)).operations == ()


async def test_one_that_cannot_be_read_stops_no_other() -> None:
    setting = Setting()
    stored(setting, operation_body("bad", runId=None), operation_body("good"))
    observed = await listed(setting)
    assert [seen.uid for seen in observed.operations] == ["good"]
    assert [notice.reason for notice in setting.fake.notices] == ["Unreadable"]


@pytest.mark.parametrize(("seconds", "age"), [(3, 0), (60, 60)])
async def test_one_that_the_list_has_shown_first_is_as_old_as_the_api_server_says(seconds: int, age: int) -> None:
    setting = Setting()
    setting.fake.time = NOW + timedelta(seconds=seconds)
    stored(setting, operation_body("timer", pod=None, timer={"delayMilliseconds": 1000}))
    await listed(setting)
    record = setting.operations.get("timer")
    assert getattr(record, "age", None) == timedelta(seconds=age)


async def test_the_first_list_after_a_stop_was_stored_is_remembered() -> None:
    setting = Setting(status={"phase": "Running", "runId": RUN})
    stored(setting, operation_body("first"))
    assert (await listed(setting)).listed_at_end is None, "no stop is stored"
    stopping = body(status={"phase": "KillCancelling", "runId": RUN})
    stopping["metadata"]["resourceVersion"] = "8"
    setting.executions.note(execution_record(stopping))
    assert (await listed(setting)).listed_at_end == frozenset({"first"})
    stored(setting, operation_body("later"))
    assert (await listed(setting)).listed_at_end == frozenset({"first"})
    setting.memory.forget("wfx")
    assert (await listed(setting)).listed_at_end == frozenset({"first", "later"})
